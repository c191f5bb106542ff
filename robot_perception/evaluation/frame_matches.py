"""Matches of one frame at COCO's IoU thresholds, of boxes or of masks, for average precision."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from robot_perception.core import BoolArray, Detections, encode_rle, Float64Array, Masks
from robot_perception.evaluation.coco_masks import mask_overlaps, Rle
from robot_perception.evaluation.matching import box_overlaps, box_xywh, match_overlaps

# COCO's IoU thresholds, and most predictions of one class in one frame.
IOU_LIMITS: tuple[float, ...] = tuple(np.linspace(0.5, 0.95, 10).tolist())
MAX_DETECTIONS = 100
_OTHER_CLASS = -1.0


@dataclass(frozen=True, slots=True, eq=False)
class FrameMatches:
    """Outcomes of N predictions of one frame, best first.

    Attributes:
        scores: (N,) float64.
        class_names: N names.
        true_positives: (T, N) bool, at `IOU_LIMITS`.
        false_positives: (T, N) bool; neither is a prediction on an object that is ignored.
        objects: class -> true objects that count.
    """

    scores: Float64Array
    class_names: tuple[str, ...]
    true_positives: BoolArray
    false_positives: BoolArray
    objects: Mapping[str, int]

    @classmethod
    def empty(cls) -> FrameMatches:
        """Return no predictions and no objects."""
        nothing = np.zeros((len(IOU_LIMITS), 0), np.bool_)
        return cls(np.zeros(0), (), nothing, nothing, {})

    @classmethod
    def of(
        cls,
        scores: Float64Array,
        class_names: Sequence[str],
        overlaps: Float64Array,
        true_names: Sequence[str],
        counted: BoolArray,
    ) -> FrameMatches:
        """Match N predictions in any order, the best `MAX_DETECTIONS` of each class.

        Args:
            scores: (N,) float64.
            class_names: N names.
            overlaps: (N, M) float64 with the true objects, of any class.
            true_names: M names.
            counted: (M,) bool, objects that have to be detected.
        """
        order = np.argsort(-scores, kind='stable')
        taken: Counter[str] = Counter()
        kept = []
        for index in order.tolist():
            taken[class_names[index]] += 1
            if taken[class_names[index]] <= MAX_DETECTIONS:
                kept.append(index)
        names = tuple(class_names[index] for index in kept)
        same = np.array(names, np.str_)[:, None] == np.array(true_names, np.str_)[None]
        matches = match_overlaps(
            scores[kept], np.where(same, overlaps[kept], _OTHER_CLASS), counted, IOU_LIMITS
        )
        objects = Counter(true_names[index] for index in np.flatnonzero(counted).tolist())
        return cls(scores[kept], names, matches.true_positives, matches.false_positives, objects)

    @classmethod
    def of_boxes(
        cls, predictions: Detections, truth: Detections, counted: BoolArray
    ) -> FrameMatches:
        """Match the boxes of N predictions with those of M true objects."""
        return cls.of(
            predictions.scores.astype(np.float64),
            predictions.class_names,
            box_overlaps(box_xywh(predictions), box_xywh(truth), counted),
            truth.class_names,
            counted,
        )

    @classmethod
    def of_masks(
        cls,
        predictions: tuple[Detections, Masks],
        truth: tuple[Detections, Masks],
        counted: BoolArray,
    ) -> FrameMatches:
        """Match the masks of N predictions with those of M true objects."""
        runs, true_runs = (
            [_run_lengths(mask) for mask in masks.pixels] for _, masks in (predictions, truth)
        )
        return cls.of(
            predictions[0].scores.astype(np.float64),
            predictions[0].class_names,
            mask_overlaps(runs, true_runs, counted),
            truth[0].class_names,
            counted,
        )


def _run_lengths(mask: BoolArray) -> Rle:
    return {'size': list(mask.shape), 'counts': encode_rle(mask)}
