"""Where a thing stands and where a camera looks, in a world whose z is up."""

from __future__ import annotations

import math

import numpy as np

from robot_perception.core import Float64Array, Pose

__all__ = ['Pose', 'look_at', 'rotation_about']


def rotation_about(axis: int, angle_rad: float) -> Float64Array:
    """Matrix of a rotation about x, y or z (0, 1, 2)."""
    sine, cosine = math.sin(angle_rad), math.cos(angle_rad)
    first, second = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = cosine
    matrix[first, second], matrix[second, first] = -sine, sine
    return matrix


def look_at(eye_m: Float64Array, target_m: Float64Array, roll_rad: float) -> Pose:
    """Pose of a camera in a world with z up: optical axes, z towards the target.

    Args:
        eye_m: (3,) float64, the optical centre; not straight above or below the target.
        target_m: (3,) float64, the point in the middle of the picture.
        roll_rad: turn about the optical axis.

    """
    forward = target_m - eye_m
    forward = forward / math.sqrt(float(np.sum(forward * forward)))
    right = np.array([forward[1], -forward[0], 0.0])
    right /= math.hypot(right[0], right[1])
    level = Pose(np.stack([right, np.cross(forward, right), forward], axis=1), eye_m)
    return level.compose(Pose(rotation_about(2, roll_rad), np.zeros(3)))
