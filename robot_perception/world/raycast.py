"""What rays meet: a thin shell around Open3D.

One thread only: the same rays give the same bytes, and many processes can share a machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import open3d as o3d

from robot_perception.core import AnyArray, BoolArray, Float32Array, Int64Array
from robot_perception.world.furniture import Thing
from robot_perception.world.pose import Pose

NOTHING = -1
_INVALID = np.iinfo(np.uint32).max


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """What N rays met first.

    Attributes:
        reach: (N,) float32, multiples of the ray's direction; infinite where there is nothing.
        thing: (N,) int64, index of the thing, or `NOTHING`.
        points_m: (3, N) float32 in the world; far away where there is nothing.
        normals: (3, N) float32 in the world, unit length, towards the side the ray came from.

    """

    reach: Float32Array
    thing: Int64Array
    points_m: Float32Array
    normals: Float32Array


class RayCaster:
    """Things that rays can meet, each at its place."""

    def __init__(self, things: Sequence[Thing], smooth: int) -> None:
        """Index the triangles.

        Args:
            things: in the order of `Hits.thing`.
            smooth: as many of the first things are shaded with the normals of their vertices.

        """
        self._scene = o3d.t.geometry.RaycastingScene(nthreads=1)
        self._smooth = smooth
        corners = []
        for index, thing in enumerate(things):
            mesh = thing.body.mesh
            vertices = thing.pose.apply(mesh.vertices_m.astype(np.float64)).astype(np.float32)
            self._scene.add_triangles(_tensor(vertices), _tensor(np.array(mesh.triangles)))
            if index < smooth:
                turn = Pose(thing.pose.rotation, np.zeros(3))
                normals = turn.apply(mesh.normals.astype(np.float64)).astype(np.float32)
                corners.append(normals[mesh.triangles])
        counts = [len(item) for item in corners]
        self._starts = np.cumsum([0, *counts])
        # Corner first, component next, triangle last: looked up by triangle.
        flat = np.concatenate(corners) if corners else np.zeros((0, 3, 3), np.float32)
        self._corner_normals = np.ascontiguousarray(flat.transpose(1, 2, 0))

    def cast(self, origin_m: Float32Array, directions: Float32Array) -> Hits:
        """Follow rays from one point: (3,) and (3, N) float32."""
        answer = self._scene.cast_rays(_rays(origin_m[:, None], directions), nthreads=1)
        reach: Float32Array = answer['t_hit'].numpy()
        raw = answer['geometry_ids'].numpy()
        thing = np.where(raw == _INVALID, NOTHING, raw.astype(np.int64))
        normals = np.ascontiguousarray(answer['primitive_normals'].numpy().T)
        _face(normals, directions)
        soft = np.flatnonzero((thing >= 0) & (thing < self._smooth))
        if len(soft):
            triangle = answer['primitive_ids'].numpy()[soft] + self._starts[thing[soft]]
            weights = answer['primitive_uvs'].numpy()[soft].T
            normals[:, soft] = self._interpolate(triangle, weights)
        finite = np.where(np.isfinite(reach), reach, np.float32(1e3))
        points = origin_m[:, None] + directions * finite
        return Hits(reach, thing, points, normals)

    def sees(self, points_m: Float32Array, directions: Float32Array) -> Float32Array:
        """Whether nothing stands between each point and the tip of its direction.

        Args:
            points_m: (3, N) float32, where the rays begin.
            directions: (3, N) float32, metres.

        Returns:
            (N,) float32, 1 = free, 0 = blocked.

        """
        rays = _rays(points_m, directions)
        blocked = self._scene.test_occlusions(rays, tnear=0.0, tfar=1.0, nthreads=1)
        free: Float32Array = 1 - blocked.numpy().astype(np.float32)
        return free

    def meets(self, origin_m: Float32Array, directions: Float32Array) -> BoolArray:
        """Whether rays from one point meet anything: (3,), (3, N) float32 -> (N,) bool."""
        rays = _rays(origin_m[:, None], directions)
        met: BoolArray = self._scene.test_occlusions(rays, nthreads=1).numpy()
        return met

    def _interpolate(self, triangle: Int64Array, weights: Float32Array) -> Float32Array:
        first, second, third = self._corner_normals[:, :, triangle]
        blend = first + weights[0] * (second - first) + weights[1] * (third - first)
        length = np.sqrt(blend[0] ** 2 + blend[1] ** 2 + blend[2] ** 2)
        unit: Float32Array = blend / np.maximum(length, np.float32(1e-6))
        return unit


def _rays(starts_m: Float32Array, directions: Float32Array) -> o3d.core.Tensor:
    """Pack (3, N) or (3, 1) starts and (3, N) directions as Open3D takes them, (N, 6)."""
    rays = np.empty((directions.shape[1], 6), np.float32)
    rays[:, :3] = starts_m.T
    rays[:, 3:] = directions.T
    return _tensor(rays)


def _tensor(array: AnyArray) -> o3d.core.Tensor:
    return o3d.core.Tensor(array)  # type: ignore[call-overload,no-any-return] # its stubs forget plain arrays


def _face(normals: Float32Array, directions: Float32Array) -> None:
    """Turn normals towards where the rays came from."""
    toward = normals[0] * directions[0] + normals[1] * directions[1] + normals[2] * directions[2]
    normals *= np.where(toward > 0, np.float32(-1), np.float32(1))
