"""Masks as a picture of labels."""

from __future__ import annotations

import numpy as np

from robot_perception.core import instance_color, Masks, Rgb, UInt8Array

_BACKGROUND: Rgb = (24, 26, 31)


def draw_instances(masks: Masks) -> UInt8Array:
    """Paint each mask in a color of its own.

    Args:
        masks: may overlap; the better detection then wins, as in `Masks.instance_map`.

    Returns:
        (H, W, 3) uint8 rgb, dark gray where there is no object.

    """
    colors = [_BACKGROUND, *(instance_color(index) for index in range(len(masks)))]
    picture: UInt8Array = np.array(colors, np.uint8)[masks.instance_map()]
    return picture
