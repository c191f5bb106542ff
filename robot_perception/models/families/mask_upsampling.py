"""Upsampling of mask logits to the size of the image."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from robot_perception.core import BoolArray, Float32Array, Int64Array
from robot_perception.models.resize import SizeHW

# Share of the image above which torch upsamples faster than numpy.
_LARGE = 0.25


def upsample_and_threshold(logits: Float32Array, size_hw: SizeHW) -> BoolArray:
    """Upsample mask logits bilinearly and return where they are positive.

    A pixel interpolated from four logits that are not positive is not positive. Only windows
    around positive logits are upsampled, which is little of an image with small objects.

    Args:
        logits: (N, h, w) float32, sampled as with ``align_corners=False`` of torch.
        size_hw: H, W of the image.

    Returns:
        (N, H, W) bool.
    """
    count, height, width = logits.shape
    pixels = np.zeros((count, *size_hw), np.bool_)
    rows, columns = _Axis(height, size_hw[0]), _Axis(width, size_hw[1])
    for index in range(count):
        positive = logits[index] > 0
        row_indices, column_indices = (np.flatnonzero(positive.any(axis=axis)) for axis in (1, 0))
        if not len(row_indices):
            continue
        window_rows, window_columns = rows.span(row_indices), columns.span(column_indices)
        window = pixels[index, window_rows, window_columns]
        if window.size > _LARGE * size_hw[0] * size_hw[1]:
            pixels[index] = _upsample(logits[index], size_hw) > 0
            continue
        wide = columns.interpolate(logits[index].T, window_columns).T
        window[:] = rows.interpolate(wide, window_rows) > 0
    return pixels


def _upsample(logits: Float32Array, size_hw: SizeHW) -> Float32Array:
    # A copy, since torch warns of arrays that are read-only.
    tensor = torch.from_numpy(np.array(logits))[None, None]
    full = functional.interpolate(tensor, size_hw, mode='bilinear', align_corners=False)
    upsampled: Float32Array = full[0, 0].numpy()
    return upsampled


class _Axis:
    """Linear interpolation from ``short`` to ``long`` samples along one axis."""

    def __init__(self, short: int, long: int) -> None:
        position = (np.arange(long, dtype=np.float32) + np.float32(0.5)) * np.float32(short / long)
        position = np.maximum(position - np.float32(0.5), 0)
        self._lower: Int64Array = position.astype(np.int64)
        self._upper = np.minimum(self._lower + 1, short - 1)
        self._weight = position - self._lower.astype(np.float32)

    def span(self, indices: Int64Array) -> slice:
        """Return the range of long samples that depend on short samples at sorted ``indices``."""
        begin = np.searchsorted(self._upper, indices[0], side='left')
        end = np.searchsorted(self._lower, indices[-1], side='right')
        return slice(int(begin), int(end))

    def interpolate(self, values: Float32Array, part: slice) -> Float32Array:
        """Interpolate rows of (short, M) values at a part of the long range."""
        weight = self._weight[part, None]
        interpolated: Float32Array = values[self._lower[part]] * (1 - weight)
        interpolated += values[self._upper[part]] * weight
        return interpolated
