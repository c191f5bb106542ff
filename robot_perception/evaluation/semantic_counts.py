"""Comparison of the classes of pixels, and of the segments of a panoptic image."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from robot_perception.core import Float64Array, Int64Array, NO_CLASS, Semantics, ShapeError
from robot_perception.evaluation.bootstrap import Statistic
from robot_perception.evaluation.panoptic import MOSTLY, SAME_IOU, SegmentCounts


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment of a panoptic image: an object, or all pixels of a class without objects.

    Attributes:
        class_name: of its class.
        is_crowd: whether it is a group of objects that were not separated, which is ignored.
    """

    class_name: str
    is_crowd: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class SegmentImage:
    """The segment of every pixel.

    Attributes:
        ids: (H, W) int64, 0 = none.
        segments: of each id but 0.
    """

    ids: Int64Array
    segments: Mapping[int, Segment]

    @classmethod
    def from_semantics(cls, semantics: Semantics) -> SegmentImage:
        """Return one segment for each object, and one for the rest of each class."""
        classes = semantics.classes.astype(np.int64)
        objects = 0 if semantics.instances is None else semantics.instances.astype(np.int64)
        # Pixels of no class are 0; others are numbered by class, then by object.
        ids = np.where(classes == NO_CLASS, 0, (classes + 1) * (NO_CLASS + 1) + objects)
        names = semantics.class_names
        segments = {
            int(number): Segment(names[int(number) // (NO_CLASS + 1) - 1])
            for number in np.unique(ids)
            if number
        }
        return cls(ids, segments)


@dataclass(frozen=True, slots=True)
class ClassCounts:
    """Pixels of one class.

    Attributes:
        shared: both predicted and true.
        predicted: predicted, where the truth is known.
        true: true.
    """

    shared: int = 0
    predicted: int = 0
    true: int = 0


def count_classes(predicted: SegmentImage, truth: SegmentImage) -> dict[str, ClassCounts]:
    """Count pixels by class; those without a true class are left out.

    Raises:
        ShapeError: the images differ in size.
    """
    counts: dict[str, list[int]] = {}
    for own, other, pixels in _pairs(predicted, truth):
        true = truth.segments.get(other)
        if true is None:
            continue
        name = predicted.segments[own].class_name if own else None
        counts.setdefault(true.class_name, [0, 0, 0])[2] += pixels
        if name is not None:
            row = counts.setdefault(name, [0, 0, 0])
            row[1] += pixels
            row[0] += pixels if name == true.class_name else 0
    return {name: ClassCounts(*row) for name, row in counts.items()}


def count_segments(predicted: SegmentImage, truth: SegmentImage) -> dict[str, SegmentCounts]:
    """Match segments by class as the panoptic task of COCO does.

    A match has an IoU above one half, for which pixels without a true segment do not count. A
    prediction without a match is ignored if it lies mostly on such pixels and on crowds of its
    class.

    Raises:
        ShapeError: the images differ in size.
    """
    shared = {(own, other): pixels for own, other, pixels in _pairs(predicted, truth)}
    own_area, true_area = (_areas(shared, side) for side in (0, 1))
    sums: dict[str, float] = defaultdict(float)
    matched: tuple[set[int], set[int]] = (set(), set())
    for (own, other), pixels in shared.items():
        if not own or not other or truth.segments[other].is_crowd:
            continue
        name = truth.segments[other].class_name
        union = own_area[own] + true_area[other] - pixels - shared.get((own, 0), 0)
        if name == predicted.segments[own].class_name and pixels > SAME_IOU * union:
            sums[name] += pixels / union
            matched[0].add(own)
            matched[1].add(other)
    true_positives = _by_class(truth, matched[1])
    unmatched_true = (one for one in true_area if one and one not in matched[1])
    false_negatives = _by_class(
        truth, [one for one in unmatched_true if not truth.segments[one].is_crowd]
    )
    unmatched = (one for one in own_area if one and one not in matched[0])
    false_positives = _by_class(
        predicted,
        [
            one
            for one in unmatched
            if _ignored(one, predicted, truth, shared) <= MOSTLY * own_area[one]
        ],
    )
    return {
        name: SegmentCounts(
            sums[name], true_positives[name], false_positives[name], false_negatives[name]
        )
        for name in true_positives | false_positives | false_negatives
    }


def _areas(shared: Mapping[tuple[int, int], int], side: int) -> Counter[int]:
    """Return the pixels of each segment, predicted or true."""
    areas: Counter[int] = Counter()
    for pair, pixels in shared.items():
        areas[pair[side]] += pixels
    return areas


def _by_class(image: SegmentImage, numbers: Iterable[int]) -> Counter[str]:
    """Count segments by class."""
    return Counter(image.segments[number].class_name for number in numbers)


def _ignored(
    own: int, predicted: SegmentImage, truth: SegmentImage, shared: Mapping[tuple[int, int], int]
) -> int:
    """Return the pixels of a prediction without a true segment, or on crowds of its class."""
    name = predicted.segments[own].class_name
    return shared.get((own, 0), 0) + sum(
        shared.get((own, other), 0)
        for other, one in truth.segments.items()
        if one.is_crowd and one.class_name == name
    )


def _pairs(predicted: SegmentImage, truth: SegmentImage) -> list[tuple[int, int, int]]:
    """Return the pairs of ids that share pixels: predicted, true, and how many pixels."""
    if predicted.ids.shape != truth.ids.shape:
        raise ShapeError(
            'size_mismatch',
            f'segments: expected the size of the ground truth {truth.ids.shape}, got '
            f'{predicted.ids.shape} (rows, columns).',
        )
    numbers, indices = np.unique(predicted.ids, return_inverse=True)
    others, other_indices = np.unique(truth.ids, return_inverse=True)
    pairs, pixels = np.unique(
        indices.ravel() * len(others) + other_indices.ravel(), return_counts=True
    )
    return [
        (int(numbers[pair // len(others)]), int(others[pair % len(others)]), int(count))
        for pair, count in zip(pairs.tolist(), pixels.tolist(), strict=True)
    ]


def class_estimate(
    frames: Sequence[Mapping[str, ClassCounts]], name: str | None = None
) -> Statistic:
    """Return the statistic that computes the mean IoU and the share of right pixels.

    Args:
        frames: counts of each frame.
        name: of one class, for its IoU alone; None for all that are true or predicted.
    """
    names = sorted({one for frame in frames for one in frame} if name is None else {name})
    table = np.zeros((len(frames), len(names), 3))
    for row, frame in zip(table, frames, strict=True):
        for index, one in enumerate(names):
            counts = frame.get(one, ClassCounts())
            row[index] = counts.shared, counts.predicted, counts.true

    def estimate(weights: Int64Array) -> Float64Array:
        shared, predicted, true = np.tensordot(weights, table, axes=1).T
        union = predicted + true - shared
        known = union > 0
        if not known.any():
            return np.full(2, np.nan)
        accuracy = shared.sum() / true.sum() if true.sum() else np.nan
        return np.array([(shared[known] / union[known]).mean(), accuracy])

    return estimate
