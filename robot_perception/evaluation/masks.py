"""Overlap of a mask with the true mask."""

from __future__ import annotations

import math

import cv2
import numpy as np

from robot_perception.core import BoolArray, UInt8Array

# Cheng et al. 2021: width of the boundary as a share of the image's diagonal.
BOUNDARY_SHARE = 0.02


def mask_iou(predicted: BoolArray, true: BoolArray) -> float:
    """Compute the IoU of two (H, W) masks, in [0, 1]; 0 where both are empty.

    >>> mask_iou(np.array([[True, True]]), np.array([[True, False]]))
    0.5
    """
    either = np.count_nonzero(predicted | true)
    return float(np.count_nonzero(predicted & true) / either) if either else 0.0


def boundary_iou(predicted: BoolArray, true: BoolArray) -> float:
    """Compute the boundary IoU of two (H, W) masks: the IoU of the pixels near their outlines.

    These are the pixels of each mask within a distance of its own outline, 2 % of the image's
    diagonal and at least one pixel (Cheng et al. 2021, Boundary IoU: Improving Object-Centric
    Image Segmentation Evaluation). The border of the image is an outline, as in their code.
    """
    reach = max(1, round(BOUNDARY_SHARE * math.hypot(*true.shape)))
    left, top, width, height = cv2.boundingRect((predicted | true).view(np.uint8))
    window = np.s_[top : top + height, left : left + width]
    return mask_iou(_boundary(predicted[window], reach), _boundary(true[window], reach))


def _boundary(mask: BoolArray, reach: int) -> BoolArray:
    """Return the pixels of a mask at most ``reach`` steps, also diagonal ones, from outside."""
    # No pixel of the mask lies beyond the window, so that the outside begins there.
    pixels: UInt8Array = np.pad(mask, 1).astype(np.uint8)
    inner = cv2.erode(pixels, np.ones((3, 3), np.uint8), iterations=reach)
    boundary: BoolArray = mask & (inner[1:-1, 1:-1] == 0)
    return boundary
