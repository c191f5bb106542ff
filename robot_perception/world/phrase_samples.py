"""Phrases with known truth about a scene of the demo world, as samples for evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from robot_perception.world.color_names import color_numbers
from robot_perception.world.frame import WorldFrame
from robot_perception.world.phrases import (
    Phrase,
    select_phrases,
    Selection,
    TRAINED_PHRASES,
    UNSEEN_PHRASES,
)
from robot_perception.world.questions import MIN_VISIBLE
from robot_perception.world.vocabulary import CLASS_NAMES

_COUNT = 8
_TRAINED, _UNSEEN = 'seen in training', 'unseen in training'


def make_phrase_samples(frame: WorldFrame, image: str, seed: int) -> list[dict[str, Any]]:
    """Make samples that ask for eight phrases of color and kind, half of them absent.

    One asks for combinations that the prompted detector of the demo world was trained on, a second
    for those that it was not, if the scene has one. Phrases are left out if an object of their
    kind is mostly hidden or has no clear color.

    Args:
        frame: the scene.
        image: path of its image, for the samples.
        seed: for the choice of phrases.

    Returns:
        Samples in the format of docs/evaluation.md.
    """
    samples = []
    for kind, selection in _select(frame, np.random.default_rng(seed)):
        pairs = list(zip(selection.phrases, selection.meant, strict=True))
        boxes = frame.detections.boxes_xyxy
        samples.append(
            {
                'image': image,
                'kind': kind,
                'gt_objects': [
                    {'name': str(phrase), 'box': [round(float(side), 2) for side in boxes[row]]}
                    for phrase, meant in pairs
                    for row in meant
                ],
                'gt_absent': [str(phrase) for phrase, meant in pairs if not len(meant)],
            }
        )
    return samples


def _select(frame: WorldFrame, rng: np.random.Generator) -> Iterator[tuple[str, Selection]]:
    """Yield the kind of each sample with its phrases."""
    shown = frame.detections.scores >= MIN_VISIBLE
    kinds = np.array([CLASS_NAMES.index(name) for name in frame.detections.class_names], np.int64)
    colors = np.where(shown, color_numbers(frame.colors), -1)

    def is_present(phrase: Phrase) -> bool:
        return len(phrase.is_meant(kinds, colors)[0]) > 0

    absent = [phrase for phrase in TRAINED_PHRASES if not is_present(phrase)]
    choices = {_TRAINED: TRAINED_PHRASES}
    if any(map(is_present, UNSEEN_PHRASES)):
        choices[_UNSEEN] = (*UNSEEN_PHRASES, *absent)
    for kind, phrases in choices.items():
        selection = select_phrases(kinds, colors, phrases, rng, _COUNT)
        if selection is not None:
            yield kind, selection
