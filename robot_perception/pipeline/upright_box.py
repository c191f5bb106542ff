"""The smallest upright box about points, in a frame that knows what is up."""

from __future__ import annotations

import math

import cv2
import numpy as np

from robot_perception.core import Box3D, Float64Array, InputError, matrix_to_quaternion
from robot_perception.pipeline.strays import without_strays

# Of a book that lies nearly all points are on its cover: its thickness is no stray.
_LEAST_GAP_M = 0.04
# A rectangle whose area is up to so many times the least is about as small.
_AS_SMALL = 1.2
# Points that are looked at to choose between such rectangles, at most.
_SOME = 256


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

    The other two are those of a rectangle about the points seen from above, so that they show the
    heading of whatever has straight sides.

    Args:
        points_m: (N, 3) float64, N >= 1, metres.
        up: (3,) float64, of length 1, in the frame of the points.

    """
    axes = _axes(up)
    local = axes @ points_m.T
    middle = local.mean(axis=1)
    local -= middle[:, None]
    # One after the other: what three axes keep together might be nothing.
    for axis in range(3):
        kept = without_strays(local[axis], _LEAST_GAP_M)
        if not kept.all():
            local = local[:, kept]
    heading = _heading(local[:2].T)
    cosine, sine = math.cos(heading), math.sin(heading)
    turned = np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]])
    own = turned @ local
    low, high = own.min(axis=1), own.max(axis=1)
    turned = turned @ axes
    x, y, z = (middle @ axes + (low + high) / 2 @ turned).tolist()
    width, depth, height = (high - low).tolist()
    return Box3D(
        center_m=(x, y, z),
        size_m=(width, depth, height),
        rotation_xyzw=matrix_to_quaternion(turned.T.copy()),
    )


def _axes(up: Float64Array) -> Float64Array:
    """Give rows of a right-handed (3, 3) rotation, of which the last is ``up``."""
    x, y, z = up.tolist()
    # Across whichever axis is the least upright.
    least = min(abs(x), abs(y), abs(z))
    level = (0.0, z, -y) if abs(x) == least else (-z, 0.0, x) if abs(y) == least else (y, -x, 0.0)
    length = math.hypot(*level)
    a, b, c = (part / length for part in level)
    return np.array([(a, b, c), (y * c - z * b, z * a - x * c, x * b - y * a), (x, y, z)])


def _heading(seen_m: Float64Array) -> float:
    """Find how the rectangle about (N, 2) points is turned, radians.

    It is the one of least area. But where only two sides of a box are to be seen, their points
    are the legs of a right triangle, and a rectangle along its hypotenuse has the very same area:
    of those about as small, the one whose sides the points lie closest to is taken (the closeness
    of Zhang et al. 2017, who fit cars to laser scans).
    """
    hull = cv2.convexHull(seen_m.astype(np.float32))[:, 0].astype(np.float64)
    edges = np.roll(hull, -1, axis=0) - hull
    headings = np.arctan2(edges[:, 1], edges[:, 0])
    corners = _along(hull, headings)
    low, high = corners.min(axis=1), corners.max(axis=1)
    areas = np.prod(high - low, axis=0)
    small = np.flatnonzero(areas <= _AS_SMALL * areas.min())
    some = _along(seen_m[:: 1 + len(seen_m) // _SOME], headings[small])
    away = np.minimum(some - low[:, None, small], high[:, None, small] - some).min(axis=0)
    return float(headings[small[int(away.mean(axis=0).argmin())]])


def _along(points_m: Float64Array, headings: Float64Array) -> Float64Array:
    """Places of (N, 2) points along and across M headings: (2, N, M)."""
    cosine, sine = np.cos(headings), np.sin(headings)
    x, y = points_m[:, :1], points_m[:, 1:]
    places: Float64Array = np.stack([x * cosine + y * sine, y * cosine - x * sine])
    return places
