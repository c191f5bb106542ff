"""What belongs to an object along one axis, and what strays from it."""

from __future__ import annotations

import numpy as np

from robot_perception.core import AnyArray, BoolArray

# Of all points: thinner than this, they are strays. Of a cube seen nearly from above each
# twelfth of a side holds more.
_LEAST_SHARE = 0.008
# Parts of what the inner 98 % of the points span.
_PARTS = 16
_LOW_MEDIAN_HIGH = np.array([0.01, 0.5, 0.99])


def without_strays(values: AnyArray, least: float) -> BoolArray:
    """Keep the values that go on without a gap from their median.

    Sides of an object that are seen at a flat angle hold few points, far from the median of the
    many on its top or front; but they hold some all the way. Strays are beyond a gap, or thin.

    Args:
        values: (N,) floating point, N >= 1.
        least: narrowest gap that counts.

    Returns:
        (N,) bool.

    """
    ranks = (_LOW_MEDIAN_HIGH * (len(values) - 1)).astype(np.int64)
    low, median, high = np.partition(values, ranks)[ranks]
    width = max(least, float(high - low) / _PARTS)
    places = np.rint((values - median) / width)
    # Farther out than this lies nothing that is reached in steps.
    reach = 2 * _PARTS
    near = np.clip(places, -reach, reach).astype(np.int64) + reach
    counts = np.bincount(near, minlength=2 * reach + 1)
    filled = counts >= _LEAST_SHARE * len(values)
    # Between two parts with a gap the median may be a stray.
    start = reach if filled[reach] else int(counts.argmax())
    after = np.flatnonzero(~filled[start + 1 :])
    before = np.flatnonzero(~filled[:start][::-1])
    last = start + int(after[0]) if len(after) else 2 * reach
    first = start - int(before[0]) if len(before) else 0
    kept: BoolArray = (places >= first - reach) & (places <= last - reach)
    return kept
