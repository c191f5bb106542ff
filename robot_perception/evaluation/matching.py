"""Matching of predictions with true objects, by the rule of COCO."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robot_perception.core import area_xyxy, BoolArray, Detections, Float64Array, Int64Array

# As in COCO's own code: boxes that agree exactly also pass a limit of 1.
_MAX_LIMIT = 1 - 1e-10
_NO_OVERLAP = -1.0
# Ranks objects that count above all that are ignored, whose overlap is at most 1.
_COUNTED_FIRST = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """Matches of N predictions at T IoU thresholds.

    Attributes:
        truth: (T, N) int64, index of the true object, -1 for none.
        ignored: (T, N) bool, predictions that are neither true nor false positives.
    """

    truth: Int64Array
    ignored: BoolArray

    @property
    def true_positives(self) -> BoolArray:
        """(T, N) bool, predictions that match an object that counts."""
        return (self.truth >= 0) & ~self.ignored

    @property
    def false_positives(self) -> BoolArray:
        """(T, N) bool, predictions without an object: background, wrong classes, duplicates."""
        return (self.truth < 0) & ~self.ignored


def match(
    predictions: Detections, truth: Detections, counted: BoolArray, limits: Sequence[float]
) -> Matches:
    """Match each prediction with the true object of its class that it overlaps most.

    Predictions are matched in order of their scores, and an object that counts is matched once.
    An object that does not count matches any number of predictions, but only those without
    another match; these are compared by the share that lies on it, not by IoU
    (Lin et al. 2014, Microsoft COCO, with ``iscrowd`` for what does not count).

    Args:
        predictions: N predictions in any order.
        truth: M true objects; classes are compared by name.
        counted: (M,) bool, objects that have to be detected.
        limits: T IoU thresholds, in (0, 1].
    """
    partners = np.full((len(limits), len(predictions)), -1, np.int64)
    ignored = np.zeros(partners.shape, np.bool_)
    if not len(truth):
        return Matches(partners, ignored)
    overlaps = _overlaps(predictions, truth, counted)
    least = np.minimum(np.array(limits, np.float64), _MAX_LIMIT)[:, None]
    free = np.ones((len(limits), len(truth)), np.bool_)
    rows = np.arange(len(limits))
    for index in best_first(predictions):
        overlap = overlaps[index]
        rank = np.where(free & (overlap >= least), overlap + _COUNTED_FIRST * counted, -1.0)
        # The last of equals, as in COCO's own code.
        best = len(truth) - 1 - np.argmax(rank[:, ::-1], axis=1)
        matched = rank[rows, best] >= 0
        partners[matched, index] = best[matched]
        ignored[:, index] = matched & ~counted[best]
        free[rows, best] &= ~(matched & counted[best])
    return Matches(partners, ignored)


def best_first(predictions: Detections) -> Int64Array:
    """Return the indices of predictions by falling score, equal scores in their input order."""
    return np.argsort(-predictions.scores.astype(np.float64), kind='stable')


def _overlaps(predictions: Detections, truth: Detections, counted: BoolArray) -> Float64Array:
    """Return the overlaps, (N, M) float64 in [0, 1]; -1 for another class."""
    first, second = (boxes.boxes_xyxy.astype(np.float64) for boxes in (predictions, truth))
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    common = np.prod(np.clip(high - low, 0, None), axis=-1)
    own = area_xyxy(predictions.boxes_xyxy)[:, None]
    union = own + area_xyxy(truth.boxes_xyxy)[None] - common
    whole = np.where(counted, union, own)
    share = np.divide(common, whole, out=np.zeros_like(common), where=whole > 0)
    same = np.array(predictions.class_names)[:, None] == np.array(truth.class_names)[None]
    return np.where(same, share, _NO_OVERLAP)
