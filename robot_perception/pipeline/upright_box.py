"""Smallest upright boxes around points, given the direction of gravity."""

from __future__ import annotations

import math

import cv2
import numpy as np

from robot_perception.core import Box3D, Float64Array, InputError, matrix_to_quaternion
from robot_perception.pipeline.outliers import inlier_mask

# Narrowest gap to outliers. Nearly all points of a lying book are on its cover, and those on its
# sides are no outliers.
_MIN_GAP_M = 0.04
# Rectangles up to this many times the smallest area are candidates.
_AREA_TOLERANCE = 1.2
# Most points that candidates are compared on.
_MAX_POINTS = 256


def unit_vector(name: str, vector: tuple[float, float, float]) -> Float64Array:
    """Normalize a direction to length 1: (3,) float64.

    Raises:
        InputError: it is not finite or is zero.
    """
    direction = np.array(vector, np.float64)
    length = float(np.linalg.norm(direction)) if direction.shape == (3,) else math.nan
    if not length > 0 or not math.isfinite(length):
        raise InputError(
            'no_direction',
            f'{name}: expected three finite numbers, not all 0, got {vector}. '
            'Pass the direction away from the ground in the optical frame.',
        )
    return direction / length


def upright_box(points_m: Float64Array, gravity_up: Float64Array) -> Box3D:
    """Compute the box around points whose third axis is ``gravity_up``.

    The other two axes are those of a rectangle around the points in the horizontal plane, so that
    they show the heading of objects with straight sides.

    Args:
        points_m: (N, 3) float64, N >= 1, meters.
        gravity_up: (3,) float64, of length 1, in the frame of the points.
    """
    axes = _upright_axes(gravity_up)
    local = axes @ points_m.T
    centroid = local.mean(axis=1)
    local -= centroid[:, None]
    # One axis after the other: no point may be an inlier on all three at once.
    for axis in range(3):
        inliers = inlier_mask(local[axis], _MIN_GAP_M)
        if not inliers.all():
            local = local[:, inliers]
    heading = _rectangle_heading(local[:2].T)
    cosine, sine = math.cos(heading), math.sin(heading)
    box_from_local = np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]])
    in_box = box_from_local @ local
    low, high = in_box.min(axis=1), in_box.max(axis=1)
    box_from_optical = box_from_local @ axes
    x, y, z = (centroid @ axes + (low + high) / 2 @ box_from_optical).tolist()
    width, depth, height = (high - low).tolist()
    return Box3D(
        center_m=(x, y, z),
        size_m=(width, depth, height),
        rotation_xyzw=matrix_to_quaternion(box_from_optical.T.copy()),
    )


def _upright_axes(gravity_up: Float64Array) -> Float64Array:
    """Return a right-handed (3, 3) rotation whose last row is ``gravity_up``."""
    x, y, z = gravity_up.tolist()
    # Perpendicular to the axis that is closest to horizontal.
    smallest = min(abs(x), abs(y), abs(z))
    if abs(x) == smallest:
        horizontal = (0.0, z, -y)
    elif abs(y) == smallest:
        horizontal = (-z, 0.0, x)
    else:
        horizontal = (y, -x, 0.0)
    length = math.hypot(*horizontal)
    a, b, c = (part / length for part in horizontal)
    return np.array([(a, b, c), (y * c - z * b, z * a - x * c, x * b - y * a), (x, y, z)])


def _rectangle_heading(points_m: Float64Array) -> float:
    """Compute the heading of the rectangle around (N, 2) points, radians.

    The rectangle has nearly the smallest area. If only two sides of a box are visible, their
    points are the legs of a right triangle, and a rectangle along its hypotenuse has the same
    area.
    Among the candidates, the one whose sides are closest to the points is taken (the closeness
    criterion of Zhang et al. 2017, who fit cars to laser scans).
    """
    hull = cv2.convexHull(points_m.astype(np.float32))[:, 0].astype(np.float64)
    edges = np.roll(hull, -1, axis=0) - hull
    headings = np.arctan2(edges[:, 1], edges[:, 0])
    corners = _project(hull, headings)
    low, high = corners.min(axis=1), corners.max(axis=1)
    areas = np.prod(high - low, axis=0)
    candidates = np.flatnonzero(areas <= _AREA_TOLERANCE * areas.min())
    sample = _project(points_m[:: 1 + len(points_m) // _MAX_POINTS], headings[candidates])
    distances = np.minimum(
        sample - low[:, None, candidates], high[:, None, candidates] - sample
    ).min(axis=0)
    return float(headings[candidates[int(distances.mean(axis=0).argmin())]])


def _project(points_m: Float64Array, headings: Float64Array) -> Float64Array:
    """Compute coordinates of (N, 2) points along and across M headings: (2, N, M)."""
    cosine, sine = np.cos(headings), np.sin(headings)
    x, y = points_m[:, :1], points_m[:, 1:]
    coordinates: Float64Array = np.stack([x * cosine + y * sine, y * cosine - x * sine])
    return coordinates
