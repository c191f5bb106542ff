"""Conversion of pixels of any type to 8 bits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import numpy as np

from robot_perception.core import AnyArray, UInt8Array

# Returns the number of significant bits of unsigned 16-bit pixels.
FindBits = Callable[[AnyArray], int]

_FULL_BITS = 16
_SENSOR_BITS = (10, 12, 14, 16)
_FRAMES = 10
# Floating-point images are from 0 to 1 or from 0 to 255; with highlights the first may exceed 1.
_MAX_OF_UNIT_RANGE = 2.0
_MAX = 255


def full_range(_: AnyArray) -> int:
    """Return that all 16 bits are significant."""
    return _FULL_BITS


class SensorBits:
    """Finds the significant bits of the 16-bit images of a camera.

    Cameras of 10, 12 or 14 bits leave the upper bits of mono16 zero, so that the image would be
    nearly black. The largest value of the first ten images decides. After that the number is
    raised only when ten images in a row exceed it, as after a dark start, and never lowered.
    """

    def __init__(self) -> None:
        """Start without images."""
        self._bits = _SENSOR_BITS[0]
        self._frames = 0
        self._exceeded = 0

    def update(self, pixels: AnyArray) -> int:
        """Take an image into account and return the number of significant bits."""
        used = int(pixels.max(initial=0)).bit_length()
        needed = next(bits for bits in _SENSOR_BITS if bits >= used)
        self._exceeded = self._exceeded + 1 if needed > self._bits else 0
        if self._frames < _FRAMES or self._exceeded == _FRAMES:
            self._bits = max(self._bits, needed)
        self._frames = min(self._frames + 1, _FRAMES)
        return self._bits

    def state_dict(self) -> dict[str, int]:
        """Return the state kept from earlier images, as JSON values."""
        return {'bits': self._bits, 'frames': self._frames, 'exceeded': self._exceeded}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Load what `state_dict` returned."""
        self._bits, self._frames = state['bits'], state['frames']
        self._exceeded = state['exceeded']


def to_8_bits(pixels: AnyArray, find_bits: FindBits) -> UInt8Array:
    """Convert pixels to uint8.

    Unsigned 16-bit pixels keep the upper 8 of their significant bits. Signed integers keep the
    upper bits of their positive values; negative ones become 0. Floating-point pixels are from 0
    to 1, or from 0 to 255 if any is above 2; NaN becomes 0.

    Args:
        pixels: any shape; integers of up to 32 bits or floating point, in any byte order.
        find_bits: returns the number of significant bits of unsigned 16-bit pixels.
    """
    kind, size = pixels.dtype.kind, pixels.dtype.itemsize
    if kind == 'f':
        return _from_float(pixels)
    if kind == 'i':
        return (np.maximum(pixels, 0).astype(np.uint32) * 2 >> 8 * (size - 1)).astype(np.uint8)
    if size == 1:
        return pixels
    bits = find_bits(pixels)
    upper = pixels >> max(bits - 8, 0)
    if bits < _FULL_BITS:
        upper = np.minimum(upper, _MAX)
    return cast('UInt8Array', upper.astype(np.uint8))


def _from_float(pixels: AnyArray) -> UInt8Array:
    values = np.nan_to_num(pixels.astype(np.float32), nan=0.0)
    scale = _MAX if values.max(initial=0) <= _MAX_OF_UNIT_RANGE else 1
    return cast('UInt8Array', np.rint(np.clip(values * scale, 0, _MAX)).astype(np.uint8))
