"""Ray casting against the props of a scene, by Open3D.

Single-threaded: results are deterministic, and many processes can share a machine. Open3D is
imported when rays are first cast.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from robot_perception.core import AnyArray, BoolArray, Float32Array, Int64Array, Pose, requires
from robot_perception.world.objects import Prop

if TYPE_CHECKING:
    import open3d as o3d

NO_HIT = -1
_INVALID = np.iinfo(np.uint32).max


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """First hits of N rays.

    Attributes:
        t_hit: (N,) float32, ray parameter in multiples of the direction; infinite for no hit.
        prop_ids: (N,) int64, index of the prop, or `NO_HIT`.
        points_m: (3, N) float32 in the world; far away for no hit.
        normals: (3, N) float32 in the world, unit length, facing the ray origin.
    """

    t_hit: Float32Array
    prop_ids: Int64Array
    points_m: Float32Array
    normals: Float32Array


class RayCaster:
    """The props of a scene as a target of rays."""

    def __init__(self, props: Sequence[Prop], smooth: int) -> None:
        """Build the acceleration structure for props in the order of `Hits.prop_ids`.

        The first ``smooth`` of them are shaded with interpolated vertex normals.

        Raises:
            MissingLibraryError: Open3D is not installed.
        """
        with requires('open3d'):
            import open3d as o3d  # noqa: PLC0415 - large: only where rays are cast

        self._scene = o3d.t.geometry.RaycastingScene(nthreads=1)
        self._smooth = smooth
        corners = []
        for index, prop in enumerate(props):
            mesh = prop.body.mesh
            vertices = prop.pose.apply(mesh.vertices_m.astype(np.float64)).astype(np.float32)
            self._scene.add_triangles(_tensor(vertices), _tensor(np.array(mesh.triangles)))
            if index < smooth:
                turn = Pose(prop.pose.rotation, np.zeros(3))
                normals = turn.apply(mesh.normals.astype(np.float64)).astype(np.float32)
                corners.append(normals[mesh.triangles])
        counts = [len(item) for item in corners]
        self._starts = np.cumsum([0, *counts])
        # (corner, component, triangle): gathered by triangle.
        flat = np.concatenate(corners) if corners else np.zeros((0, 3, 3), np.float32)
        self._corner_normals = np.ascontiguousarray(flat.transpose(1, 2, 0))

    def cast(self, origin_m: Float32Array, directions: Float32Array) -> Hits:
        """Find the first hits of rays from one point: (3,) and (3, N) float32."""
        answer = self._scene.cast_rays(_rays(origin_m[:, None], directions), nthreads=1)
        t_hit: Float32Array = answer['t_hit'].numpy()
        raw = answer['geometry_ids'].numpy()
        prop_ids = np.where(raw == _INVALID, NO_HIT, raw.astype(np.int64))
        normals = np.ascontiguousarray(answer['primitive_normals'].numpy().T)
        _orient(normals, directions)
        soft = np.flatnonzero((prop_ids >= 0) & (prop_ids < self._smooth))
        if len(soft):
            triangle = answer['primitive_ids'].numpy()[soft] + self._starts[prop_ids[soft]]
            weights = answer['primitive_uvs'].numpy()[soft].T
            normals[:, soft] = self._interpolate(triangle, weights)
        finite = np.where(np.isfinite(t_hit), t_hit, np.float32(1e3))
        points = origin_m[:, None] + directions * finite
        return Hits(t_hit, prop_ids, points, normals)

    def unoccluded(self, points_m: Float32Array, directions: Float32Array) -> Float32Array:
        """Return whether the segment from each point to point + direction is free.

        Both are (3, N) float32, meters; the result is (N,) float32, 1 = free, 0 = occluded.
        """
        rays = _rays(points_m, directions)
        blocked = self._scene.test_occlusions(rays, tnear=0.0, tfar=1.0, nthreads=1)
        free: Float32Array = 1 - blocked.numpy().astype(np.float32)
        return free

    def intersects(self, origin_m: Float32Array, directions: Float32Array) -> BoolArray:
        """Return whether rays from one point hit anything: (3,), (3, N) float32 -> (N,) bool."""
        rays = _rays(origin_m[:, None], directions)
        hit: BoolArray = self._scene.test_occlusions(rays, nthreads=1).numpy()
        return hit

    def _interpolate(self, triangle: Int64Array, weights: Float32Array) -> Float32Array:
        first, second, third = self._corner_normals[:, :, triangle]
        blend = first + weights[0] * (second - first) + weights[1] * (third - first)
        length = np.sqrt(blend[0] ** 2 + blend[1] ** 2 + blend[2] ** 2)
        unit: Float32Array = blend / np.maximum(length, np.float32(1e-6))
        return unit


def _rays(starts_m: Float32Array, directions: Float32Array) -> o3d.core.Tensor:
    """Pack (3, N) or (3, 1) origins and (3, N) directions into (N, 6) for Open3D."""
    rays = np.empty((directions.shape[1], 6), np.float32)
    rays[:, :3] = starts_m.T
    rays[:, 3:] = directions.T
    return _tensor(rays)


def _tensor(array: AnyArray) -> o3d.core.Tensor:
    import open3d as o3d  # noqa: PLC0415 - large: only where rays are cast

    # The stubs of Open3D omit plain arrays.
    return o3d.core.Tensor(array)  # type: ignore[call-overload,no-any-return]


def _orient(normals: Float32Array, directions: Float32Array) -> None:
    """Flip normals in place so that they face the ray origins."""
    toward = normals[0] * directions[0] + normals[1] * directions[1] + normals[2] * directions[2]
    normals *= np.where(toward > 0, np.float32(-1), np.float32(1))
