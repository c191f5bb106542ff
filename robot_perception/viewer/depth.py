"""Depth as colors: near is blue, far is red, unknown is hatched gray."""

from __future__ import annotations

from collections.abc import Iterator
import math
from typing import TypeAlias

import cv2
import numpy as np

from robot_perception.core import (
    BoolArray,
    Depth,
    Float32Array,
    InputError,
    MetricDepth,
    RelativeDepth,
    UInt8Array,
)
from robot_perception.viewer.scale import depth_table, draw_scale, hatch, Scale

# Percentiles, so that a few wild pixels do not take all the colors.
_LOW_PERCENT, _HIGH_PERCENT = 1, 99
_MAX_SAMPLES = 1 << 16
_LAST_COLOR = 255
_BAND_PIXELS = 2**20


# Values at the near and the far end of the colors; either may be the larger one.
_Ends: TypeAlias = tuple[float, float]


def draw_depth(depth: Depth, *, range_m: tuple[float, float] | None = None) -> UInt8Array:
    """Color each pixel by its depth.

    Args:
        depth: metric or relative.
        range_m: nearest and farthest depth of the colors, meters, for pictures that are to be
            compared; None takes what the picture holds, without its outliers.

    Returns:
        (H, W, 3) uint8 rgb; hatched gray where the depth is unknown.

    Raises:
        InputError: the range is not 0 <= near < far, or is given for a relative depth.
    """
    values, unknown = _values(depth)
    picture: UInt8Array = np.empty((*depth.size_hw, 3), np.uint8)
    _color(picture, values, unknown, _range(depth, values, unknown, range_m))
    return picture


def draw_depth_with_scale(
    depth: Depth, *, range_m: tuple[float, float] | None = None
) -> UInt8Array:
    """Color each pixel by its depth and add a legend; arguments as in `draw_depth`.

    Returns:
        (H, W + legend, 3) uint8 rgb: the picture of `draw_depth` with a legend to its right, in
        meters, or marked as relative and without unit.

    Raises:
        InputError: as in `draw_depth`.
    """
    values, unknown = _values(depth)
    ends = _range(depth, values, unknown, range_m)
    legend = draw_scale(_scale(depth, unknown, ends), depth.size_hw)
    height, width = depth.size_hw
    joined: UInt8Array = np.empty((height, width + legend.shape[1], 3), np.uint8)
    joined[:, width:] = legend
    _color(joined[:, :width], values, unknown, ends)
    return joined


def depth_range(depth: Depth | None) -> tuple[float, float] | None:
    """Return the nearest and farthest depth of the colors, meters, without outliers.

    None for a relative depth, and where nothing is known.
    """
    if not isinstance(depth, MetricDepth):
        return None
    values, unknown = _values(depth)
    return _range(depth, values, unknown, None)


def _values(depth: Depth) -> tuple[Float32Array, BoolArray]:
    if isinstance(depth, RelativeDepth):
        return depth.inverse, np.zeros(depth.size_hw, np.bool_)
    return depth.meters, np.isnan(depth.meters)


def _range(
    depth: Depth,
    values: Float32Array,
    unknown: BoolArray,
    range_m: tuple[float, float] | None,
) -> _Ends | None:
    """Ends of the colors, None when nothing is known."""
    if range_m is not None:
        return _given_range(depth, range_m)
    sample = _sample_known(values, unknown)
    if sample.size == 0:
        return None
    low, high = (float(end) for end in np.percentile(sample, (_LOW_PERCENT, _HIGH_PERCENT)))
    if not high - low > 1e-6 * abs(high):
        # One depth everywhere: put it in the middle of the colors.
        margin = 0.05 * abs(high) or 1.0
        low, high = low - margin, high + margin
    return (low, high) if isinstance(depth, MetricDepth) else (high, low)


def _given_range(depth: Depth, range_m: tuple[float, float]) -> _Ends:
    if isinstance(depth, RelativeDepth):
        raise InputError(
            'no_unit',
            'range_m: expected None for relative depth, which has no meters, '
            f'got {range_m}. Scale the depth to meters first.',
        )
    near, far = range_m
    if not 0 <= near < far < math.inf:
        raise InputError(
            'out_of_range', f'range_m: expected 0 <= near < far in meters, got {range_m}.'
        )
    return near, far


def _sample_known(values: Float32Array, unknown: BoolArray) -> Float32Array:
    """Return every n-th known value, at most `_MAX_SAMPLES`."""
    step = math.ceil((unknown.size - np.count_nonzero(unknown)) / _MAX_SAMPLES)
    samples, skipped = [values[:0].ravel()], 0
    for rows in row_bands(values.shape):
        known = values[rows][~unknown[rows]]
        samples.append(known[skipped::step] if step else known)
        skipped = (skipped - known.size) % step if step else 0
    return np.concatenate(samples)


def _color(
    picture: UInt8Array, values: Float32Array, unknown: BoolArray, ends: _Ends | None
) -> None:
    """Color (H, W, 3) uint8 rgb in place by (H, W) values."""
    picture[...] = hatch((values.shape[0], values.shape[1]))
    if ends is None or values.size == 0:
        return
    near, far = ends
    slope = _LAST_COLOR / (far - near)
    table = depth_table()[:, None]
    for rows in row_bands(values.shape):
        scaled = values[rows] - np.float32(near)
        scaled *= np.float32(slope)
        np.clip(scaled, 0, _LAST_COLOR, out=scaled)
        scaled[unknown[rows]] = 0
        np.rint(scaled, out=scaled)
        # The table is rgb, so the picture is.
        colors = cv2.applyColorMap(scaled.astype(np.uint8), table)
        np.copyto(picture[rows], colors, where=~unknown[rows][..., None])


def row_bands(size_hw: tuple[int, ...]) -> Iterator[slice]:
    """Yield rows of at most about a million pixels: photographs have 24 million."""
    height, width = size_hw
    step = max(1, _BAND_PIXELS // max(width, 1))
    for first in range(0, height, step):
        yield slice(first, first + step)


def _scale(depth: Depth, unknown: BoolArray, ends: _Ends | None) -> Scale:
    if isinstance(depth, RelativeDepth):
        return Scale(('relative,', 'no unit'), None, holes=False)
    return Scale(('meters',), ends, holes=bool(unknown.any()))
