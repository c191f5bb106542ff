"""How far a figure would move with other frames: the bootstrap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from robot_perception.core.arrays import Float64Array, Int64Array

RESAMPLES = 1000
CONFIDENCE = 0.95
_SEED = 0
# One frame tells nothing of others.
_LEAST_FRAMES = 2

# Figures (K,) float64 of a mixture of frames, (F,) int64 counts of each; NaN for unknown.
Estimate = Callable[[Int64Array], Float64Array]


@dataclass(frozen=True, slots=True)
class Estimated:
    """A figure with the range in which it lies with 95 % confidence; unknown is None."""

    value: float | None
    low: float | None
    high: float | None


class Resampling:
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

    def figures(self, estimate: Estimate) -> list[Estimated]:
        """Give each figure of ``estimate`` with its interval."""
        values = estimate(self._once)
        drawn = np.array([estimate(weights) for weights in self._draws])
        return [
            Estimated(number(float(value)), *_interval(drawn[:, place] if len(drawn) else drawn))
            for place, value in enumerate(values)
        ]


class FrameValues:
    """Numbers that come by frame, any count in each."""

    def __init__(self) -> None:
        """Start empty."""
        self._values: list[float] = []
        self._counts: list[int] = []

    def append(self, values: Sequence[float]) -> None:
        """Take the numbers of the next frame."""
        self._values.extend(values)
        self._counts.append(len(values))

    def mean(self, weights: Int64Array) -> Float64Array:
        """Mean over all numbers: (1,)."""
        values, taken = self._taken(weights)
        total = int(taken.sum())
        return np.array([values @ taken / total if total else np.nan])

    def percentile(self, percent: float) -> Estimate:
        """Give the estimate of a percentile of all numbers."""

        def estimate(weights: Int64Array) -> Float64Array:
            values, taken = self._taken(weights)
            repeated = np.repeat(values, taken)
            return np.array([np.percentile(repeated, percent) if repeated.size else np.nan])

        return estimate

    def _taken(self, weights: Int64Array) -> tuple[Float64Array, Int64Array]:
        """All numbers, and how often each was drawn."""
        return np.array(self._values, np.float64), np.repeat(weights, self._counts)


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
