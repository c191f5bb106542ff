"""From the coarse scores of masks to the pixels of an image."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from robot_perception.core import BoolArray, Float32Array, Int64Array
from robot_perception.models.resize import SizeHW

# Of the image: torch is faster at enlarging more than this than numpy is.
_LARGE = 0.25


def enlarge_positive(scores: Float32Array, size_hw: SizeHW) -> BoolArray:
    """Tell where scores are positive once they are enlarged bilinearly.

    A pixel between four scores of which none is positive is not either, so that only what is about
    positive scores has to be enlarged: of an image with small objects very little.

    Args:
        scores: (N, h, w) float32; the middle of the first lies half a step from the edge of the
            image, as with ``align_corners=False`` of torch.
        size_hw: H, W of the image.

    Returns:
        (N, H, W) bool.

    """
    count, height, width = scores.shape
    pixels = np.zeros((count, *size_hw), np.bool_)
    rows, columns = _Axis(height, size_hw[0]), _Axis(width, size_hw[1])
    for index in range(count):
        positive = scores[index] > 0
        down, along = (np.flatnonzero(positive.any(axis=axis)) for axis in (1, 0))
        if not len(down):
            continue
        to_rows, to_columns = rows.reached_from(down), columns.reached_from(along)
        window = pixels[index, to_rows, to_columns]
        if window.size > _LARGE * size_hw[0] * size_hw[1]:
            pixels[index] = _enlarge(scores[index], size_hw) > 0
            continue
        wide = columns.blend(scores[index].T, to_columns).T
        window[:] = rows.blend(wide, to_rows) > 0
    return pixels


def _enlarge(scores: Float32Array, size_hw: SizeHW) -> Float32Array:
    tensor = torch.from_numpy(np.ascontiguousarray(scores))[None, None]
    full = functional.interpolate(tensor, size_hw, mode='bilinear', align_corners=False)
    enlarged: Float32Array = full[0, 0].numpy()
    return enlarged


class _Axis:
    """Which two of ``short`` values each of ``long`` lies between, and how near to the second."""

    def __init__(self, short: int, long: int) -> None:
        place = (np.arange(long, dtype=np.float32) + np.float32(0.5)) * np.float32(short / long)
        place = np.maximum(place - np.float32(0.5), 0)
        self._first: Int64Array = place.astype(np.int64)
        self._second = np.minimum(self._first + 1, short - 1)
        self._share = place - self._first.astype(np.float32)

    def reached_from(self, places: Int64Array) -> slice:
        """Give the long range between all whose two have one of the sorted ``places`` among them."""
        begin = np.searchsorted(self._second, places[0], side='left')
        end = np.searchsorted(self._first, places[-1], side='right')
        return slice(int(begin), int(end))

    def blend(self, values: Float32Array, part: slice) -> Float32Array:
        """Blend rows of values (short, M) into those of a part of the long range."""
        share = self._share[part, None]
        blended: Float32Array = values[self._first[part]] * (1 - share)
        blended += values[self._second[part]] * share
        return blended
