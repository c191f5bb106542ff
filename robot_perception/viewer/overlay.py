"""The picture with its objects drawn on it."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from robot_perception.core import (
    BoolArray,
    instance_color,
    Masks,
    object_color,
    Rgb,
    Scene,
    SceneObject,
    UInt8Array,
)
from robot_perception.viewer.labels import (
    draw_plates,
    format_classes,
    place_plates,
    place_title,
)
from robot_perception.viewer.semantics import tint_classes
from robot_perception.viewer.text import draw_text, fit_text, text_size_px

_TINT = 0.38
# Of the classes of pixels below masks.
_PALE_TINT = 0.2
# The contour is the color of its object, lightened so that it stands out from the tint.
_CONTOUR_WHITE = 0.45
_LINE_SHARE = 1 / 300
_BACKGROUND: Rgb = (24, 26, 31)
_LETTERS: Rgb = (255, 255, 255)

PixelBox = tuple[int, int, int, int]


def draw_overlay(scene: Scene, *, caption: str = '') -> UInt8Array:
    """Draw masks, boxes and labels of a scene on its image, and a line of the best scene classes.

    Objects that lie outside the image are left out. Smaller boxes are drawn over larger ones.
    Masks and objects may be missing; the picture then shows what there is. The color of an object
    is that of its track, or of its index without tracking. Pixels that have a class are tinted in
    its color, lightly below masks.

    Args:
        scene: the results.
        caption: line of text on a dark strip at the lower edge, empty for none.

    Returns:
        (H, W, 3) uint8 rgb, a new picture of the image's size.
    """
    canvas: UInt8Array = scene.image.rgb.copy()
    if scene.semantics is not None:
        tint_classes(canvas, scene.semantics, _TINT if scene.masks is None else _PALE_TINT)
    size_hw = scene.image.size_hw
    stroke = max(1, round(min(size_hw) * _LINE_SHARE))
    boxes = [(item, _to_pixel_box(item.box_xyxy, size_hw)) for item in scene.objects]
    visible = [(item, box) for item, box in boxes if box is not None]
    visible.sort(key=lambda pair: _area(pair[1]), reverse=True)
    if scene.masks is not None:
        for item, _ in visible:
            window = scene.masks.window(item.index)
            mask = scene.masks.pixels[item.index][window]
            _tint(canvas[window], mask, object_color(item), stroke)
    for item, box in visible:
        _draw_box(canvas, box, object_color(item), stroke)
    draw_plates(canvas, place_plates(visible, size_hw))
    if scene.scene_classes is not None:
        draw_plates(canvas, place_title(format_classes(scene.scene_classes), size_hw))
    if caption:
        _add_caption(canvas, caption)
    return canvas


def _add_caption(picture: UInt8Array, text: str) -> None:
    """Write one line on a dark strip at the lower edge of a picture, (H, W, 3) uint8, in place."""
    height, width = picture.shape[:2]
    size_px = min(text_size_px((height, width)), height)
    strip = picture[height - min(2 * size_px, height) :]
    strip[:] = _BACKGROUND
    text = fit_text(text, size_px, width - size_px)
    draw_text(strip, text, (size_px // 2, strip.shape[0] // 2), size_px, _LETTERS)


def _to_pixel_box(
    box_xyxy: tuple[float, float, float, float], size_hw: tuple[int, int]
) -> PixelBox | None:
    """Whole pixels that a box covers inside the image, None when there are none."""
    height, width = size_hw
    left, top, right, bottom = box_xyxy
    if left >= width or top >= height or right <= 0 or bottom <= 0:
        return None
    column, row = min(round(max(left, 0)), width - 1), min(round(max(top, 0)), height - 1)
    last_column, last_row = round(min(right, width)), round(min(bottom, height))
    return column, row, max(last_column, column + 1), max(last_row, row + 1)


def _area(box: PixelBox) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def _tint(region: UInt8Array, mask: BoolArray, color: Rgb, stroke: int) -> None:
    """Tint the pixels of a mask, and draw its contour."""
    if not mask.size:
        return
    stencil = mask.view(np.uint8)
    tinted = np.arange(256)[:, None] * (1 - _TINT) + np.array(color) * _TINT
    cv2.copyTo(cv2.LUT(region, tinted.round().astype(np.uint8)[None]), stencil, region)
    # An inner edge by erosion: its cost does not depend on how ragged the mask is.
    reach = 2 * max(1, stroke // 2) + 1
    inner = cv2.erode(
        stencil, np.ones((reach, reach), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0
    )
    light = np.array(color) * (1 - _CONTOUR_WHITE) + 255 * _CONTOUR_WHITE
    contour = cv2.merge([np.full_like(stencil, channel) for channel in light.astype(np.uint8)])
    cv2.copyTo(contour, stencil - inner, region)


def _draw_box(canvas: UInt8Array, box: PixelBox, color: Rgb, stroke: int) -> None:
    """Draw the line wholly inside the box, so that a box at the border stays visible."""
    left, top, right, bottom = box
    # Plain strips of whole pixels: OpenCV's antialiased lines bleed out of the box.
    region = canvas[top:bottom, left:right]
    region[:stroke] = region[-stroke:] = color
    region[:, :stroke] = region[:, -stroke:] = color


def draw_instances(masks: Masks, objects: Sequence[SceneObject] = ()) -> UInt8Array:
    """Paint each mask in a color of its own, where they overlap as in `Masks.instance_map`.

    Args:
        masks: N masks.
        objects: N objects, whose colors are those of `draw_overlay`; none for colors by index.

    Returns:
        (H, W, 3) uint8 rgb, dark gray where there is no object.
    """
    colors = map(object_color, objects) if objects else map(instance_color, range(len(masks)))
    picture: UInt8Array = np.array([_BACKGROUND, *colors], np.uint8)[masks.instance_map()]
    return picture
