"""Triangle meshes: boxes, surfaces of revolution, bent tubes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
import math

import numpy as np

from robot_perception.core import AnyArray, checked, Float32Array, Float64Array, Vector3

_SEGMENTS = 48
# Profile edges that meet at a smaller angle are shaded as one smooth surface.
_CREASE_COSINE = math.cos(math.radians(50))


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """Triangles with shading normals.

    Attributes:
        vertices_m: (V, 3) float32, meters.
        triangles: (T, 3) uint32, indices of vertices.
        normals: (V, 3) float32, unit length, outward.
        low_m, high_m: (3,) float64, corners of the bounding box.
    """

    vertices_m: Float32Array
    triangles: AnyArray
    normals: Float32Array
    low_m: Float64Array = field(init=False)
    high_m: Float64Array = field(init=False)

    def __post_init__(self) -> None:
        count = len(self.vertices_m)
        for name, shape, dtype in (
            ('vertices_m', (count, 3), np.float32),
            ('triangles', (None, 3), np.uint32),
            ('normals', (count, 3), np.float32),
        ):
            value = checked(name, getattr(self, name), shape, dtype, 'Build it with this module.')
            object.__setattr__(self, name, value)
        object.__setattr__(self, 'low_m', self.vertices_m.min(axis=0).astype(np.float64))
        object.__setattr__(self, 'high_m', self.vertices_m.max(axis=0).astype(np.float64))

    def moved(self, offset_m: Vector3) -> Mesh:
        """Return a copy shifted by ``offset_m``."""
        return Mesh(self.vertices_m + np.array(offset_m, np.float32), self.triangles, self.normals)


def merge(meshes: Sequence[Mesh]) -> Mesh:
    """Concatenate meshes."""
    starts = np.cumsum([0, *(len(mesh.vertices_m) for mesh in meshes[:-1])])
    triangles = [mesh.triangles + np.uint32(at) for mesh, at in zip(meshes, starts, strict=True)]
    return Mesh(
        np.concatenate([mesh.vertices_m for mesh in meshes]),
        np.concatenate(triangles),
        np.concatenate([mesh.normals for mesh in meshes]),
    )


def cuboid(low_m: Vector3, high_m: Vector3) -> Mesh:
    """Make a box between two corners, with flat faces."""
    low, high = np.array(low_m, np.float32), np.array(high_m, np.float32)
    return Mesh(low + _CUBE.vertices_m * (high - low), _CUBE.triangles, _CUBE.normals)


def sheet(corners_m: AnyArray, normal: Vector3) -> Mesh:
    """Make a flat quadrilateral from (4, 3) corners in cyclic order."""
    return _quad(np.asarray(corners_m, np.float64), np.array(normal, np.float64))


def lathe(profile_rz: Sequence[tuple[float, float]], segments: int = _SEGMENTS) -> Mesh:
    """Make a surface of revolution about z.

    Args:
        profile_rz: radius and height, meters; the body lies to the left of the path (up the
            outside, down the inside).
        segments: sides of the polygon that approximates the circle.
    """
    points = np.array(profile_rz, np.float64)
    steps = np.diff(points, axis=0)
    across = np.stack([steps[:, 1], -steps[:, 0]], axis=1)
    across /= np.hypot(across[:, 0], across[:, 1])[:, None]
    starts, ends = across.copy(), across.copy()
    smooth = np.sum(across[:-1] * across[1:], axis=1) > _CREASE_COSINE
    middle = across[:-1] + across[1:]
    middle /= np.maximum(np.hypot(middle[:, 0], middle[:, 1]), 1e-9)[:, None]
    ends[:-1][smooth] = middle[smooth]
    starts[1:][smooth] = middle[smooth]
    # Two rows of vertices per step, so that each side of a crease has its own normal.
    ends_rz = np.stack([points[:-1], points[1:]], axis=1).reshape(-1, 2)
    normals_rz = np.stack([starts, ends], axis=1).reshape(-1, 2)
    grids = (_turned(ends_rz, segments), _turned(normals_rz, segments))
    return _grid(*grids, strips=np.arange(0, len(ends_rz), 2))


def sphere(radius_m: float, rings: int = 24) -> Mesh:
    """Make a sphere about the origin."""
    angles = np.linspace(-math.pi / 2, math.pi / 2, rings + 1)
    radii = np.cos(angles) * radius_m
    radii[[0, -1]] = 0
    return lathe(list(zip(radii.tolist(), (np.sin(angles) * radius_m).tolist(), strict=True)))


def bent_tube(path_m: Float64Array, radius_m: float, sides: int = 12) -> Mesh:
    """Make a tube along a path (N, 3) in the plane y = 0, open at both ends.

    Its cross-section is a polygon of so many sides.
    """
    along = np.gradient(path_m, axis=0)
    along /= np.sqrt(np.sum(along * along, axis=1))[:, None]
    sideways = np.array([0.0, 1.0, 0.0])
    outward = np.cross(sideways, along)
    angles = np.arange(sides + 1) * (2 * math.pi / sides)
    normals = (
        np.cos(angles)[None, :, None] * outward[:, None] + np.sin(angles)[None, :, None] * sideways
    )
    return _grid(path_m[:, None] + radius_m * normals, normals, np.arange(len(path_m) - 1))


def _quad(corners: Float64Array, normal: Float64Array) -> Mesh:
    return Mesh(
        corners.astype(np.float32),
        np.array([[0, 1, 2], [0, 2, 3]], np.uint32),
        np.tile(normal, (4, 1)).astype(np.float32),
    )


def _turned(rows_rz: Float64Array, segments: int) -> Float64Array:
    """Rotate (R, 2) radius and height about z: (R, segments + 1, 3)."""
    angles = np.arange(segments + 1) * (2 * math.pi / segments)
    spokes = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    # The last column closes the circle: it must equal the first exactly.
    spokes[-1] = spokes[0]
    grid = np.empty((len(rows_rz), segments + 1, 3))
    grid[..., :2] = rows_rz[:, None, :1] * spokes
    grid[..., 2] = rows_rz[:, None, 1]
    return grid


def _grid(points: Float64Array, normals: Float64Array, strips: AnyArray) -> Mesh:
    """Make two triangles per cell between rows k and k + 1, k in ``strips``, of (R, C, 3)."""
    rows, columns = points.shape[:2]
    index = np.arange(rows * columns).reshape(rows, columns)
    low, high = index[strips], index[strips + 1]
    a, b, c, d = low[:, :-1], low[:, 1:], high[:, 1:], high[:, :-1]
    triangles = np.stack([a, b, c, a, c, d], axis=-1).reshape(-1, 3)
    # At a pole one of the two triangles is degenerate.
    ends = points.reshape(-1, 3)[triangles]
    first, second, third = ends[:, 0], ends[:, 1], ends[:, 2]
    same = (first == second).all(1) | (second == third).all(1) | (third == first).all(1)
    return Mesh(
        points.reshape(-1, 3).astype(np.float32),
        triangles[~same].astype(np.uint32),
        normals.reshape(-1, 3).astype(np.float32),
    )


def _unit_cube() -> Mesh:
    faces = []
    for axis in range(3):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        for sign in (0, 1):
            corners = np.full((4, 3), float(sign))
            corners[:, first] = [0, 1, 1, 0]
            corners[:, second] = [0, 0, 1, 1]
            faces.append(_quad(corners, (2 * sign - 1) * np.eye(3)[axis]))
    return merge(faces)


_CUBE = _unit_cube()
