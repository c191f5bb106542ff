"""The smallest upright box about points, in a frame that knows what is up."""

from __future__ import annotations

import math

import cv2
import numpy as np

from robot_perception.core import Box3D
from robot_perception.core.arrays import Float64Array
from robot_perception.core.errors import InputError
from robot_perception.core.rotation import quaternion_of
from robot_perception.pipeline.strays import without_strays

# Of a book that lies nearly all points are on its cover: its thickness is no stray.
_LEAST_GAP_M = 0.04


def unit_vector(name: str, vector: tuple[float, float, float]) -> Float64Array:
    """Bring a direction to length 1: (3,) float64.

    Raises:
        InputError: it is not finite or has no length.

    """
    direction = np.array(vector, np.float64)
    length = float(np.linalg.norm(direction)) if direction.shape == (3,) else math.nan
    if not length > 0 or not math.isfinite(length):
        raise InputError(
            f'{name}: expected three finite numbers, not all 0, got {vector}. '
            'Pass the direction away from the ground in the optical frame.'
        )
    return direction / length


def upright_box(points_m: Float64Array, up: Float64Array) -> Box3D:
    """Put a box about points whose third axis is ``up``.

    The other two are those of the rectangle of least area about the points seen from above, so
    that they show the heading of whatever has straight sides.

    Args:
        points_m: (N, 3) float64, N >= 1, metres.
        up: (3,) float64, of length 1, in the frame of the points.

    """
    level = np.eye(3)[int(np.argmin(np.abs(up)))]
    first = np.cross(up, level)
    first /= np.linalg.norm(first)
    axes = np.stack([first, np.cross(up, first), up])
    local = points_m @ axes.T
    middle = np.median(local, axis=0)
    local -= middle
    # One after the other: what three axes keep together might be nothing.
    for axis in range(3):
        local = local[without_strays(local[:, axis], _LEAST_GAP_M)]
    (x, y), (width, depth), degrees = cv2.minAreaRect(local[:, :2].astype(np.float32))
    low, high = float(local[:, 2].min()), float(local[:, 2].max())
    offset = np.array([x, y, (low + high) / 2])
    center = (middle + offset) @ axes
    heading = math.radians(degrees)
    along = math.cos(heading) * axes[0] + math.sin(heading) * axes[1]
    rotation = np.stack([along, np.cross(up, along), up], axis=1)
    return Box3D(
        center_m=(float(center[0]), float(center[1]), float(center[2])),
        size_m=(float(width), float(depth), high - low),
        rotation_xyzw=quaternion_of(rotation),
    )
