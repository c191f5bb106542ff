"""Segmentations of COCO files, polygons or run lengths, as compressed run lengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from robot_perception.core import BoolArray, decode_run_lengths, Float64Array, InputError
from robot_perception.evaluation.coco_values import BoxXywh, is_number, Json, MAX_PIXELS

# Compressed run lengths, as the codec takes them: 'size' and 'counts'.
Rle = Mapping[str, object]

# Corners farther outside than this many image sides are errors.
_REACH = 2
_LEAST_NUMBERS = 6
_SIDES = 2


def segmentation_rle(segmentation: Json, size_hw: tuple[int, int]) -> Rle:
    """Convert a ``segmentation`` of a COCO file to compressed run lengths.

    Args:
        segmentation: polygons, each a flat list x, y, x, y ...; or run lengths down the columns,
            an object with ``size`` and ``counts`` as a list or as COCO's text.
        size_hw: rows and columns of the image.

    Raises:
        InputError: it is neither, or has another size.
    """
    from faster_coco_eval.core import mask as codec  # noqa: PLC0415 - takes 0.3 s to import

    height, width = size_hw
    if isinstance(segmentation, list):
        _check_polygons(segmentation, _REACH * max(size_hw))
        polygons = [list(map(float, polygon)) for polygon in segmentation]
        merged: Rle = codec.merge(codec.frPyObjects(polygons, height, width))
        return merged
    counts = _run_lengths(segmentation, size_hw)
    rle: Rle = codec.frPyObjects({'size': list(size_hw), 'counts': counts}, height, width)
    return rle


def segmentation_mask(segmentation: Json, size_hw: tuple[int, int]) -> BoolArray:
    """Decode a ``segmentation`` of a COCO file as (H, W) bool; see `segmentation_rle`."""
    return decode(segmentation_rle(segmentation, size_hw))


def segmentation_box(segmentation: Json) -> BoxXywh:
    """Return the box of a ``segmentation``: left, top, width and height in pixels.

    Raises:
        InputError: it is none, or larger than any image.
    """
    if isinstance(segmentation, list):
        _check_polygons(segmentation, MAX_PIXELS)
        corners = np.concatenate([np.reshape(one, (-1, 2)) for one in segmentation])
        (x_min, y_min), (x_max, y_max) = corners.min(axis=0), corners.max(axis=0)
        return float(x_min), float(y_min), float(x_max - x_min), float(y_max - y_min)
    from faster_coco_eval.core import mask as codec  # noqa: PLC0415 - takes 0.3 s to import

    size_hw = segmentation_size(segmentation)
    if size_hw is None:
        raise _no_segmentation(segmentation)
    left, top, width, height = np.ravel(
        codec.toBbox([segmentation_rle(segmentation, size_hw)])
    ).tolist()
    return left, top, width, height


def segmentation_size(segmentation: Json) -> tuple[int, int] | None:
    """Return the rows and columns that run lengths state, None for polygons.

    Raises:
        InputError: the size is none, or larger than any image.
    """
    if not isinstance(segmentation, dict):
        return None
    size = segmentation.get('size')
    sides = size if isinstance(size, list) and len(size) == _SIDES else []
    known = all(is_number(side) and side >= 1 and side == int(side) for side in sides)
    if not sides or not known or sides[0] * sides[1] > MAX_PIXELS:
        raise InputError(
            'size_mismatch',
            f'expected size as rows and columns of at most {MAX_PIXELS} pixels, '
            f'got {str(size)[:60]}.',
        )
    return int(sides[0]), int(sides[1])


def decode(rle: Rle) -> BoolArray:
    """Decode compressed run lengths as (H, W) bool."""
    from faster_coco_eval.core import mask as codec  # noqa: PLC0415 - takes 0.3 s to import

    mask: BoolArray = np.ascontiguousarray(codec.decode(rle)).astype(np.bool_)
    return mask


def mask_overlaps(masks: Sequence[Rle], truth: Sequence[Rle], counted: BoolArray) -> Float64Array:
    """Compute the IoU of masks, and the share of a mask that lies on an object that is ignored.

    Args:
        masks: N masks of one image.
        truth: M masks of the same image.
        counted: (M,) bool, false for objects that are ignored.

    Returns:
        (N, M) float64 in [0, 1].
    """
    from faster_coco_eval.core import mask as codec  # noqa: PLC0415 - takes 0.3 s to import

    if not masks or not truth:
        return np.zeros((len(masks), len(truth)))
    crowds = (~counted).astype(int).tolist()
    overlaps: Float64Array = np.asarray(codec.iou(list(masks), list(truth), crowds), np.float64)
    return overlaps


def _check_polygons(polygons: list[Json], limit: float) -> None:
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


def _run_lengths(segmentation: Json, size_hw: tuple[int, int]) -> list[int]:
    if not isinstance(segmentation, dict) or not {'size', 'counts'} <= segmentation.keys():
        raise _no_segmentation(segmentation)
    if segmentation['size'] != list(size_hw):
        raise InputError(
            'size_mismatch',
            f'expected run lengths of the size of the image {size_hw}, '
            f'got {str(segmentation["size"])[:60]} (rows, columns).',
        )
    coded = segmentation['counts']
    if isinstance(coded, list) and all(is_number(one) and one == int(one) for one in coded):
        coded = list(map(int, coded))
    elif not isinstance(coded, str):
        raise InputError(
            'wrong_type', f'expected counts as whole numbers or text, got {str(coded)[:60]}.'
        )
    counts: list[int] = decode_run_lengths(coded, size_hw).tolist()
    return counts


def _no_segmentation(got: Json) -> InputError:
    return InputError(
        'wrong_format',
        f'expected polygons, or size and counts of run lengths, got {type(got).__name__}.',
    )
