"""Matching of predictions with true objects, by the rule of COCO."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robot_perception.core import BoolArray, Detections, Float64Array, Int64Array

# As in COCO's own code: boxes that agree exactly also pass a limit of 1.
_MAX_LIMIT = 1 - 1e-10
_NO_OVERLAP = -1.0


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
    return match_overlaps(
        predictions.scores.astype(np.float64),
        _overlaps(predictions, truth, counted),
        counted,
        limits,
    )


def match_overlaps(
    scores: Float64Array, overlaps: Float64Array, counted: BoolArray, limits: Sequence[float]
) -> Matches:
    """Match N predictions as `match` does, boxes or masks.

    Args:
        scores: (N,) float64.
        overlaps: (N, M) float64 in [0, 1], negative for another class: the IoU, and the share of
            the prediction that lies on an object that does not count.
        counted: (M,) bool.
        limits: T IoU thresholds, in (0, 1].
    """
    partners = np.full((len(limits), len(scores)), -1, np.int64)
    ignored = np.zeros(partners.shape, np.bool_)
    if not len(counted):
        return Matches(partners, ignored)
    least = np.minimum(np.array(limits, np.float64), _MAX_LIMIT)[:, None]
    free = np.ones((len(limits), len(counted)), np.bool_)
    rows = np.arange(len(limits))
    for index in np.argsort(-scores, kind='stable'):
        overlap = overlaps[index]
        enough = free & (overlap >= least)
        eligible = enough & counted
        eligible |= enough & ~eligible.any(axis=1, keepdims=True)
        rank = np.where(eligible, overlap, _NO_OVERLAP)
        # The last of equals, as in COCO's own code.
        best = len(counted) - 1 - np.argmax(rank[:, ::-1], axis=1)
        matched = eligible.any(axis=1)
        partners[matched, index] = best[matched]
        ignored[:, index] = matched & ~counted[best]
        free[rows, best] &= ~(matched & counted[best])
    return Matches(partners, ignored)


def box_overlaps(boxes: Float64Array, truth: Float64Array, counted: BoolArray) -> Float64Array:
    """Compute the IoU of boxes, and the share of a box that lies on an object that is ignored.

    The order of operations is that of COCO's own code, so that the last bit is the same.

    Args:
        boxes: (N, 4) float64: left, top, width, height.
        truth: (M, 4) float64 likewise.
        counted: (M,) bool, false for objects that are ignored.

    Returns:
        (N, M) float64 in [0, 1].
    """
    first, second = boxes[:, None, :], truth[None, :, :]
    near = np.maximum(first[..., :2], second[..., :2])
    far = np.minimum(first[..., 2:] + first[..., :2], second[..., 2:] + second[..., :2])
    sides = far - near
    common = np.where((sides > 0).all(axis=-1), sides[..., 0] * sides[..., 1], 0.0)
    own = (boxes[:, 2] * boxes[:, 3])[:, None]
    whole = np.where(counted, own + (truth[:, 2] * truth[:, 3])[None] - common, own)
    return np.divide(common, whole, out=np.zeros_like(common), where=common > 0)


def best_first(predictions: Detections) -> Int64Array:
    """Return the indices of predictions by falling score, equal scores in their input order."""
    return np.argsort(-predictions.scores.astype(np.float64), kind='stable')


def box_xywh(objects: Detections) -> Float64Array:
    """Return the boxes of N objects as (N, 4) float64: left, top, width, height."""
    boxes = objects.boxes_xyxy.astype(np.float64)
    boxes[:, 2:] -= boxes[:, :2]
    return boxes


def _overlaps(predictions: Detections, truth: Detections, counted: BoolArray) -> Float64Array:
    """Return the overlaps, (N, M) float64 in [0, 1]; -1 for another class."""
    share = box_overlaps(box_xywh(predictions), box_xywh(truth), counted)
    same = np.array(predictions.class_names)[:, None] == np.array(truth.class_names)[None]
    return np.where(same, share, _NO_OVERLAP)
