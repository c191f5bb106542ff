"""Points that know which object they belong to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_perception.core.arrays import (
    AnyArray,
    BoolArray,
    checked,
    Float32Array,
    UInt8Array,
    UInt32Array,
)
from robot_perception.core.errors import InputError
from robot_perception.core.plane import Plane
from robot_perception.core.pointcloud import PointCloud

# Cells of a grid that 64 bits can number.
_MOST_CELLS = 2**63 - 1


@dataclass(frozen=True, slots=True, eq=False)
class LabelledPoints:
    """A list of points, all of them known.

    Attributes:
        xyz_m: (N, 3) float32, finite, meters in the optical frame.
        rgb: (N, 3) uint8, red, green, blue.
        labels: (N,) uint32, class id + 1; 0 = background.
        instances: (N,) uint32, index in the detections + 1; 0 = background.

    """

    xyz_m: Float32Array
    rgb: UInt8Array
    labels: UInt32Array
    instances: UInt32Array

    def __post_init__(self) -> None:
        """Check once at the door."""
        xyz = checked('xyz_m', self.xyz_m, (None, 3), np.float32, 'Pass one row per point.')
        remedy = f'Pass one for each of the {len(xyz)} points.'
        object.__setattr__(self, 'xyz_m', xyz)
        for name, shape, dtype in (
            ('rgb', xyz.shape, np.uint8),
            ('labels', xyz.shape[:1], np.uint32),
            ('instances', xyz.shape[:1], np.uint32),
        ):
            object.__setattr__(
                self, name, checked(name, getattr(self, name), shape, dtype, remedy)
            )
        if not np.isfinite(xyz).all():
            raise InputError('xyz_m: expected finite meters, got NaN or infinity. Drop them.')

    @classmethod
    def of(
        cls, cloud: PointCloud, labels: UInt32Array, instances: UInt32Array, where: BoolArray
    ) -> LabelledPoints:
        """Take the known points of a cloud at some pixels.

        Args:
            cloud: one point for each pixel.
            labels: (H, W) uint32, as above.
            instances: (H, W) uint32, as above.
            where: (H, W) bool, pixels that are wanted.

        """
        places = np.flatnonzero(np.isfinite(cloud.xyz_m[..., 2]) & where)
        return cls(
            cloud.xyz_m.reshape(-1, 3)[places],
            cloud.rgb.reshape(-1, 3)[places],
            labels.reshape(-1)[places],
            instances.reshape(-1)[places],
        )

    def __len__(self) -> int:
        """Count of points."""
        return len(self.xyz_m)

    def within(self, range_m: float) -> LabelledPoints:
        """Keep the points at most ``range_m`` from the camera."""
        squares = np.einsum('ij,ij->i', self.xyz_m, self.xyz_m)
        return self._select(squares <= range_m**2)

    def above(self, ground: Plane, height_m: float) -> LabelledPoints:
        """Keep the points more than ``height_m`` above the ground."""
        return self._select(ground.heights_m(self.xyz_m) > height_m)

    def thinned(self, voxel_m: float) -> LabelledPoints:
        """Keep one point, the first, of each object in each cube of a grid with sides ``voxel_m``."""
        cells = np.floor(self.xyz_m / np.float32(voxel_m)).astype(np.int64)
        keys = np.concatenate([cells, self.instances[:, None].astype(np.int64)], axis=1)
        if not len(keys):
            return self
        # One number for each cell, so that sorting is cheap.
        code = np.zeros(len(keys), np.int64)
        for column in (keys - keys.min(axis=0)).T:
            span = int(column.max()) + 1
            if (int(code.max()) + 1) * span > _MOST_CELLS:
                code = np.unique(code, return_inverse=True)[1]
            code = code * span + column
        return self._select(np.sort(np.unique(code, return_index=True)[1]))

    def _select(self, which: AnyArray) -> LabelledPoints:
        return LabelledPoints(
            self.xyz_m[which], self.rgb[which], self.labels[which], self.instances[which]
        )
