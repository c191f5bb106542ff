"""Decoder of COCO segmentations: polygons and run-length encoding."""

from __future__ import annotations

import numpy as np

from robot_perception.core import BoolArray, decode_rle, InputError
from robot_perception.evaluation.coco_json import is_number, Json

# Corners farther outside than this many image sides are errors.
_REACH = 2
_LEAST_NUMBERS = 6


def segmentation_mask(segmentation: Json, size_hw: tuple[int, int]) -> BoolArray:
    """Decode a ``segmentation`` of a COCO file.

    Args:
        segmentation: polygons, each a flat list x, y, x, y ...; or run lengths down the columns,
            an object with ``size`` and ``counts`` as a list or as COCO's text.
        size_hw: rows and columns of the image.

    Returns:
        (H, W) bool.

    Raises:
        InputError: it is neither, or has another size.
    """
    if isinstance(segmentation, list):
        return _filled(segmentation, size_hw)
    if not isinstance(segmentation, dict) or not {'size', 'counts'} <= segmentation.keys():
        raise InputError(
            'wrong_format',
            'expected polygons, or size and counts of run lengths, got '
            f'{type(segmentation).__name__}.',
        )
    if segmentation['size'] != list(size_hw):
        raise InputError(
            'size_mismatch',
            f'expected run lengths of the size of the image {size_hw}, '
            f'got {segmentation["size"]} (rows, columns).',
        )
    return decode_rle(_counts(segmentation['counts']), size_hw)


def _filled(polygons: list[Json], size_hw: tuple[int, int]) -> BoolArray:
    from faster_coco_eval.core import mask as codec  # noqa: PLC0415 - takes 0.3 s to import

    limit = _REACH * max(size_hw)
    for polygon in polygons:
        numbers = polygon if isinstance(polygon, list) else []
        if (
            len(numbers) < _LEAST_NUMBERS
            or len(numbers) % 2
            or not all(is_number(one) and abs(one) <= limit for one in numbers)
        ):
            raise InputError(
                'wrong_format',
                'expected polygons of at least three corners x, y in or near the image, '
                f'got {str(polygon)[:60]}.',
            )
    height, width = size_hw
    filled: BoolArray = codec.decode(
        codec.merge(codec.frPyObjects(polygons, height, width))
    ).astype(np.bool_)
    return filled


def _counts(coded: Json) -> str | list[int]:
    if isinstance(coded, str):
        return coded
    if not isinstance(coded, list) or not all(type(one) is int for one in coded):
        raise InputError(
            'wrong_type', f'expected counts as whole numbers or text, got {str(coded)[:60]}.'
        )
    return coded
