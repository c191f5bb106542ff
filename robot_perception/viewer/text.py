"""Text on a picture, with the fonts that the installed OpenCV has."""

from __future__ import annotations

import math

import cv2

from robot_perception.core import Rgb, UInt8Array

# OpenCV 5 brings real fonts; OpenCV 4, which ROS distributions ship, has Hershey strokes only.
_HAS_FONTS = hasattr(cv2, 'FontFace')
_WEIGHT = 600
_HERSHEY_SCALE = 1 / 29
_HERSHEY_CAPITAL = 0.72

ELLIPSIS = '…'
_TO_ASCII = {'·': '-', ELLIPSIS: '..'}


def text_size_px(size_hw: tuple[int, int]) -> int:
    """Height of a font, in pixels, that reads well on a picture of ``size_hw``."""
    return max(11, round(math.sqrt(size_hw[0] * size_hw[1]) / 46))


def text_width(text: str, size_px: int) -> int:
    """Width of one line of text in pixels."""
    if _HAS_FONTS:
        x, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), _font(), size_px, _WEIGHT)
        return int(x + width)
    (width, _), _ = cv2.getTextSize(
        _ascii(text), cv2.FONT_HERSHEY_SIMPLEX, size_px * _HERSHEY_SCALE, _stroke(size_px)
    )
    return int(width)


def draw_text(
    canvas: UInt8Array, text: str, at: tuple[int, int], size_px: int, color: Rgb
) -> None:
    """Write one line of text on ``canvas``.

    Args:
        canvas: (H, W, 3) uint8 rgb, changed in place.
        text: one line.
        at: column where it starts and row of the middle of its capital letters, pixels.
        size_px: size of the font.
        color: of the letters.
    """
    left, middle = at
    baseline = middle + round(size_px * _HERSHEY_CAPITAL / 2)
    if _HAS_FONTS:
        # A face per call: it costs a microsecond and shares no state between threads.
        cv2.putText(canvas, text, (left, baseline), color, _font(), size_px, _WEIGHT)
    else:
        cv2.putText(
            canvas,
            _ascii(text),
            (left, baseline),
            cv2.FONT_HERSHEY_SIMPLEX,
            size_px * _HERSHEY_SCALE,
            color,
            _stroke(size_px),
            cv2.LINE_AA,
        )


def fit_text(text: str, size_px: int, width_px: int) -> str:
    """Shorten a text to a width with an ellipsis; empty if not even that fits."""
    if text_width(text, size_px) <= width_px:
        return text
    for length in range(len(text) - 1, 0, -1):
        cut = text[:length].rstrip() + ELLIPSIS
        if text_width(cut, size_px) <= width_px:
            return cut
    return ''


def _font() -> cv2.FontFace:
    return cv2.FontFace('sans')


def _ascii(text: str) -> str:
    return ''.join(_TO_ASCII.get(letter, letter) for letter in text)


def _stroke(size_px: int) -> int:
    return max(1, round(size_px / 12))
