"""Point clouds with colors, in the optical frame of the camera."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from robot_perception.core.arrays import Float32Array, UInt8Array
from robot_perception.core.camera import CameraModel
from robot_perception.core.depth import MetricDepth
from robot_perception.core.errors import requires, ShapeError
from robot_perception.core.image import Image
from robot_perception.core.value import ArrayValue, format_size


@dataclass(frozen=True, slots=True, eq=False)
class PointCloud(ArrayValue):
    """Organized point cloud: one point for each pixel, in the order of the image.

    Attributes:
        xyz_m: (H, W, 3) float32, meters in the optical frame, all NaN where unknown.
        rgb: (H, W, 3) uint8, red, green, blue.
    """

    xyz_m: Float32Array
    rgb: UInt8Array

    def __post_init__(self) -> None:
        xyz = self._check_array('xyz_m', (None, None, 3), np.float32, 'Pass rows of points.')
        self._check_array('rgb', xyz.shape, np.uint8, 'Pass one color for each point.')

    @property
    def size_hw(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.xyz_m.shape[0], self.xyz_m.shape[1]

    def __repr__(self) -> str:
        """Return one line with size and number of valid points."""
        valid = np.count_nonzero(np.isfinite(self.xyz_m[..., 2]))
        return f'PointCloud({format_size(self.size_hw)}, {valid} valid points)'

    def to_open3d(self) -> Any:  # noqa: ANN401 - of an optional library
        """Return the valid points and their colors as `open3d.geometry.PointCloud`."""
        with requires('open3d'):
            import open3d
        xyz, rgb = self.known()
        cloud = open3d.geometry.PointCloud()
        cloud.points = open3d.utility.Vector3dVector(xyz.astype(np.float64))
        cloud.colors = open3d.utility.Vector3dVector(rgb / 255)
        return cloud

    def known(self) -> tuple[Float32Array, UInt8Array]:
        """Return the valid points and their colors: (N, 3) float32 meters and (N, 3) uint8."""
        mask = np.isfinite(self.xyz_m[..., 2])
        return self.xyz_m[mask], self.rgb[mask]


def lift_image(
    image: Image, depth: MetricDepth, camera: CameraModel, *, step: int = 1
) -> PointCloud:
    """Lift every pixel to 3D along its ray, or those of every ``step``-th row and column.

    Raises:
        ShapeError: reason ``'size_mismatch'``: the three differ in size.
    """
    if not image.size_hw == depth.size_hw == camera.size_hw:
        raise ShapeError(
            'size_mismatch',
            f'cloud: expected one size, got image {image.size_hw}, depth {depth.size_hw}, '
            f'camera {camera.size_hw} (rows, columns). Register the depth to the image.',
        )
    pixels = slice(None, None, step), slice(None, None, step)
    rays, meters, rgb = camera.rays_in(pixels), depth.meters[pixels], image.rgb[pixels]
    # One plane for each axis, as the converters to messages read them.
    xyz = np.empty((3, *meters.shape), np.float32).transpose(1, 2, 0)
    np.multiply(rays[..., 0], meters, out=xyz[..., 0])
    np.multiply(rays[..., 1], meters, out=xyz[..., 1])
    xyz[..., 2] = meters
    if step > 1 or camera.has_invalid_rays():
        xyz[np.isnan(xyz[..., 0])] = np.nan
    return PointCloud(xyz, rgb)
