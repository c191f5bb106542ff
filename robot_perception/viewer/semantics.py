"""Drawings of the class of every pixel."""

from __future__ import annotations

import cv2
import numpy as np

from robot_perception.core import class_color, NO_CLASS, Scene, Semantics, UInt8Array
from robot_perception.viewer.text import draw_text, fit_text, text_size_px, text_width

_OPACITY = 0.55
_PAPER, _LETTERS = (20, 22, 27), (255, 255, 255)
_MAX_LEGEND_SHARE = 0.4
# Smaller parts of an image are not in the legend.
_MIN_SHARE = 0.001


def tint_classes(canvas: UInt8Array, semantics: Semantics, opacity: float = _OPACITY) -> None:
    """Tint each pixel with the color of its class, in place; those without one stay as they are.

    Args:
        canvas: (H, W, 3) uint8 rgb.
        semantics: of the same size.
        opacity: of the tint, in [0, 1].
    """
    colors = np.zeros((NO_CLASS + 1, 3), np.uint8)
    for index, name in enumerate(semantics.class_names[:NO_CLASS]):
        colors[index] = class_color(name)
    tinted = cv2.addWeighted(canvas, 1 - opacity, colors[semantics.classes], opacity, 0)
    has_class = (semantics.classes != NO_CLASS).view(np.uint8)
    cv2.copyTo(tinted, has_class, canvas)


def draw_semantics(scene: Scene, semantics: Semantics) -> UInt8Array:
    """Tint the image of a scene by class, with a legend to its right.

    Returns:
        (H, W + legend, 3) uint8 rgb. The legend names classes by area, largest first, as many as
        fit; with their shares in percent.
    """
    picture: UInt8Array = scene.image.rgb.copy()
    tint_classes(picture, semantics)
    joined: UInt8Array = np.concatenate([picture, _legend(semantics)], axis=1)
    return joined


def _legend(semantics: Semantics) -> UInt8Array:
    height, width = semantics.size_hw
    size_px = text_size_px(semantics.size_hw)
    line = round(1.5 * size_px)
    lines = [
        (class_color(name), f'{name} {100 * area / (height * width):.1f} %')
        for name, area in semantics.areas().items()
        if area >= _MIN_SHARE * height * width
    ][: height // line]
    left = 2 * size_px
    widest = max((text_width(text, size_px) for _, text in lines), default=0)
    widest_px = min(widest, max(round(_MAX_LEGEND_SHARE * width), 2 * size_px))
    paper = np.full((height, left + widest_px + size_px, 3), _PAPER, np.uint8)
    for row, (color, text) in enumerate(lines):
        top = row * line + (line - size_px) // 2
        paper[top : top + size_px, size_px // 2 : size_px // 2 + size_px] = color
        middle = (row * line, row * line + line)
        shown = fit_text(text, size_px, widest_px)
        draw_text(paper, shown, (left, sum(middle) // 2), size_px, _LETTERS)
    return paper
