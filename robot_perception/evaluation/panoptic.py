"""Panoptic quality: every pixel belongs to one object, and is right or wrong once."""

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

# Two segments that share more than half of what either covers can have no other partner.
_SAME_IOU = 0.5
_MOSTLY = 0.5


@dataclass(frozen=True, slots=True)
class SegmentCounts:
    """Segments of one class.

    Attributes:
        iou_sum: overlaps of those that were found.
        found: count of true segments with a partner.
        invented: predictions without one.
        missed: true segments without one.

    """

    iou_sum: float = 0.0
    found: int = 0
    invented: int = 0
    missed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """Objects with their pixels: N names and N masks."""

    objects: Detections
    masks: Masks


def panoptic_counts(
    found: Segments, truth: Segments, counted: BoolArray
) -> dict[str, SegmentCounts]:
    """Compare the segments of one frame by class (Kirillov et al. 2019, Panoptic Segmentation).

    Where masks overlap, the better score has the pixel. Pixels of objects that do not count are
    left out of every overlap, and a prediction that lies mostly on them is neither right nor
    wrong. Segments without a pixel are none.

    Args:
        found: predictions.
        truth: M objects; masks of the same size.
        counted: (M,) bool, objects that have to be found.

    """
    own, other = found.masks.instance_map(), truth.masks.instance_map()
    shared = _shared(other, own, len(truth.masks), len(found.masks))
    own_area, true_area = shared.sum(axis=0)[1:], shared.sum(axis=1)[1:]
    nowhere = shared[1:][~counted].sum(axis=0)[1:]
    counts: dict[str, list[float]] = {}
    taken = np.zeros(len(found.masks), np.bool_)
    for place in np.flatnonzero(counted & (true_area > 0)):
        name = truth.objects.class_names[place]
        same = np.array([one == name for one in found.objects.class_names], np.bool_)
        common = shared[place + 1, 1:]
        union = own_area + true_area[place] - common - nowhere
        overlap = np.where(same, common / np.maximum(union, 1), 0.0)
        best = int(overlap.argmax()) if len(overlap) else -1
        row = counts.setdefault(name, [0.0, 0, 0, 0])
        if best >= 0 and overlap[best] > _SAME_IOU:
            taken[best] = True
            row[0] += float(overlap[best])
            row[1] += 1
        else:
            row[3] += 1
    for place in np.flatnonzero(~taken & (own_area > 0)):
        if nowhere[place] <= _MOSTLY * own_area[place]:
            counts.setdefault(found.objects.class_names[place], [0.0, 0, 0, 0])[2] += 1
    return {
        name: SegmentCounts(row[0], int(row[1]), int(row[2]), int(row[3]))
        for name, row in counts.items()
    }


def panoptic_estimate(frames: Sequence[Mapping[str, SegmentCounts] | None]) -> Statistic:
    """Give PQ, SQ and RQ of mixtures of frames, each a mean over the classes there are.

    PQ is the sum of overlaps over found + invented / 2 + missed / 2; it is SQ, the mean overlap
    of what was found, times RQ, the share that was found. A class of predictions alone counts
    with 0, as in COCO's panoptic task.
    """
    names = sorted({name for one in frames if one is not None for name in one})
    table = np.zeros((len(frames), len(names), 4))
    for frame, one in zip(table, frames, strict=True):
        for name, counts in ({} if one is None else one).items():
            frame[names.index(name)] = (
                counts.iou_sum,
                counts.found,
                counts.invented,
                counts.missed,
            )

    def estimate(weights: Int64Array) -> Float64Array:
        iou_sum, found, invented, missed = np.tensordot(weights, table, axes=1).T
        size = found + (invented + missed) / 2
        known = size > 0
        if not known.any():
            return np.full(3, np.nan)
        iou_sum, found, size = iou_sum[known], found[known], size[known]
        quality = iou_sum / np.maximum(found, 1)
        return np.array([(iou_sum / size).mean(), quality.mean(), (found / size).mean()])

    return estimate


def _shared(first: UInt16Array, second: UInt16Array, rows: int, columns: int) -> Int64Array:
    """Pixels that each pair of segments shares: (rows + 1, columns + 1), 0 = background."""
    pairs = first.astype(np.int64) * (columns + 1) + second
    counts = np.bincount(pairs.ravel(), minlength=(rows + 1) * (columns + 1))
    return counts.reshape(rows + 1, columns + 1)
