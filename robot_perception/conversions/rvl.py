"""Decoding of RVL, the lossless compression of depth images.

A stream of numbers, each in groups of four bits: three of data, the lowest first, and one that is
set if more follow. Runs of a count of zeros, a count of other values and their differences repeat.
A. D. Wilson, Fast Lossless Depth Image Compression, ISS 2017.
"""

from __future__ import annotations

import numpy as np

from robot_perception.conversions.validation import check_pixels
from robot_perception.core import AnyArray, ConversionError, UInt16Array

_SIZE_BYTES = 8
_WORD_BYTES = 4
# Differences need 6 groups, counts of pixels up to 10.
_MAX_GROUPS = 11


def decode_rvl(data: memoryview, max_pixels: int) -> UInt16Array:
    """Decode a depth image.

    Args:
        data: uint32 columns, uint32 rows, then the stream in little-endian words of 32 bits.
        max_pixels: maximum of columns times rows.

    Returns:
        (H, W) uint16.

    Raises:
        ConversionError: ``'data'`` (damaged or truncated), ``'size'``, ``'too_large'``.
    """
    if len(data) < _SIZE_BYTES:
        raise _damaged(f'{len(data)} bytes')
    width, height = np.frombuffer(data, '<u4', 2).tolist()
    check_pixels(height, width, max_pixels=max_pixels)
    words = data[_SIZE_BYTES : len(data) // _WORD_BYTES * _WORD_BYTES]
    numbers = _read_numbers(np.frombuffer(words, '<u4'))
    pixels = np.zeros(height * width, np.uint16)
    at, filled = _find_values(numbers.tolist(), len(pixels))
    values = numbers[at]
    # The sign is the lowest bit. Each value is the difference to the one before, modulo 2^16.
    pixels[filled] = np.cumsum((values >> 1) ^ -(values & 1)).astype(np.uint16)
    return pixels.reshape(height, width)


def _read_numbers(words: AnyArray) -> AnyArray:
    """Return all numbers of the stream as int64; the last few may be the filling of a word."""
    octets = words.astype('>u4').view(np.uint8)
    groups = np.stack((octets >> 4, octets & 0xF), axis=-1).ravel()
    ends = np.flatnonzero(groups < 8)  # noqa: PLR2004 - no more groups follow
    if not len(ends):
        raise _damaged('a truncated stream')
    starts = np.concatenate(([0], ends[:-1] + 1))
    if (ends - starts).max() >= _MAX_GROUPS:
        raise _damaged('a number of too many bits')
    numbers = (groups[starts] & 7).astype(np.int64)
    longer, shift = np.flatnonzero(ends > starts), 3
    while len(longer):
        numbers[longer] |= (groups[starts[longer] + shift // 3] & 7).astype(np.int64) << shift
        longer = longer[ends[longer] > starts[longer] + shift // 3]
        shift += 3
    return numbers


def _find_values(numbers: list[int], count: int) -> tuple[AnyArray, AnyArray]:
    """Return the positions of values in the stream, and those of their pixels among ``count``."""
    first_at, first_pixels, lengths = [], [], []
    pixel = at = 0
    while pixel < count:
        if at + 1 >= len(numbers):
            raise _damaged('a truncated stream')
        zeros, others = numbers[at], numbers[at + 1]
        # Only the first run may be without zeros, and only the last without other values.
        if not zeros and pixel:
            raise _damaged('runs that do not fit the size')
        pixel += zeros
        if not others and pixel < count:
            raise _damaged('runs that do not fit the size')
        first_at.append(at + 2)
        first_pixels.append(pixel)
        lengths.append(others)
        pixel += others
        at += 2 + others
    if pixel > count:
        raise _damaged('runs that do not fit the size')
    if at > len(numbers):
        raise _damaged('a truncated stream')
    ends = np.cumsum(lengths)
    index = np.arange(ends[-1])
    offset = ends - lengths
    return (
        index + np.repeat(np.array(first_at) - offset, lengths),
        index + np.repeat(np.array(first_pixels) - offset, lengths),
    )


def _damaged(what: str) -> ConversionError:
    return ConversionError('data', f'data: expected a whole RVL depth image, got {what}.')
