"""Exact intersection over union of oriented 3D boxes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
import math

import numpy as np

from robot_perception.core import Box3D, Float64Array, quaternion_to_matrix

# Of the largest side: faces nearer to each other than this lie in one plane.
_COPLANAR = 1e-9
_LEAST_CORNERS = 3


@dataclass(frozen=True, slots=True, eq=False)
class _Face:
    """A face of a box, which lies where normal . x <= reach.

    Attributes:
        normal: (3,) float64, unit length, outward.
        reach: distance of the face from the origin along the normal.
        corners: (4, 3) float64, counterclockwise seen from outside.
    """

    normal: Float64Array
    reach: float
    corners: Float64Array


def box_iou(first: Box3D, second: Box3D) -> float:
    """Compute the volume of the intersection of two boxes over the volume of their union.

    Every face of the intersection is a face of one box, clipped by the six planes of the other.
    The volume is the sum of the pyramids from one point to all of these faces.

    Returns:
        In [0, 1]; 0 where neither has a volume.
    """
    shared = shared_volume(first, second)
    either = math.prod(first.size_m) + math.prod(second.size_m) - shared
    return min(1.0, shared / either) if either > 0 else 0.0


def shared_volume(first: Box3D, second: Box3D) -> float:
    """Compute the volume of the intersection of two boxes, cubic meters."""
    # Relative to one of the boxes, so that boxes far from the origin lose no digits.
    origin = np.array(first.center_m)
    faces, others = list(_faces(first, origin)), list(_faces(second, origin))
    tolerance = _COPLANAR * max(*first.size_m, *second.size_m)
    volume = sum(_pyramid(_cut(face, others, tolerance)) for face in faces)
    for face in others:
        # Faces of both boxes in one plane have been counted.
        if not any(_same_plane(face, other, tolerance) for other in faces):
            volume += _pyramid(_cut(face, faces, tolerance))
    return max(0.0, volume)


def _faces(box: Box3D, origin: Float64Array) -> Iterator[_Face]:
    axes = quaternion_to_matrix(box.rotation_xyzw)
    halves = np.array(box.size_m) / 2
    middle = np.array(box.center_m) - origin
    for axis, side in product(range(3), (1.0, -1.0)):
        u, v = ((axis + 1) % 3, (axis + 2) % 3)
        normal = axes[:, axis] * side
        along, across = axes[:, u] * halves[u], axes[:, v] * halves[v] * side
        face = middle + normal * halves[axis]
        corners = face + np.array(
            [-along - across, along - across, along + across, across - along]
        )
        yield _Face(normal, float(normal @ face), corners)


def _same_plane(face: _Face, other: _Face, tolerance: float) -> bool:
    within = np.abs(face.corners @ other.normal - other.reach) <= tolerance
    return bool(within.all()) and float(face.normal @ other.normal) > 0


def _cut(face: _Face, others: list[_Face], tolerance: float) -> Float64Array:
    """Return the part of a face inside another box, (N, 3); N may be 0."""
    corners = face.corners
    for other in others:
        corners = _clip(corners, other, tolerance)
        if len(corners) < _LEAST_CORNERS:
            return corners[:0]
    return corners


def _clip(corners: Float64Array, keep: _Face, tolerance: float) -> Float64Array:
    """Clip a convex polygon at the plane of a face (Sutherland and Hodgman 1974)."""
    beyond = corners @ keep.normal - keep.reach
    # Corners on the plane stay, so that a face in it is kept whole.
    beyond[np.abs(beyond) <= tolerance] = 0.0
    kept = []
    for index, (corner, height) in enumerate(zip(corners, beyond, strict=True)):
        before, height_before = corners[index - 1], beyond[index - 1]
        if height * height_before < 0:
            share = height_before / (height_before - height)
            kept.append(before + share * (corner - before))
        if height <= 0:
            kept.append(corner)
    return np.array(kept).reshape(-1, 3)


def _pyramid(corners: Float64Array) -> float:
    """Return the signed volume between a polygon and the origin, positive for its back side."""
    if len(corners) < _LEAST_CORNERS:
        return 0.0
    doubled = np.cross(corners[1:-1] - corners[0], corners[2:] - corners[0]).sum(axis=0)
    return float(corners[0] @ doubled) / 6
