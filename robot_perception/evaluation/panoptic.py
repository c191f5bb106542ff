"""Panoptic quality, for which every pixel belongs to at most one object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from robot_perception.core import (
    BoolArray,
    Detections,
    Float64Array,
    Int64Array,
    Masks,
    UInt16Array,
)
from robot_perception.evaluation.bootstrap import Statistic

# Above an IoU of one half, a match is unique.
SAME_IOU = 0.5
# A prediction of which more lies on pixels that do not count is ignored.
MOSTLY = 0.5


@dataclass(frozen=True, slots=True)
class SegmentCounts:
    """Segments of one class.

    Attributes:
        iou_sum: sum of the IoU of the true positives.
        true_positives: count of true segments that match a prediction.
        false_positives: count of predictions without a match.
        false_negatives: count of true segments without a match.
    """

    iou_sum: float = 0.0
    true_positives: int = 0
    false_positives: int = 0
    false_negatives: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """Objects with their masks, N of each."""

    objects: Detections
    masks: Masks


def panoptic_counts(
    predictions: Segments, truth: Segments, counted: BoolArray
) -> dict[str, SegmentCounts]:
    """Compare the segments of one frame by class (Kirillov et al. 2019, Panoptic Segmentation).

    Where masks overlap, the pixel belongs to the object of the higher score. Pixels of objects
    that do not count are left out of every IoU, and a prediction that lies mostly on them is
    ignored. Segments without pixels are ignored too. All masks have one size; ``counted``, (M,)
    bool for M true objects, marks those that have to be detected.
    """
    own, other = predictions.masks.instance_map(), truth.masks.instance_map()
    shared = _shared(other, own, len(truth.masks), len(predictions.masks))
    own_area, true_area = shared.sum(axis=0)[1:], shared.sum(axis=1)[1:]
    ignored_area = shared[1:][~counted].sum(axis=0)[1:]
    counts: dict[str, list[float]] = {}
    matched = np.zeros(len(predictions.masks), np.bool_)
    for index in np.flatnonzero(counted & (true_area > 0)):
        name = truth.objects.class_names[index]
        same = np.array([one == name for one in predictions.objects.class_names], np.bool_)
        common = shared[index + 1, 1:]
        union = own_area + true_area[index] - common - ignored_area
        overlap = np.where(same, common / np.maximum(union, 1), 0.0)
        best = int(overlap.argmax()) if len(overlap) else -1
        row = counts.setdefault(name, [0.0, 0, 0, 0])
        if best >= 0 and overlap[best] > SAME_IOU:
            matched[best] = True
            row[0] += float(overlap[best])
            row[1] += 1
        else:
            row[3] += 1
    for index in np.flatnonzero(~matched & (own_area > 0)):
        if ignored_area[index] <= MOSTLY * own_area[index]:
            counts.setdefault(predictions.objects.class_names[index], [0.0, 0, 0, 0])[2] += 1
    return {
        name: SegmentCounts(row[0], int(row[1]), int(row[2]), int(row[3]))
        for name, row in counts.items()
    }


def panoptic_estimate(frames: Sequence[Mapping[str, SegmentCounts] | None]) -> Statistic:
    """Return the statistic that computes PQ, SQ and RQ, each a mean over the classes there are.

    PQ is the sum of IoU over TP + FP / 2 + FN / 2; it is SQ, the mean IoU of the true positives,
    times RQ, their F1 score. A class of predictions alone counts as 0, as in COCO's panoptic
    task.
    """
    names = sorted({name for one in frames if one is not None for name in one})
    table = np.zeros((len(frames), len(names), 4))
    for frame, one in zip(table, frames, strict=True):
        for name, counts in ({} if one is None else one).items():
            frame[names.index(name)] = (
                counts.iou_sum,
                counts.true_positives,
                counts.false_positives,
                counts.false_negatives,
            )

    def estimate(weights: Int64Array) -> Float64Array:
        iou_sum, true_positives, false_positives, false_negatives = np.tensordot(
            weights, table, axes=1
        ).T
        size = true_positives + (false_positives + false_negatives) / 2
        known = size > 0
        if not known.any():
            return np.full(3, np.nan)
        iou_sum, true_positives, size = iou_sum[known], true_positives[known], size[known]
        quality = iou_sum / np.maximum(true_positives, 1)
        return np.array([(iou_sum / size).mean(), quality.mean(), (true_positives / size).mean()])

    return estimate


def _shared(first: UInt16Array, second: UInt16Array, rows: int, columns: int) -> Int64Array:
    """Count the pixels that pairs of segments share, (rows + 1, columns + 1); 0 = background."""
    pairs = first.astype(np.int64) * (columns + 1) + second
    counts = np.bincount(pairs.ravel(), minlength=(rows + 1) * (columns + 1))
    return counts.reshape(rows + 1, columns + 1)
