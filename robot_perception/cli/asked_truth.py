"""Ground truth of what prompts ask for in scenes of the demo world."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from robot_perception.core import Detections, Masks, SceneObject
from robot_perception.evaluation import GroundTruth
from robot_perception.world import Phrase, read_phrase, render, WorldFrame

# Colors are clear at this size, and scenes are rendered in a tenth of a second.
_SEARCH_HW = (120, 160)
# Scenes that together have most combinations of color and kind; the first has a red cup and a blue
# ball.
_SEEDS = (
    *(901117, 900139, 900086, 900010, 900142, 900178),
    *(900001, 900038, 900095, 900014, 900025, 900099),
)
_MOSTLY = 0.5


def select_asked(
    truth: GroundTruth,
    colors: Sequence[str | None],
    prompts: Sequence[str],
    *,
    unclear: bool,
) -> GroundTruth:
    """Return the ground truth of prompts, whose classes they are.

    An object that two prompts mean is there twice.

    Args:
        truth: N objects, whose classes are kinds of the demo world.
        colors: N names of colors, None where there is no clear name.
        prompts: those that are no phrase of the demo world mean nothing.
        unclear: whether to keep objects that a prompt may mean, since their color has no clear
            name, with a visible share of 0, so that they are ignored.
    """
    known = truth.detections
    pairs = [
        (index, prompt, share)
        for prompt, phrase in _phrases(prompts)
        for index, share in _meant(phrase, known, colors)
        if share or unclear
    ]
    rows = np.array([index for index, _, _ in pairs], np.int64)
    detections = Detections(
        known.boxes_xyxy[rows],
        np.array([share for _, _, share in pairs], np.float32),
        np.full(len(pairs), -1, np.int32),
        tuple(prompt for _, prompt, _ in pairs),
        None if known.track_ids is None else known.track_ids[rows],
    )
    masks = truth.masks
    return replace(
        truth,
        detections=detections,
        masks=None if masks is None else Masks(masks.pixels[rows], masks.scores[rows]),
        objects=tuple(
            SceneObject.from_detections(detections, index, truth.objects[row].position)
            for index, row in enumerate(rows.tolist())
        )
        if truth.objects
        else (),
    )


def find_scene(prompts: Sequence[str]) -> int:
    """Return the seed of a scene that has an object of each prompt, most of it visible.

    Prompts that are no phrase of the demo world do not count. Without such a scene it is one with
    objects of many prompts.
    """
    phrases = [phrase for _, phrase in _phrases(prompts)]
    best, most = _SEEDS[0], 0
    for seed in _SEEDS:
        if most == len(phrases):
            break
        present = _count_present(render(seed, _SEARCH_HW), phrases)
        if present > most:
            best, most = seed, present
    return best


def _count_present(frame: WorldFrame, phrases: Sequence[Phrase]) -> int:
    """Count the phrases that mean an object of which most is visible."""
    return sum(
        any(share > _MOSTLY for _, share in _meant(phrase, frame.detections, frame.colors))
        for phrase in phrases
    )


def _phrases(prompts: Sequence[str]) -> Iterator[tuple[str, Phrase]]:
    """Yield the prompts that are phrases of the demo world."""
    for prompt in prompts:
        phrase = read_phrase(prompt)
        if phrase is not None:
            yield prompt, phrase


def _meant(
    phrase: Phrase, objects: Detections, colors: Sequence[str | None]
) -> Iterator[tuple[int, float]]:
    """Yield index and visible share of objects that are meant; 0 where this is not clear."""
    scored = zip(objects.class_names, colors, objects.scores.tolist(), strict=True)
    for index, (kind, color, share) in enumerate(scored):
        is_meant = phrase.describes(kind, color)
        if is_meant is not False:
            yield index, share if is_meant else 0.0
