"""Points with class and instance labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_perception.core.arrays import AnyArray, Float32Array, UInt8Array, UInt32Array
from robot_perception.core.errors import InputError
from robot_perception.core.plane import Plane
from robot_perception.core.pointcloud import PointCloud
from robot_perception.core.value import ArrayValue

# Cells of a grid that an int64 can number.
_MAX_CELLS = 2**63 - 1


@dataclass(frozen=True, slots=True, eq=False)
class LabeledPoints(ArrayValue):
    """An unordered list of valid points.

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
        xyz = self._check_array('xyz_m', (None, 3), np.float32, 'Pass one row per point.')
        remedy = f'Pass one for each of the {len(xyz)} points.'
        self._check_array('rgb', xyz.shape, np.uint8, remedy)
        self._check_array('labels', xyz.shape[:1], np.uint32, remedy)
        self._check_array('instances', xyz.shape[:1], np.uint32, remedy)
        if not np.isfinite(xyz).all():
            raise InputError(
                'not_finite', 'xyz_m: expected finite meters, got NaN or infinity. Drop them.'
            )

    @classmethod
    def from_cloud(
        cls, cloud: PointCloud, labels: UInt32Array, instances: UInt32Array, *, of_objects: bool
    ) -> LabeledPoints:
        """Select the valid points on instances or on the background; labels are (H, W) uint32."""
        is_selected = (instances > 0) == of_objects
        indices = np.flatnonzero(np.isfinite(cloud.xyz_m[..., 2]) & is_selected)
        return cls(
            cloud.xyz_m.reshape(-1, 3)[indices],
            cloud.rgb.reshape(-1, 3)[indices],
            labels.reshape(-1)[indices],
            instances.reshape(-1)[indices],
        )

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self.xyz_m)

    def __repr__(self) -> str:
        """Return one line with the numbers of points and instances."""
        instances = np.unique(self.instances[self.instances > 0]).size
        return f'LabeledPoints({len(self)} points of {instances} instances)'

    def within(self, range_m: float) -> LabeledPoints:
        """Return the points at most ``range_m`` from the camera."""
        squares = np.einsum('ij,ij->i', self.xyz_m, self.xyz_m)
        return self._select(squares <= range_m**2)

    def above(self, ground: Plane, height_m: float) -> LabeledPoints:
        """Return the points more than ``height_m`` above the ground."""
        return self._select(ground.heights_m(self.xyz_m) > height_m)

    def voxel_downsample(self, voxel_m: float) -> LabeledPoints:
        """Return the first point of each instance in each voxel of side length ``voxel_m``."""
        cells = np.floor(self.xyz_m / np.float32(voxel_m)).astype(np.int64)
        keys = np.concatenate([cells, self.instances[:, None].astype(np.int64)], axis=1)
        if not len(keys):
            return self
        # One number for each cell makes sorting cheap.
        code = np.zeros(len(keys), np.int64)
        for column in (keys - keys.min(axis=0)).T:
            span = int(column.max()) + 1
            if (int(code.max()) + 1) * span > _MAX_CELLS:
                code = np.unique(code, return_inverse=True)[1]
            code = code * span + column
        return self._select(np.sort(np.unique(code, return_index=True)[1]))

    def _select(self, index: AnyArray) -> LabeledPoints:
        return LabeledPoints(
            self.xyz_m[index], self.rgb[index], self.labels[index], self.instances[index]
        )
