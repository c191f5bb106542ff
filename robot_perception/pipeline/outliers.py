"""Outliers of values along one axis."""

from __future__ import annotations

import numpy as np

from robot_perception.core import AnyArray, BoolArray

# Bins with a smaller share of all points hold outliers. Each twelfth of the side of a cube that is
# seen almost from above holds more.
_MIN_SHARE = 0.008
# Bins in the range of the inner 98 % of the points.
_BINS = 16
_LOW_MEDIAN_HIGH = (0.01, 0.5, 0.99)


def median(values: AnyArray) -> float:
    """Return the median of (N,) values, N >= 1 and none NaN, in a fifth of the time of numpy."""
    middle = len(values) // 2
    upper = np.partition(values, middle)
    if len(values) % 2:
        return float(upper[middle])
    return float((upper[:middle].max() + upper[middle]) / 2)


def inlier_mask(values: AnyArray, min_gap: float) -> BoolArray:
    """Return which of (N,) values, N >= 1, connect to their median without a gap of ``min_gap``.

    Sides of an object that are seen at a grazing angle hold few points, far from the median of the
    many on its top or front, but without a gap between. Outliers lie beyond a gap, or are sparse.

    Returns:
        (N,) bool, at least one of them true.
    """
    ranks = [int(share * (len(values) - 1)) for share in _LOW_MEDIAN_HIGH]
    # One by one, for which numpy has vector instructions.
    low, middle, high = (np.partition(values, rank)[rank] for rank in ranks)
    width = max(min_gap, float(high - low) / _BINS)
    bins = np.rint((values - middle) / width)
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
