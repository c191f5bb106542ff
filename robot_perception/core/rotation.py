"""Rotations as matrices and as quaternions x, y, z, w."""

from __future__ import annotations

import math

import numpy as np

from robot_perception.core.arrays import Float64Array
from robot_perception.core.box3d import Quaternion

# Index of w in a quaternion.
_W = 3
_SMALL_SINE = 1e-6


def matrix_to_quaternion(matrix: Float64Array) -> Quaternion:
    """Convert an orthonormal (3, 3) float64 matrix of determinant 1 to a unit quaternion, w >= 0.

    Shepperd's method (1978): divides by the largest component.
    """
    m = matrix.tolist()
    trace = m[0][0] + m[1][1] + m[2][2]
    squares = [m[0][0], m[1][1], m[2][2], trace]
    largest = squares.index(max(squares))
    q = [0.0, 0.0, 0.0, 0.0]
    if largest == _W:
        q[3] = 1 + trace
        q[:3] = [m[2][1] - m[1][2], m[0][2] - m[2][0], m[1][0] - m[0][1]]
    else:
        i, j, k = largest, (largest + 1) % 3, (largest + 2) % 3
        q[i] = 1 + m[i][i] - m[j][j] - m[k][k]
        q[j], q[k] = m[j][i] + m[i][j], m[k][i] + m[i][k]
        q[3] = m[k][j] - m[j][k]
    norm = math.copysign(math.hypot(*q), q[3])
    return q[0] / norm, q[1] / norm, q[2] / norm, q[3] / norm


def quaternion_to_matrix(rotation_xyzw: Quaternion) -> Float64Array:
    """Convert a quaternion of any length but 0 to a (3, 3) float64 matrix."""
    x, y, z, w = np.array(rotation_xyzw) / math.hypot(*rotation_xyzw)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def slerp(first: Quaternion, second: Quaternion, share: float) -> Quaternion:
    """Interpolate between two unit quaternions at constant angular velocity, the shorter way.

    Shoemake (1985), as in tf2. A ``share`` of 0 gives the first, of 1 the second.
    """
    pairs = tuple(zip(first, second, strict=True))
    sign = -1.0 if sum(a * b for a, b in pairs) < 0 else 1.0
    # By the chord and its complement: the arc cosine is inaccurate near 1.
    chord = math.hypot(*(a - sign * b for a, b in pairs))
    angle = 2 * math.atan2(chord, math.hypot(*(a + sign * b for a, b in pairs)))
    sine = math.sin(angle)
    if sine < _SMALL_SINE:
        # Nearly the same rotation: dividing by the sine is unsafe, and linear is accurate.
        weights = 1 - share, share
    else:
        weights = math.sin((1 - share) * angle) / sine, math.sin(share * angle) / sine
    x, y, z, w = (weights[0] * a + sign * weights[1] * b for a, b in pairs)
    norm = math.hypot(x, y, z, w)
    return x / norm, y / norm, z / norm, w / norm
