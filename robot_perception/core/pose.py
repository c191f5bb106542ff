"""Where a thing is and how it is turned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_perception.core.arrays import checked, Float64Array
from robot_perception.core.box3d import Quaternion, Vector3
from robot_perception.core.rotation import matrix_to_quaternion


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """A rigid transform: point in the parent frame = rotation @ point + translation_m.

    Attributes:
        rotation: (3, 3) float64, orthonormal, determinant 1.
        translation_m: (3,) float64, meters.

    """

    rotation: Float64Array
    translation_m: Float64Array

    def __post_init__(self) -> None:
        """Check once at the door."""
        remedy = 'Pass float64.'
        turn = checked('rotation', self.rotation, (3, 3), np.float64, remedy)
        shift = checked('translation_m', self.translation_m, (3,), np.float64, remedy)
        object.__setattr__(self, 'rotation', turn)
        object.__setattr__(self, 'translation_m', shift)

    @classmethod
    def identity(cls) -> Pose:
        """No rotation, no translation."""
        return cls(np.eye(3), np.zeros(3))

    def apply(self, points_m: Float64Array) -> Float64Array:
        """Carry points over to the parent frame: (..., 3) -> (..., 3) float64, meters."""
        # Not a matrix product: those of BLAS may round by the count of its threads.
        turned = np.einsum('ij,...j->...i', self.rotation, points_m, optimize=False)
        moved: Float64Array = turned + self.translation_m
        return moved

    def compose(self, inner: Pose) -> Pose:
        """Chain: the result does ``inner`` first."""
        turn = np.einsum('ij,jk->ik', self.rotation, inner.rotation, optimize=False)
        return Pose(turn, self.apply(inner.translation_m))

    def inverse(self) -> Pose:
        """The way back."""
        back = self.rotation.T.copy()
        return Pose(back, -Pose(back, np.zeros(3)).apply(self.translation_m))

    @property
    def vector(self) -> Vector3:
        """The translation as plain numbers."""
        x, y, z = self.translation_m.tolist()
        return x, y, z

    @property
    def quaternion_xyzw(self) -> Quaternion:
        """The rotation as a unit quaternion with w >= 0."""
        return matrix_to_quaternion(self.rotation)
