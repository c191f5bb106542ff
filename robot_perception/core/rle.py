"""COCO's run-length encoding (RLE) of masks, as counts and as the compressed text.

Runs of equal pixels are counted down the columns, first outside, then inside the mask, and so on.
The text writes each count, from the fourth on its difference to the one two before it, as groups
of five bits, lowest first; a sixth bit is set in all groups of a count but its last, whose
highest bit is the sign; 48 is added to each group to make a printable character.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from robot_perception.core.arrays import BoolArray, Int64Array
from robot_perception.core.errors import InputError

_FIRST_CHARACTER = 48
_BITS, _MORE, _SIGN = 5, 0x20, 0x10
_GROUP = (1 << _BITS) - 1
# 40 bits: far more pixels than an image has.
_MAX_GROUPS = 8
# Counts before this one are written as they are.
_FIRST_DIFFERENCE = 3


def run_lengths(mask: BoolArray) -> list[int]:
    """Count the runs of equal pixels down the columns of an (H, W) bool mask.

    Returns:
        Lengths of runs, in turn outside and inside the mask; the first is outside and may be 0.

    >>> run_lengths(np.array([[True, False], [True, True]]))
    [0, 2, 1, 1]
    """
    columns = mask.ravel(order='F')
    changes = np.flatnonzero(columns[1:] != columns[:-1]) + 1
    ends = np.concatenate([[0], changes, [columns.size]])
    lengths: list[int] = np.diff(ends).tolist()
    return [0, *lengths] if columns.size and columns[0] else lengths


def encode_rle(mask: BoolArray) -> str:
    """Encode an (H, W) bool mask as the text that COCO calls compressed RLE.

    >>> encode_rle(np.array([[True, False], [True, True]]))
    '021O'
    """
    counts = np.array(run_lengths(mask), np.int64)
    values = counts.copy()
    values[_FIRST_DIFFERENCE:] -= counts[1:-2]
    shifts = _BITS * np.arange(_MAX_GROUPS)
    # Another group is needed until nothing but the sign is left, and the sign bit shows it.
    rest = values[:, None] >> (shifts[1:] - 1)
    needed = 1 + ((rest != 0) & (rest != -1)).sum(axis=1)
    index = np.arange(_MAX_GROUPS)
    more = np.where(index < needed[:, None] - 1, _MORE, 0)
    characters = _FIRST_CHARACTER + ((values[:, None] >> shifts) & _GROUP | more)
    text: bytes = characters[index < needed[:, None]].astype(np.uint8).tobytes()
    return text.decode('ascii')


def decode_rle(counts: str | Sequence[int], size_hw: tuple[int, int]) -> BoolArray:
    """Decode an (H, W) bool mask from COCO's compressed text, or from the run lengths themselves.

    Raises:
        InputError: ``'broken_rle'``, the text is not RLE; ``'wrong_size'``, the lengths do not
            add up to the number of pixels.
    """
    lengths = decode_run_lengths(counts, size_hw)
    height, width = size_hw
    inside = np.arange(len(lengths)) % 2 == 1
    mask: BoolArray = np.repeat(inside, lengths).reshape(width, height).T
    return np.ascontiguousarray(mask)


def decode_run_lengths(counts: str | Sequence[int], size_hw: tuple[int, int]) -> Int64Array:
    """Return the run lengths of COCO's compressed text, or of the lengths themselves, checked.

    They take memory by their number, not by that of the pixels.

    Raises:
        InputError: as `decode_rle`.
    """
    pixels = size_hw[0] * size_hw[1]
    # Python's integers: a sum of broken counts may exceed 64 bits.
    plain = _decode_text(counts).tolist() if isinstance(counts, str) else counts
    if min(plain, default=0) < 0 or sum(plain) != pixels:
        raise InputError(
            'wrong_size', f'expected run lengths that add up to {pixels} pixels, got {sum(plain)}.'
        )
    return np.array(plain, np.int64)


def _decode_text(text: str) -> Int64Array:
    codes = np.frombuffer(text.encode('utf-32-le'), '<u4').astype(np.int64) - _FIRST_CHARACTER
    if (bad := np.flatnonzero((codes < 0) | (codes >= 2 * _MORE))).size:
        raise _broken(f'the character {text[bad[0]]!r}')
    ends = np.flatnonzero(codes < _MORE)
    if len(codes) and (len(ends) == 0 or ends[-1] != len(codes) - 1):
        raise _broken('text that was cut short')
    starts = np.concatenate([[0], ends[:-1] + 1])[: len(ends)]
    groups = ends - starts + 1
    if np.any(groups > _MAX_GROUPS):
        raise _broken('one larger than any image')
    shifts = _BITS * (np.arange(len(codes)) - np.repeat(starts, groups))
    values: Int64Array = np.add.reduceat((codes & _GROUP) << shifts, starts, dtype=np.int64)
    values -= np.where(codes[ends] & _SIGN, np.int64(1) << _BITS * groups, 0)
    for parity in (1, 2):
        values[parity::2] = np.cumsum(values[parity::2])
    return values


def _broken(got: str) -> InputError:
    return InputError('broken_rle', f'expected run lengths as text, got {got}.')
