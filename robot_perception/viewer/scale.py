"""The colors and the legend of a depth picture."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
import math

import cv2
import numpy as np

from robot_perception.core import Rgb, UInt8Array
from robot_perception.viewer.text import draw_text, text_size_px, text_width

# The ends of the map are nearly black; without them the nearest and the farthest stay readable.
_FIRST_OF_MAP, _LAST_OF_MAP = 14, 242
_PAPER: Rgb = (24, 26, 31)
_LETTERS: Rgb = (232, 234, 238)
_TICK_STEPS = (1, 2, 5, 10)
_WORDS_FOR_ENDS = ('near', 'far')
_UNKNOWN = 'unknown'
_GRADIENT_STEPS = 9


@dataclass(frozen=True, slots=True)
class Scale:
    """Content of a legend.

    Attributes:
        title: its lines.
        near_far_m: meters at the two ends of the colors; None when they have no number.
        holes: whether the picture has unknown pixels.
    """

    title: tuple[str, ...]
    near_far_m: tuple[float, float] | None
    holes: bool


@dataclass(frozen=True, slots=True)
class _Bar:
    left: int
    top: int
    width: int
    height: int


def draw_scale(scale: Scale, size_hw: tuple[int, int]) -> UInt8Array:
    """Draw the legend for a picture of ``size_hw``.

    Returns:
        (H, legend, 3) uint8 rgb, near at the bottom; a bare bar where the picture is too low
        for text.
    """
    size_px = text_size_px(size_hw)
    line = round(1.5 * size_px)
    rows_of_text = len(scale.title) + (1 if scale.holes else 0)
    space = size_hw[0] - round((rows_of_text + 1.5) * line)
    if space < 4 * line:
        return _bare_bar(size_hw[0], size_px)
    texts = [*scale.title, _UNKNOWN, '00.0', 'near']
    margin = size_px
    width = 2 * margin + max(text_width(text, size_px) for text in texts) + size_px // 2
    paper = np.full((size_hw[0], width, 3), _PAPER, np.uint8)
    for number, text in enumerate(scale.title):
        middle = (2 * number + 1) * line // 2 + line // 4
        draw_text(paper, text, (margin, middle), size_px, _LETTERS)
    bar = _Bar(margin, (len(scale.title) + 1) * line - line // 4, round(1.2 * size_px), space)
    _paint_bar(paper, bar)
    for share, text in _ticks(scale.near_far_m, max(2, bar.height // (2 * line))):
        row = bar.top + round(share * (bar.height - 1))
        right = bar.left + bar.width
        paper[row, right : right + size_px // 3] = _LETTERS
        draw_text(paper, text, (right + size_px // 2, row), size_px, _LETTERS)
    if scale.holes:
        _explain_holes(paper, bar, size_px)
    return paper


def _bare_bar(height: int, size_px: int) -> UInt8Array:
    paper = np.full((height, 2 * size_px, 3), _PAPER, np.uint8)
    _paint_bar(paper, _Bar(size_px // 2, 0, size_px, height))
    return paper


def _paint_bar(paper: UInt8Array, bar: _Bar) -> None:
    colors = depth_table()[np.linspace(255, 0, bar.height).astype(np.intp)]
    paper[bar.top : bar.top + bar.height, bar.left : bar.left + bar.width] = colors[:, None]


def _explain_holes(paper: UInt8Array, bar: _Bar, size_px: int) -> None:
    middle = bar.top + bar.height + round(1.25 * size_px)
    top, left = middle - size_px // 2, bar.left
    side = round(0.9 * size_px)
    patch = paper[top : top + side, left : left + side]
    patch[:] = hatch((side, side))[: patch.shape[0], : patch.shape[1]]
    draw_text(paper, _UNKNOWN, (left + side + size_px // 3, middle), size_px, _LETTERS)


def _ticks(near_far_m: tuple[float, float] | None, most: int) -> list[tuple[float, str]]:
    """Marks of the bar: share of its length from the far end, and text."""
    if near_far_m is None:
        return [(1.0, _WORDS_FOR_ENDS[0]), (0.0, _WORDS_FOR_ENDS[1])]
    near, far = near_far_m
    step = _nice_step((far - near) / most)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    first, last = math.ceil(near / step - 1e-9), math.floor(far / step + 1e-9)
    values = [number * step for number in range(first, last + 1)]
    return [((far - value) / (far - near), f'{value:.{digits}f}') for value in values]


def _nice_step(rough: float) -> float:
    """Round up to 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(rough))
    return power * next(step for step in _TICK_STEPS if step * power >= rough * (1 - 1e-9))


@cache
def depth_table() -> UInt8Array:
    """Colors of depth: (256, 3) uint8 rgb, near = blue first, far = red last; read-only."""
    steps = np.linspace(_FIRST_OF_MAP, _LAST_OF_MAP, 256).round().astype(np.uint8)
    table: UInt8Array = cv2.applyColorMap(steps[:, None], cv2.COLORMAP_TURBO)[:, 0, ::-1].copy()
    table.flags.writeable = False
    return table


def depth_gradient() -> str:
    """Return the colors of depth as the stops of a gradient in CSS, near first."""
    colors = depth_table()[:: 256 // _GRADIENT_STEPS]
    return ', '.join(f'rgb({red} {green} {blue})' for red, green, blue in colors)


def hatch(size_hw: tuple[int, int]) -> UInt8Array:
    """Return the pattern of "unknown": (H, W, 3) uint8, diagonal stripes of grays, read-only."""
    height, width = size_hw
    stripe = max(4, min(size_hw) // 120)
    diagonals = np.arange(height + width)
    stripes = np.where(diagonals // stripe % 2 == 0, np.uint8(42), np.uint8(58))
    # Each row is that above it, moved by one.
    gray = np.lib.stride_tricks.sliding_window_view(stripes, width)[:height]
    return np.broadcast_to(gray[..., None], (*gray.shape, 3))
