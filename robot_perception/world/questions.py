"""Questions with known answers about a scene of the demo world, as samples for evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from robot_perception.world.absent_classes import choose_absent, ImageClasses
from robot_perception.world.frame import WorldFrame
from robot_perception.world.phrases import plural
from robot_perception.world.vocabulary import CLASS_NAMES

MIN_VISIBLE = 0.25
"""As for metrics: what is hidden further need not be found."""
# Differences that an answer depends on, in meters and in shares of the width of the image.
_CLEARLY_NEARER_M, _CLEARLY_LEFT = 0.05, 0.05
_SEED = 0


def make_samples(scenes: Iterable[tuple[WorldFrame, str]]) -> list[dict[str, Any]]:
    """Make samples about scenes: of each its type and objects, then one question each.

    A question is left out where its answer is not clear: an object that is mostly hidden may be
    meant, two are equally near or above each other, or a color has no clear name. Objects are
    left out where some class is mostly hidden. For presence, each class that is there is asked
    for, and of those that are not as many in each of three samplings; see `choose_absent`.

    Args:
        scenes: each with the path of its image, for the samples.

    Returns:
        Samples in the format of docs/evaluation.md.
    """
    made: list[tuple[str, list[dict[str, Any]]]] = []
    classes = []
    for frame, image in scenes:
        names = frame.detections.class_names
        present = frozenset(names[index] for index in _find_shown(frame))
        classes.append(ImageClasses(present, frozenset(names)))
        made.append((image, _make_samples_of_scene(frame, image)))
    absent = choose_absent(classes, CLASS_NAMES, np.random.default_rng(_SEED))
    samples: list[dict[str, Any]] = []
    for (image, known), of_class in zip(made, absent, strict=True):
        samples += known
        samples += [
            {
                'image': image,
                'kind': 'presence',
                'sampling': list(samplings),
                'question': _ask_for(name),
                'gt_answer': 'no',
            }
            for name, samplings in of_class.items()
        ]
    return samples


def _make_samples_of_scene(frame: WorldFrame, image: str) -> list[dict[str, Any]]:
    """Make all samples about a scene but those of absent classes."""
    detections = frame.detections
    shown = _find_shown(frame)
    objects = [
        {
            'name': detections.class_names[index],
            'box': [round(float(side), 2) for side in detections.boxes_xyxy[index]],
        }
        for index in shown
    ]
    sample: dict[str, Any] = {'image': image, 'gt_scene': frame.scene_type}
    if set(detections.class_names) == {item['name'] for item in objects}:
        sample['gt_objects'] = objects
    return [
        sample,
        *(
            {'image': image, 'kind': kind, 'question': question, 'gt_answer': answer}
            for kind, question, answer in _questions(frame, shown)
        ),
    ]


def _find_shown(frame: WorldFrame) -> list[int]:
    """Return the indices of the objects that are not mostly hidden."""
    shown: list[int] = np.flatnonzero(frame.detections.scores >= MIN_VISIBLE).tolist()
    return shown


def _ask_for(name: str) -> str:
    return f'Is there a {name} in the image?'


def _questions(frame: WorldFrame, shown: Sequence[int]) -> Iterator[tuple[str, str, str]]:
    """Yield kind, question and answer."""
    names = frame.detections.class_names
    present = list(dict.fromkeys(names[index] for index in shown))
    for name in present:
        hidden = names.count(name) - sum(names[index] == name for index in shown)
        yield 'presence', _ask_for(name), 'yes'
        if not hidden:
            count = str(names.count(name))
            yield 'count', f'How many {plural(name)} are in the image?', count
    unique = [index for index in shown if names.count(names[index]) == 1]
    for index in unique:
        color = frame.colors[index]
        if color is not None:
            yield 'color', f'What color is the {names[index]}?', color
    yield from _relations(frame, unique)
    nearest = _nearest(frame, shown)
    if nearest is not None:
        yield 'nearest', 'Which object is nearest to the camera?', names[nearest]


def _relations(frame: WorldFrame, unique: Sequence[int]) -> Iterator[tuple[str, str, str]]:
    """Yield a question for each pair of objects that are clearly beside each other."""
    names, boxes = frame.detections.class_names, frame.detections.boxes_xyxy
    centers = (boxes[:, 0] + boxes[:, 2]) / 2 / frame.image.size_hw[1]
    for first, second in pairwise(unique):
        if abs(centers[first] - centers[second]) > _CLEARLY_LEFT:
            question = f'Is the {names[first]} left of the {names[second]}?'
            yield 'left of', question, 'yes' if centers[first] < centers[second] else 'no'


def _nearest(frame: WorldFrame, shown: Sequence[int]) -> int | None:
    """Return the index of the object that is clearly nearest, None if none is."""
    names = frame.detections.class_names
    distances = [
        float(np.median(frame.depth.meters[frame.instances == index + 1]))
        for index in range(len(names))
    ]
    order = sorted(range(len(names)), key=distances.__getitem__)
    if not order or order[0] not in shown:
        return None
    others = [index for index in order[1:] if names[index] != names[order[0]]]
    if others and distances[others[0]] - distances[order[0]] < _CLEARLY_NEARER_M:
        return None
    return order[0]
