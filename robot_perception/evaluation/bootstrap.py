"""Confidence intervals of metrics over frames, by the bootstrap."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from robot_perception.core import Float64Array, Int64Array

RESAMPLES = 1000
CONFIDENCE = 0.95
_SEED = 0
# One frame does not show how much frames differ.
_LEAST_FRAMES = 2

# From (F,) int64 counts of each frame in a resample to K metrics, (K,) float64; NaN for unknown.
Statistic = Callable[[Int64Array], Float64Array]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A metric with its 95 % confidence interval; unknown is None."""

    value: float | None
    low: float | None
    high: float | None


class Bootstrap:
    """Resamples of frames, drawn with replacement.

    Intervals are percentile intervals (Efron 1979): each resample has as many frames as the
    original, the metric is computed for each, and the middle 95 % of the values are the interval.
    Whole frames are drawn, because errors within a frame are correlated.
    """

    def __init__(self, frames: int, resamples: int = RESAMPLES) -> None:
        """Draw the resamples with a fixed seed."""
        self._once = np.ones(frames, np.int64)
        shares = self._once / max(frames, 1)
        self._draws: Int64Array = (
            np.random.default_rng(_SEED).multinomial(frames, shares, resamples)
            if frames >= _LEAST_FRAMES
            else np.zeros((0, frames), np.int64)
        )

    def estimates(self, statistic: Statistic) -> list[Estimate]:
        """Return each metric of ``statistic`` with its interval."""
        values = statistic(self._once)
        drawn = np.array([statistic(weights) for weights in self._draws])
        return [
            make_estimate(
                finite_or_none(float(value)), *_interval(drawn[:, index] if len(drawn) else drawn)
            )
            for index, value in enumerate(values)
        ]


class FrameValues:
    """Values grouped by frame, any number of them in each."""

    def __init__(self, frames: Iterable[Iterable[float]]) -> None:
        """Store the values of each frame."""
        numbers = [np.array(tuple(one), np.float64) for one in frames]
        self._values = np.concatenate([np.zeros(0), *numbers])
        self._counts = np.array([len(one) for one in numbers], np.int64)
        self._sums = np.array([one.sum() for one in numbers], np.float64)

    def mean(self, weights: Int64Array) -> Float64Array:
        """Return the mean over all values, (1,)."""
        total = int(weights @ self._counts)
        return np.array([weights @ self._sums / total if total else np.nan])

    def percentile(self, percent: float) -> Statistic:
        """Return the statistic that computes a percentile of all values."""

        def statistic(weights: Int64Array) -> Float64Array:
            drawn = np.repeat(self._values, np.repeat(weights, self._counts))
            return np.array([np.percentile(drawn, percent) if drawn.size else np.nan])

        return statistic


def make_estimate(value: float | None, low: float | None, high: float | None) -> Estimate:
    """Return a metric with its interval, widened where it would not contain the metric.

    Average precision of few objects is higher in most resamples than over all frames: the curve of
    frames that are drawn twice has fewer steps.
    """
    if value is None or low is None or high is None:
        return Estimate(value, low, high)
    return Estimate(value, min(low, value), max(high, value))


def finite_or_none(value: float) -> float | None:
    """Return the value, or None for NaN and infinity."""
    return value if np.isfinite(value) else None


def _interval(drawn: Float64Array) -> tuple[float | None, float | None]:
    known = drawn[np.isfinite(drawn)]
    if not known.size:
        return None, None
    outside = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(known, (outside, 100 - outside))
    return float(low), float(high)


# Values of one frame; empty when nothing is known.
Values = Sequence[float]


def mean(frames: Iterable[Values]) -> Statistic:
    """Return the statistic that computes the mean of all values of all frames."""
    return FrameValues(frames).mean
