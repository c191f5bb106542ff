"""Average precision and recall of boxes or masks by COCO's rules, for any resample of frames.

A confidence interval needs the metrics of thousands of resamples of the frames. Which predictions
are true positives does not depend on the resample, so they are matched once, and only the sums
are repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

import numpy as np

from robot_perception.core import BoolArray, Detections, Float64Array, Int64Array, requires
from robot_perception.evaluation.frame_matches import (
    FrameMatches,
    IOU_LIMITS,
    MAX_DETECTIONS,
)
from robot_perception.evaluation.matching import best_first

# COCO's levels of recall.
RECALLS = np.linspace(0, 1, 101)

_AP50, _AP75 = 0, 5
_TINY = np.spacing(1)


@dataclass(frozen=True, slots=True, eq=False)
class FrameBoxes:
    """Boxes of one frame.

    Attributes:
        predictions: at most `MAX_DETECTIONS`, best first.
        truth: M true objects.
        counted: (M,) bool, objects that have to be detected.
    """

    predictions: Detections
    truth: Detections
    counted: BoolArray

    @classmethod
    def of(cls, predictions: Detections, truth: Detections, counted: BoolArray) -> FrameBoxes:
        """Return a frame with the best of the predictions."""
        return cls(predictions[best_first(predictions)[:MAX_DETECTIONS]], truth, counted)


@dataclass(frozen=True, slots=True, eq=False)
class DetectionMetrics:
    """Metrics in [0, 1] over all classes and of each; NaN where no object counts.

    Attributes:
        ap: mean over classes and `IOU_LIMITS` of the precision averaged over 101 recalls.
        ap50: the same at an IoU of 0.5 alone.
        ap75: the same at 0.75.
        ar: mean over classes and `IOU_LIMITS` of the recall.
        class_ap: (K,) float64, `ap` of each class.
    """

    ap: float
    ap50: float
    ap75: float
    ar: float
    class_ap: Float64Array

    @classmethod
    def of(cls, precision: Float64Array, recall: Float64Array) -> DetectionMetrics:
        """Average precision (T, R, K) at IoU thresholds, recalls and classes, and recall (T, K).

        NaN is unknown and left out.
        """
        by_class = precision.mean(axis=(0, 1))
        return cls(
            ap=_nan_mean(by_class),
            ap50=_nan_mean(precision[_AP50].mean(axis=0)),
            ap75=_nan_mean(precision[_AP75].mean(axis=0)),
            ar=_nan_mean(recall.mean(axis=0)),
            class_ap=by_class,
        )

    def as_array(self) -> Float64Array:
        """Return ap, ap50, ap75, ar and class_ap as (4 + K,) float64."""
        return np.array([self.ap, self.ap50, self.ap75, self.ar, *self.class_ap.tolist()])


@dataclass(frozen=True, slots=True, eq=False)
class _RankedPredictions:
    """All N predictions of one class, best first.

    Most are false positives at every IoU threshold. They are summed once for all thresholds, and
    only the other M separately: between these, precision falls and recall stays, so that no other
    point of the curve is needed.

    Attributes:
        frame: (N,) int64, the frame of each.
        always_false: (N,) bool, false positives at every threshold.
        indices: (M,) int64, indices of the others.
        true_positives: (T, M) bool.
        false_positives: (T, M) bool.
        objects: (F,) int64, true objects that count in each frame.
    """

    frame: Int64Array
    always_false: BoolArray
    indices: Int64Array
    true_positives: BoolArray
    false_positives: BoolArray
    objects: Int64Array


class PrecisionCurves:
    """Predictions of all frames, matched once."""

    def __init__(self, frames: Sequence[FrameMatches], class_names: Sequence[str]) -> None:
        """Collect F frames; predictions of classes not among the K are ignored, as in COCO."""
        frame = np.repeat(np.arange(len(frames)), [len(one.scores) for one in frames])
        scores = np.concatenate([np.zeros(0), *(one.scores for one in frames)])
        order = np.argsort(-scores, kind='stable')
        empty = np.zeros((len(IOU_LIMITS), 0), np.bool_)
        true_positives, false_positives = (
            np.concatenate([empty, *parts], axis=1)[:, order]
            for parts in (
                [one.true_positives for one in frames],
                [one.false_positives for one in frames],
            )
        )
        names = np.array([name for one in frames for name in one.class_names], np.str_)
        self._classes = []
        for name in class_names:
            own = np.flatnonzero(names[order] == name)
            always_false: BoolArray = np.asarray(false_positives[:, own].all(axis=0))
            others = own[~always_false]
            self._classes.append(
                _RankedPredictions(
                    frame[order][own],
                    always_false,
                    np.flatnonzero(~always_false),
                    true_positives[:, others],
                    false_positives[:, others],
                    np.array([one.objects.get(name, 0) for one in frames], np.int64),
                )
            )

    def metrics(self, weights: Int64Array) -> DetectionMetrics:
        """Compute the metrics of a resample that has each frame ``weights``, (F,) int64, times."""
        return DetectionMetrics.of(*self.curves(weights))

    def curves(self, weights: Int64Array) -> tuple[Float64Array, Float64Array]:
        """Compute the precision at `RECALLS` and the recall of all predictions of a resample.

        Returns:
            (T, R, K) and (T, K) float64 at `IOU_LIMITS`, per class; NaN where no object counts.
        """
        precision = np.full((len(IOU_LIMITS), len(RECALLS), len(self._classes)), np.nan)
        recall = np.full((len(IOU_LIMITS), len(self._classes)), np.nan)
        for index, ranked in enumerate(self._classes):
            total = int(weights @ ranked.objects)
            if total:
                precision[..., index], recall[..., index] = _curve(ranked, weights, total)
        return precision, recall


def _curve(
    ranked: _RankedPredictions, weights: Int64Array, total: int
) -> tuple[Float64Array, Float64Array]:
    """Return the precision at each recall, (T, R), and the recall of all predictions, (T,)."""
    precision = np.zeros((len(IOU_LIMITS), len(RECALLS)))
    if not len(ranked.indices):
        return precision, np.zeros(len(IOU_LIMITS))
    taken = weights[ranked.frame]
    false_positives_before = np.cumsum(taken * ranked.always_false)[ranked.indices]
    taken = taken[ranked.indices]
    true_positives = np.cumsum(ranked.true_positives * taken, axis=1)
    false_positives = np.cumsum(ranked.false_positives * taken, axis=1) + false_positives_before
    recalls = true_positives / total
    # The best precision of all operating points with at least this recall.
    reached = true_positives / (true_positives + false_positives + _TINY)
    reached = np.maximum.accumulate(reached[:, ::-1], axis=1)[:, ::-1]
    for row, recall, best in zip(precision, recalls, reached, strict=True):
        indices = np.searchsorted(recall, RECALLS, side='left')
        inside = indices < len(recall)
        row[inside] = best[indices[inside]]
    return precision, recalls[:, -1]


def _nan_mean(values: Float64Array) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float('nan')


def check_installation() -> None:
    """Raise MissingLibraryError unless faster-coco-eval can be imported."""
    with requires('"faster-coco-eval>=1.6.7"'):
        import_module('faster_coco_eval')
