"""Outliers of values along one axis."""

from __future__ import annotations

import numpy as np

from robot_perception.core import AnyArray, BoolArray

# Bins with a smaller share of all points hold outliers. Each twelfth of the side of a cube that is
# seen almost from above holds more.
_MIN_SHARE = 0.008
# Bins in the range of the inner 98 % of the points.
_BINS = 16
_LOW_MEDIAN_HIGH = np.array([0.01, 0.5, 0.99])


def inlier_mask(values: AnyArray, min_gap: float) -> BoolArray:
    """Return which of (N,) values, N >= 1, connect to their median without a gap of ``min_gap``.

    Sides of an object that are seen at a grazing angle hold few points, far from the median of the
    many on its top or front, but without a gap between. Outliers lie beyond a gap, or are sparse.

    Returns:
        (N,) bool, at least one of them true.
    """
    ranks = (_LOW_MEDIAN_HIGH * (len(values) - 1)).astype(np.int64)
    low, median, high = np.partition(values, ranks)[ranks]
    width = max(min_gap, float(high - low) / _BINS)
    bins = np.rint((values - median) / width)
    # Bins farther out cannot be connected to the median.
    reach = 2 * _BINS
    indices = np.clip(bins, -reach, reach).astype(np.int64) + reach
    counts = np.bincount(indices, minlength=2 * reach + 1)
    filled = counts >= _MIN_SHARE * len(values)
    # The median itself may be an outlier, in the gap between two clusters.
    start = reach if filled[reach] else int(counts.argmax())
    after = np.flatnonzero(~filled[start + 1 :])
    before = np.flatnonzero(~filled[:start][::-1])
    last = start + int(after[0]) if len(after) else 2 * reach
    first = start - int(before[0]) if len(before) else 0
    inliers: BoolArray = (bins >= first - reach) & (bins <= last - reach)
    return inliers
