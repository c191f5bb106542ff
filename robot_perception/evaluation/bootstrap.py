"""How far a figure would move with other frames: the bootstrap."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from robot_perception.core import Float64Array, Int64Array

RESAMPLES = 1000
CONFIDENCE = 0.95
_SEED = 0
# One frame tells nothing of others.
_LEAST_FRAMES = 2

# Figures (K,) float64 of a mixture of frames, (F,) int64 counts of each; NaN for unknown.
Statistic = Callable[[Int64Array], Float64Array]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with the range in which it lies with 95 % confidence; unknown is None."""

    value: float | None
    low: float | None
    high: float | None


class Bootstrap:
    """Mixtures of frames, drawn with replacement.

    The interval is that of the percentiles (Efron 1979): frames are drawn anew as often as there
    are frames, the figure is worked out for each draw, and the middle 95 % of what comes out are
    kept. Whole frames are drawn, because errors within one frame belong together.
    """

    def __init__(self, frames: int) -> None:
        """Draw, always the same."""
        self._once = np.ones(frames, np.int64)
        shares = self._once / max(frames, 1)
        self._draws: Int64Array = (
            np.random.default_rng(_SEED).multinomial(frames, shares, RESAMPLES)
            if frames >= _LEAST_FRAMES
            else np.zeros((0, frames), np.int64)
        )

    def figures(self, estimate: Statistic) -> list[Estimate]:
        """Give each figure of ``estimate`` with its interval."""
        values = estimate(self._once)
        drawn = np.array([estimate(weights) for weights in self._draws])
        return [
            make_estimate(
                number(float(value)), *_interval(drawn[:, place] if len(drawn) else drawn)
            )
            for place, value in enumerate(values)
        ]


class FrameValues:
    """Numbers that come by frame, any count in each."""

    def __init__(self, frames: Iterable[Sequence[float]]) -> None:
        """Take the numbers of each frame."""
        numbers = [np.array(one, np.float64) for one in frames]
        self._values = np.concatenate([np.zeros(0), *numbers])
        self._counts = np.array([len(one) for one in numbers], np.int64)
        self._sums = np.array([one.sum() for one in numbers], np.float64)

    def mean(self, weights: Int64Array) -> Float64Array:
        """Mean over all numbers: (1,)."""
        total = int(weights @ self._counts)
        return np.array([weights @ self._sums / total if total else np.nan])

    def percentile(self, percent: float) -> Statistic:
        """Give the estimate of a percentile of all numbers."""

        def estimate(weights: Int64Array) -> Float64Array:
            drawn = np.repeat(self._values, np.repeat(weights, self._counts))
            return np.array([np.percentile(drawn, percent) if drawn.size else np.nan])

        return estimate


def make_estimate(value: float | None, low: float | None, high: float | None) -> Estimate:
    """Join a figure with its interval, widened where it would not hold the figure.

    Average precision of few objects is higher in most draws than over all frames: of frames drawn
    twice, the curve has fewer steps.
    """
    if value is None or low is None or high is None:
        return Estimate(value, low, high)
    return Estimate(value, min(low, value), max(high, value))


def number(value: float) -> float | None:
    """Give a figure as it is reported: unknown is None."""
    return value if np.isfinite(value) else None


def _interval(drawn: Float64Array) -> tuple[float | None, float | None]:
    known = drawn[np.isfinite(drawn)]
    if not known.size:
        return None, None
    outside = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(known, (outside, 100 - outside))
    return float(low), float(high)


# Numbers of one frame; empty when nothing is known.
Values = Sequence[float]


def mean(frames: Iterable[Values]) -> Statistic:
    """Give the estimate of the mean of all numbers of all frames."""
    return FrameValues(frames).mean
