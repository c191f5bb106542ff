"""Plates that name the objects of a picture."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from operator import itemgetter
from typing import cast

import cv2
import numpy as np

from robot_perception.core import (
    Float64Array,
    Int64Array,
    object_color,
    Rgb,
    SceneClasses,
    SceneObject,
    UInt8Array,
)
from robot_perception.viewer.text import draw_text, fit_text, text_size_px, text_width

_PLATE: Rgb = (20, 22, 27)
_PLATE_OPACITY = 0.86
_LETTERS: Rgb = (255, 255, 255)
_FAR_M = 10
_MAX_LETTERS = 80
# Classes of the image that are shown.
_BEST = 3
# Sum of the shares of boxes and labels that a label may cover with its depth.
_MAX_COVERED = 0.1


@dataclass(frozen=True, slots=True)
class Plate:
    """A label with its place, in pixels of the picture."""

    text: str
    color: Rgb
    left: int
    top: int
    width: int
    height: int

    def overlap(self, other: Plate) -> int:
        """Count of pixels that both cover."""
        columns = min(self.left + self.width, other.left + other.width)
        rows = min(self.top + self.height, other.top + other.height)
        return max(0, columns - max(self.left, other.left)) * max(
            0, rows - max(self.top, other.top)
        )


def format_labels(item: SceneObject) -> tuple[str, str, str]:
    """Format an object on one line: everything known, without depth, and its name only.

    >>> format_labels(SceneObject(0, 1, 'cup', 0.913, (0, 0, 9, 9), track_id=3))
    ('cup #3 0.91', 'cup #3 0.91', 'cup')
    """
    # Names come from a model's config: whatever they hold, a label is one short line.
    name = ' '.join(item.class_name.split())[:_MAX_LETTERS]
    track = '' if item.track_id is None else f' #{item.track_id}'
    depth = '' if item.depth_m is None else f' · {_meters(item.depth_m)}'
    scored = f'{name}{track} {item.score:.2f}'
    return f'{scored}{depth}', scored, name


def format_classes(classes: SceneClasses) -> str:
    """Format the best classes of an image on one line.

    >>> format_classes(SceneClasses('m', ('hall', 'office'), np.array([0.91, 0.09], np.float32)))
    'hall 0.91, office 0.09'
    """
    best = zip(classes.names[:_BEST], classes.scores[:_BEST].tolist(), strict=True)
    return ', '.join(
        f'{" ".join(name.split())[:_MAX_LETTERS]} {score:.2f}' for name, score in best
    )


def place_plates(
    placed_boxes: Iterable[tuple[SceneObject, tuple[int, int, int, int]]],
    size_hw: tuple[int, int],
) -> list[Plate]:
    """Find a place inside the picture for the label of each box.

    A label covers as little as possible of other labels and of boxes, in shares of their area, so
    that small objects stay visible; it loses its depth where it would cover more.

    Args:
        placed_boxes: objects with the pixels of their boxes: left, top, right, bottom.
        size_hw: rows and columns of the picture.

    Returns:
        One plate for each box, fewer where the picture has no room for a letter.
    """
    size_px = text_size_px(size_hw)
    frame = _bar(size_px) + 2 * _padding(size_px)
    height = round(size_px * 1.5)
    pairs = list(placed_boxes)
    occupied = np.array([box for _, box in pairs], np.int64).reshape(-1, 4)
    plates: list[Plate] = []
    for item, box in pairs:
        if height > size_hw[0]:
            break
        tries: list[tuple[float, Plate]] = []
        for text in _fitting_labels(item, size_px, size_hw[1] - frame):
            width = text_width(text, size_px) + frame
            corners = np.array(_corners(box, width, height, size_hw))
            covered = _covered_shares(corners, (width, height), occupied)
            best = int(covered.argmin())
            left, top = map(int, corners[best])
            plate = Plate(text, object_color(item), left, top, width, height)
            tries.append((float(covered[best]), plate))
            if covered[best] <= _MAX_COVERED:
                break
        if tries:
            _, plate = min(tries, key=itemgetter(0))
            plates.append(plate)
            edges = (plate.left, plate.top, plate.left + plate.width, plate.top + plate.height)
            occupied = np.vstack([occupied, edges])
    return plates


def _covered_shares(
    corners: Int64Array, size_px: tuple[int, int], occupied: Int64Array
) -> Float64Array:
    """Return what a plate covers at each of (N, 2) places: the shares of (M, 4) boxes, summed."""
    begin = np.maximum(corners[:, None], occupied[None, :, :2])
    end = np.minimum(corners[:, None] + np.array(size_px), occupied[None, :, 2:])
    areas = np.maximum(end - begin, 0).prod(axis=2)
    return cast('Float64Array', (areas / (occupied[:, 2:] - occupied[:, :2]).prod(axis=1)).sum(1))


def place_title(text: str, size_hw: tuple[int, int]) -> list[Plate]:
    """Return a plate for a line about the whole picture, in its upper left corner.

    Empty where the picture has no room for a letter.
    """
    size_px = text_size_px(size_hw)
    frame, height = _bar(size_px) + 2 * _padding(size_px), round(size_px * 1.5)
    text = fit_text(text, size_px, size_hw[1] - frame)
    if not text or height > size_hw[0]:
        return []
    return [Plate(text, _LETTERS, 0, 0, text_width(text, size_px) + frame, height)]


def draw_plates(canvas: UInt8Array, plates: Iterable[Plate]) -> None:
    """Draw the plates on ``canvas``, (H, W, 3) uint8 rgb, in place."""
    size_px = text_size_px((canvas.shape[0], canvas.shape[1]))
    for plate in plates:
        bottom, right = plate.top + plate.height, plate.left + plate.width
        region = canvas[plate.top : bottom, plate.left : right]
        filled = np.full_like(region, _PLATE)
        cv2.addWeighted(region, 1 - _PLATE_OPACITY, filled, _PLATE_OPACITY, 0, region)
        region[:, : _bar(size_px)] = plate.color
        left = plate.left + _bar(size_px) + _padding(size_px)
        middle = plate.top + plate.height // 2
        draw_text(canvas, plate.text, (left, middle), size_px, _LETTERS)


def _fitting_labels(item: SceneObject, size_px: int, width_px: int) -> list[str]:
    """Return the labels there is room for, longest first; numbers are whole or not there."""
    full, scored, name = format_labels(item)
    fitting = [label for label in (full, scored) if text_width(label, size_px) <= width_px]
    if not fitting:
        shortest = fit_text(name, size_px, width_px)
        return [shortest] if shortest else []
    return list(dict.fromkeys(fitting))


def _corners(
    box: tuple[int, int, int, int], width: int, height: int, size_hw: tuple[int, int]
) -> list[tuple[int, int]]:
    """Return left and top of a plate in order of preference, all inside the picture."""
    left, top, right, bottom = box
    above_and_below = [
        (column, row)
        for column in (left, right - width)
        for row in (top - height, top, bottom, bottom - height)
    ]
    beside = [(column, row) for column in (right, left - width) for row in (top, bottom - height)]
    last_left, last_top = size_hw[1] - width, size_hw[0] - height
    fitting = [
        (min(max(column, 0), last_left), row)
        for column, row in above_and_below + beside
        if 0 <= row <= last_top
    ]
    return fitting or [(min(max(left, 0), last_left), min(max(top, 0), last_top))]


def _meters(depth_m: float) -> str:
    return f'{depth_m:.2f} m' if depth_m < _FAR_M else f'{depth_m:.1f} m'


def _bar(size_px: int) -> int:
    return max(2, round(size_px / 4))


def _padding(size_px: int) -> int:
    return max(2, round(size_px / 3))
