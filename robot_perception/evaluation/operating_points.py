"""Precision, recall and F1 over the confidence threshold, and the threshold of the best F1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robot_perception.core import Float64Array, Int64Array
from robot_perception.evaluation.frame_matches import FrameMatches

# Thresholds that are compared: 0, 0.01 ... 1.
THRESHOLDS = np.linspace(0, 1, 101)
# Rounding of scores must not put 0.5 below a threshold of 0.5.
_TINY = 1e-6


@dataclass(frozen=True, slots=True)
class OperatingPoints:
    """Detections of a class, or of all, above each of `THRESHOLDS`, at a box IoU of 0.5.

    Attributes:
        name: of the class, empty for all together.
        precision: in [0, 1]; 1 above the highest score.
        recall: in [0, 1].
    """

    name: str
    precision: tuple[float, ...]
    recall: tuple[float, ...]

    @property
    def f1(self) -> tuple[float, ...]:
        """Harmonic mean of precision and recall at each threshold."""
        return tuple(
            2 * one * other / (one + other) if one + other else 0.0
            for one, other in zip(self.precision, self.recall, strict=True)
        )

    @property
    def best(self) -> int:
        """Index of the threshold of the best F1, the middle of equals."""
        f1 = np.array(self.f1)
        equals = np.flatnonzero(f1 >= f1.max())
        return int(equals[len(equals) // 2])


def operating_points(
    frames: Sequence[FrameMatches], class_names: Sequence[str]
) -> tuple[OperatingPoints, ...]:
    """Return the points of all classes together, which have an object that counts, then of each.

    All together include predictions of classes without an object, which are wrong.
    """
    scores = np.concatenate([np.zeros(0), *(one.scores for one in frames)])
    outcomes = [
        np.concatenate([np.zeros(0, np.bool_), *parts])
        for parts in (
            [one.true_positives[0] for one in frames],
            [one.false_positives[0] for one in frames],
        )
    ]
    names = np.array([name for one in frames for name in one.class_names], np.str_)
    points = []
    for name in ('', *class_names):
        own = names == name if name else np.ones(len(names), np.bool_)
        objects = sum(
            sum(one.objects.values()) if not name else one.objects.get(name, 0) for one in frames
        )
        true_positives, false_positives = (_above(scores[own & kind]) for kind in outcomes)
        every = true_positives + false_positives
        precision = np.where(every > 0, true_positives / np.maximum(every, 1), 1.0)
        recall = true_positives / max(objects, 1)
        points.append(OperatingPoints(name, tuple(precision.tolist()), tuple(recall.tolist())))
    return tuple(points)


def _above(scores: Float64Array) -> Int64Array:
    """Count the scores from each threshold on."""
    return len(scores) - np.searchsorted(np.sort(scores), THRESHOLDS - _TINY, side='left')
