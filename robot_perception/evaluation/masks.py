"""How well a mask agrees with the true one."""

from __future__ import annotations

import math

import cv2
import numpy as np

from robot_perception.core import BoolArray, UInt8Array

# Cheng et al. 2021: width of the boundary as a share of the image's diagonal.
BOUNDARY_SHARE = 0.02


def mask_iou(found: BoolArray, true: BoolArray) -> float:
    """Pixels in both masks over pixels in either: in [0, 1], 0 where both are empty.

    Args:
        found: (H, W) bool.
        true: (H, W) bool.

    >>> mask_iou(np.array([[True, True]]), np.array([[True, False]]))
    0.5

    """
    either = np.count_nonzero(found | true)
    return float(np.count_nonzero(found & true) / either) if either else 0.0


def boundary_iou(found: BoolArray, true: BoolArray) -> float:
    """Intersection over union of what lies near the outlines.

    That is, of the pixels of each mask within a distance of its own outline, 2 % of the image's
    diagonal and at least one pixel (Cheng et al. 2021, Boundary IoU: Improving Object-Centric
    Image Segmentation Evaluation). The border of the image is an outline, as in their code.

    Args:
        found: (H, W) bool, of the whole image.
        true: (H, W) bool.

    """
    reach = max(1, round(BOUNDARY_SHARE * math.hypot(*true.shape)))
    left, top, width, height = cv2.boundingRect((found | true).view(np.uint8))
    window = np.s_[top : top + height, left : left + width]
    return mask_iou(_boundary(found[window], reach), _boundary(true[window], reach))


def _boundary(mask: BoolArray, reach: int) -> BoolArray:
    """Pixels of a mask at most ``reach`` steps, also diagonal ones, from outside."""
    # Nothing of the mask lies beyond the window, so that outside begins there.
    pixels: UInt8Array = np.pad(mask, 1).astype(np.uint8)
    inner = cv2.erode(pixels, np.ones((3, 3), np.uint8), iterations=reach)
    boundary: BoolArray = mask & (inner[1:-1, 1:-1] == 0)
    return boundary
