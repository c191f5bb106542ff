"""Masks out of COCO files: polygons and run lengths."""

from __future__ import annotations

from collections.abc import Sequence
import math
from typing import Any

import numpy as np

from robot_perception.core import BoolArray, InputError, Int64Array

# Corners this many image sides outside are no longer a slip of the pen.
_REACH = 2
_LEAST_NUMBERS = 6
# The text of run lengths: five bits a character, from '0' on; the sixth says that more follow.
_FIRST, _BITS, _MORE, _SIGN = 48, 5, 0x20, 0x10
_DELTA_FROM = 2
_MOST_BITS = 40


def segmentation_mask(segmentation: Any, size_hw: tuple[int, int]) -> BoolArray:  # noqa: ANN401 - of JSON
    """Make a mask of what a COCO file has under ``segmentation``.

    Args:
        segmentation: polygons, each a flat list x, y, x, y ...; or run lengths down the columns,
            an object with ``size`` and ``counts`` as a list or as COCO's text.
        size_hw: rows and columns of the image.

    Returns:
        (H, W) bool.

    Raises:
        InputError: it is neither, or of another size.

    """
    if isinstance(segmentation, list):
        return _filled(segmentation, size_hw)
    if not isinstance(segmentation, dict) or not {'size', 'counts'} <= segmentation.keys():
        raise InputError(
            'expected polygons, or size and counts of run lengths, got '
            f'{type(segmentation).__name__}.'
        )
    if segmentation['size'] != list(size_hw):
        raise InputError(
            f'expected run lengths of the size of the image {size_hw}, '
            f'got {segmentation["size"]} (rows, columns).'
        )
    return _run(_counts(segmentation['counts']), size_hw)


def _filled(polygons: list[Any], size_hw: tuple[int, int]) -> BoolArray:
    from faster_coco_eval.core import mask as codec  # noqa: PLC0415 - an optional library

    limit = _REACH * max(size_hw)
    for polygon in polygons:
        numbers = polygon if isinstance(polygon, list) else []
        if (
            len(numbers) < _LEAST_NUMBERS
            or len(numbers) % 2
            or not all(_is_number(one) and abs(one) <= limit for one in numbers)
        ):
            raise InputError(
                'expected polygons of at least three corners x, y in or near the image, '
                f'got {str(polygon)[:60]}.'
            )
    height, width = size_hw
    filled: BoolArray = codec.decode(
        codec.merge(codec.frPyObjects(polygons, height, width))
    ).astype(np.bool_)
    return filled


def _run(counts: Sequence[int], size_hw: tuple[int, int]) -> BoolArray:
    height, width = size_hw
    if min(counts, default=0) < 0 or sum(counts) != height * width:
        raise InputError(
            f'expected run lengths that add up to {height * width} pixels, got {sum(counts)}.'
        )
    lengths: Int64Array = np.array(counts, np.int64)
    values = np.arange(len(lengths)) % 2 == 1
    mask: BoolArray = np.repeat(values, lengths).reshape(width, height).T
    return np.ascontiguousarray(mask)


def _counts(coded: Any) -> list[int]:  # noqa: ANN401 - of JSON
    if isinstance(coded, str):
        return _decoded(coded)
    if not isinstance(coded, list) or not all(type(one) is int for one in coded):
        raise InputError(f'expected counts as whole numbers or text, got {str(coded)[:60]}.')
    return coded


def _decoded(text: str) -> list[int]:
    """Undo COCO's text: little groups of five bits, from the third on differences by two."""
    counts: list[int] = []
    value = shift = 0
    for character in text:
        code = ord(character) - _FIRST
        if not 0 <= code < 2 * _MORE:
            raise InputError(f'expected run lengths as text, got the character {character!r}.')
        value |= (code & (_MORE - 1)) << shift
        shift += _BITS
        if shift > _MOST_BITS:
            raise InputError('expected run lengths as text, got one beyond every image.')
        if code & _MORE:
            continue
        if code & _SIGN:
            value -= 1 << shift
        counts.append(value + (counts[-_DELTA_FROM] if len(counts) > _DELTA_FROM else 0))
        value = shift = 0
    if shift:
        raise InputError('expected run lengths as text, got text that was cut short.')
    return counts


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
