"""How far off depth is, near and far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
import math

import numpy as np

from robot_perception.core import Depth, Float64Array, Int64Array, MetricDepth

# Bounds of true depth, metres; the last range has no end.
RANGES_M = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 20.0, float('inf'))


def range_names() -> list[str]:
    """Name each range: '0.5 to 1 m'."""
    return [
        f'{low:g} to {high:g} m' if math.isfinite(high) else f'from {low:g} m'
        for low, high in pairwise(RANGES_M)
    ]


@dataclass(frozen=True, slots=True, eq=False)
class DepthOverRange:
    """Sums over the pixels of one image, for each of the B ranges.

    Attributes:
        pixels: (B,) int64, pixels whose true and predicted depth is known.
        error: (B,) float64, sum of |p - t| / t.

    """

    pixels: Int64Array
    error: Float64Array


def depth_over_range(found: Depth | None, truth: MetricDepth | None) -> DepthOverRange | None:
    """Sum up one image; None where it has no metres to compare."""
    if truth is None or not isinstance(found, MetricDepth):
        return None
    both = np.isfinite(truth.meters) & np.isfinite(found.meters)
    true = truth.meters[both].astype(np.float64)
    error = np.abs(found.meters[both] - true) / true
    places = np.digitize(true, RANGES_M[1:-1])
    size = len(RANGES_M) - 1
    return DepthOverRange(
        np.bincount(places, minlength=size).astype(np.int64),
        np.bincount(places, weights=error, minlength=size).astype(np.float64),
    )


class RangeSums:
    """Those of all frames, for any mixture of them."""

    def __init__(self, frames: Sequence[DepthOverRange | None]) -> None:
        """Take F frames; those without depth add nothing."""
        nothing = np.zeros(len(RANGES_M) - 1)
        self._pixels = np.array([nothing if one is None else one.pixels for one in frames])
        self._error = np.array([nothing if one is None else one.error for one in frames])

    @property
    def pixels(self) -> list[int]:
        """Count of pixels in each range."""
        return [int(count) for count in self._pixels.sum(axis=0)]

    def abs_rel(self, weights: Int64Array) -> Float64Array:
        """AbsRel of each range, (B,) float64, over pixels; NaN where there are none."""
        pixels, error = weights @ self._pixels, weights @ self._error
        means: Float64Array = np.full(len(pixels), np.nan)
        np.divide(error, pixels, out=means, where=pixels > 0)
        return means
