"""Which prediction is which true object: the rule of COCO."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robot_perception.core import area_xyxy, BoolArray, Detections, Float64Array, Int64Array

# As COCO's own code has it: boxes that agree exactly also pass a limit of 1.
_MAX_LIMIT = 1 - 1e-10
_NO_OVERLAP = -1.0
# Lifts objects that count above all that are ignored, whose overlap is at most 1.
_COUNTED_FIRST = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """Partners of N predictions at T limits of overlap.

    Attributes:
        truth: (T, N) int64, place of the true object, -1 for none.
        ignored: (T, N) bool, predictions that are neither right nor wrong.

    """

    truth: Int64Array
    ignored: BoolArray

    @property
    def right(self) -> BoolArray:
        """(T, N) bool, predictions of an object that counts."""
        right: BoolArray = (self.truth >= 0) & ~self.ignored
        return right

    @property
    def wrong(self) -> BoolArray:
        """(T, N) bool, predictions of nothing, of another class, or of what was found before."""
        wrong: BoolArray = (self.truth < 0) & ~self.ignored
        return wrong


def match(
    found: Detections, truth: Detections, counted: BoolArray, limits: Sequence[float]
) -> Matches:
    """Give each prediction the true object of its class that it overlaps most.

    Predictions choose in order of their scores, and an object that counts is given away once.
    An object that does not count takes any number of predictions, but only those that find no
    other; of these the share that lies on it is compared, not the intersection over union
    (Lin et al. 2014, Microsoft COCO, with ``iscrowd`` for what does not count).

    Args:
        found: N predictions in any order.
        truth: M true objects; classes are compared by name.
        counted: (M,) bool, objects that have to be found.
        limits: T smallest overlaps, in (0, 1].

    """
    partners = np.full((len(limits), len(found)), -1, np.int64)
    ignored = np.zeros(partners.shape, np.bool_)
    if not len(truth):
        return Matches(partners, ignored)
    overlaps = _overlaps(found, truth, counted)
    least = np.minimum(np.array(limits, np.float64), _MAX_LIMIT)[:, None]
    free = np.ones((len(limits), len(truth)), np.bool_)
    rows = np.arange(len(limits))
    for index in best_first(found):
        overlap = overlaps[index]
        rank = np.where(free & (overlap >= least), overlap + _COUNTED_FIRST * counted, -1.0)
        # The last of equals, as in COCO's own code.
        best = len(truth) - 1 - np.argmax(rank[:, ::-1], axis=1)
        hit = rank[rows, best] >= 0
        partners[hit, index] = best[hit]
        ignored[:, index] = hit & ~counted[best]
        free[rows, best] &= ~(hit & counted[best])
    return Matches(partners, ignored)


def best_first(found: Detections) -> Int64Array:
    """Places of predictions in order of their scores, equals in the order they came in."""
    return np.argsort(-found.scores.astype(np.float64), kind='stable')


def _overlaps(found: Detections, truth: Detections, counted: BoolArray) -> Float64Array:
    """(N, M) float64 in [0, 1], -1 for another class."""
    first, second = (boxes.boxes_xyxy.astype(np.float64) for boxes in (found, truth))
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    common = np.prod(np.clip(high - low, 0, None), axis=-1)
    own = area_xyxy(found.boxes_xyxy)[:, None]
    union = own + area_xyxy(truth.boxes_xyxy)[None] - common
    whole = np.where(counted, union, own)
    share = np.divide(common, whole, out=np.zeros_like(common), where=whole > 0)
    same = np.array(found.class_names)[:, None] == np.array(truth.class_names)[None]
    overlaps: Float64Array = np.where(same, share, _NO_OVERLAP)
    return overlaps
