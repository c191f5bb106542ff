"""Rigid transforms between coordinate frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_perception.core.arrays import Float64Array
from robot_perception.core.box3d import Quaternion, Vector3
from robot_perception.core.rotation import matrix_to_quaternion
from robot_perception.core.value import ArrayValue


@dataclass(frozen=True, slots=True, eq=False)
class Pose(ArrayValue):
    """A rigid transform ``target_from_source``: p_target = rotation @ p_source + translation_m.

    Attributes:
        rotation: (3, 3) float64, orthonormal, determinant 1.
        translation_m: (3,) float64, meters.
    """

    rotation: Float64Array
    translation_m: Float64Array

    def __post_init__(self) -> None:
        remedy = 'Pass float64.'
        self._check_array('rotation', (3, 3), np.float64, remedy)
        self._check_array('translation_m', (3,), np.float64, remedy)

    def __repr__(self) -> str:
        """Return one line with translation and quaternion.

        >>> Pose.identity()
        Pose(translation_m=(0, 0, 0), quaternion_xyzw=(0, 0, 0, 1))
        """
        translation, quaternion = (
            ', '.join(f'{value:.6g}' for value in values)
            for values in (self.vector, self.quaternion_xyzw)
        )
        return f'Pose(translation_m=({translation}), quaternion_xyzw=({quaternion}))'

    @classmethod
    def identity(cls) -> Pose:
        """Return the transform that changes nothing."""
        return cls(np.eye(3), np.zeros(3))

    def apply(self, points_m: Float64Array) -> Float64Array:
        """Transform points: (..., 3) -> (..., 3) float64, meters."""
        # Not a matrix product: rounding of BLAS may depend on its number of threads.
        rotated = np.einsum('ij,...j->...i', self.rotation, points_m, optimize=False)
        points: Float64Array = rotated + self.translation_m
        return points

    def compose(self, inner: Pose) -> Pose:
        """Return the product: a_from_c = a_from_b.compose(b_from_c)."""
        rotation = np.einsum('ij,jk->ik', self.rotation, inner.rotation, optimize=False)
        return Pose(rotation, self.apply(inner.translation_m))

    def inverse(self) -> Pose:
        """Return source_from_target."""
        rotation = self.rotation.T.copy()
        return Pose(rotation, -Pose(rotation, np.zeros(3)).apply(self.translation_m))

    @property
    def vector(self) -> Vector3:
        """The translation as a tuple."""
        x, y, z = self.translation_m.tolist()
        return x, y, z

    @property
    def quaternion_xyzw(self) -> Quaternion:
        """The rotation as a unit quaternion with w >= 0."""
        return matrix_to_quaternion(self.rotation)
