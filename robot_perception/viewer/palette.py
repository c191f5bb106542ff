"""The scale of colors for depth, and the pattern for what is unknown."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from robot_perception.core import UInt8Array

# The ends of the map are nearly black; without them the nearest and the farthest stay readable.
_FIRST_OF_MAP, _LAST_OF_MAP = 14, 242


@cache
def depth_table() -> UInt8Array:
    """Colors of depth: (256, 3) uint8 rgb, far = blue first, near = red last; read-only."""
    steps = np.linspace(_FIRST_OF_MAP, _LAST_OF_MAP, 256).round().astype(np.uint8)
    table: UInt8Array = cv2.applyColorMap(steps[:, None], cv2.COLORMAP_TURBO)[:, 0, ::-1].copy()
    table.flags.writeable = False
    return table


def hatch(size_hw: tuple[int, int]) -> UInt8Array:
    """Make the pattern that stands for "unknown": (H, W, 3) uint8, diagonal stripes of grays."""
    height, width = size_hw
    stripe = max(4, min(size_hw) // 120)
    diagonal = np.arange(height)[:, None] + np.arange(width)[None, :]
    gray = np.where(diagonal // stripe % 2 == 0, np.uint8(42), np.uint8(58))
    return np.repeat(gray[..., None], 3, axis=2)
