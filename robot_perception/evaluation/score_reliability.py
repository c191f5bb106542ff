"""Calibration of scores: how many of the detections of a score are right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from robot_perception.core import BoolArray, Float64Array, Int64Array
from robot_perception.evaluation.bootstrap import Bootstrap
from robot_perception.evaluation.matching import match
from robot_perception.evaluation.precision import FrameBoxes
from robot_perception.evaluation.report import MetricRow, ReliabilityBin

# Detections below are rarely used as objects, so their scores matter less.
MIN_SCORE = 0.3
BINS = 15
BOX_IOU = 0.5
GROUP = 'score calibration'


@dataclass(frozen=True, slots=True, eq=False)
class JudgedScores:
    """Scores of N detections of one frame, in any order.

    Attributes:
        scores: (N,) float64 in [0, 1].
        true_positives: (N,) bool, at a box IoU of 0.5.
    """

    scores: Float64Array
    true_positives: BoolArray

    @classmethod
    def of(cls, boxes: FrameBoxes) -> JudgedScores:
        """Match the predictions of a frame; what lies on an ignored object is left out."""
        matches = match(boxes.predictions, boxes.truth, boxes.counted, [BOX_IOU])
        judged = ~matches.ignored[0]
        scores = boxes.predictions.scores[judged].astype(np.float64)
        return cls(scores, matches.true_positives[0][judged])

    def above(self, score: float) -> JudgedScores:
        """Return the detections of at least a score."""
        kept = self.scores >= score
        return JudgedScores(self.scores[kept], self.true_positives[kept])


def reliability_bins(
    scores: Float64Array, true_positives: BoolArray, bins: int = BINS
) -> tuple[ReliabilityBin, ...]:
    """Divide detections by score into bins of as many each; fewer bins if there are fewer.

    Args:
        scores: (N,) float64 in [0, 1].
        true_positives: (N,) bool, which of them are right.
        bins: most bins.
    """
    order = np.argsort(scores, kind='stable')
    parts = np.array_split(order, min(bins, len(order))) if len(order) else []
    return tuple(
        ReliabilityBin(
            low=float(scores[part[0]]),
            high=float(scores[part[-1]]),
            count=len(part),
            mean_score=float(scores[part].mean()),
            precision=float(true_positives[part].mean()),
        )
        for part in parts
    )


def expected_calibration_error(
    scores: Float64Array, true_positives: BoolArray, bins: int = BINS
) -> float:
    """Return the mean difference of score and precision, over bins of equal count.

    NaN without detections. Arguments as for `reliability_bins`.
    """
    parts = reliability_bins(scores, true_positives, bins)
    if not parts:
        return float('nan')
    counts = [one.count for one in parts]
    return float(
        np.average([abs(one.mean_score - one.precision) for one in parts], weights=counts)
    )


def pooled(frames: Sequence[JudgedScores]) -> JudgedScores:
    """Return the detections of all frames."""
    return JudgedScores(
        np.concatenate([np.zeros(0), *(one.scores for one in frames)]),
        np.concatenate([np.zeros(0, np.bool_), *(one.true_positives for one in frames)]),
    )


def score_rows(bootstrap: Bootstrap, frames: Sequence[JudgedScores]) -> Iterator[MetricRow]:
    """Yield the calibration error of scores above `MIN_SCORE`; nothing without detections."""
    kept = [one.above(MIN_SCORE) for one in frames]
    everything = pooled(kept)
    scores, true_positives = everything.scores, everything.true_positives
    if not len(scores):
        return
    frame = np.repeat(np.arange(len(kept)), [len(one.scores) for one in kept])

    def statistic(weights: Int64Array) -> Float64Array:
        drawn = np.repeat(np.arange(len(scores)), weights[frame])
        if not len(drawn):
            return np.full(3, np.nan)
        return np.array(
            [
                expected_calibration_error(scores[drawn], true_positives[drawn]),
                scores[drawn].mean(),
                true_positives[drawn].mean(),
            ]
        )

    error, mean_score, precision = bootstrap.estimates(statistic)
    yield MetricRow(
        *(GROUP, 'expected calibration error', error.value, error.low, error.high, ''),
        higher_is_better=False,
    )
    for name, value in (
        (f'detections of a score of at least {MIN_SCORE:g}', len(scores)),
        ('lowest of their scores', float(scores.min())),
    ):
        yield MetricRow(GROUP, name, value, None, None, '', higher_is_better=None)
    for name, one in (('mean of their scores', mean_score), ('precision', precision)):
        yield MetricRow(GROUP, name, one.value, one.low, one.high, '', higher_is_better=None)
