"""An oriented box in 3D."""

from __future__ import annotations

from dataclasses import dataclass
import math

from robot_perception.core.errors import InputError

Vector3 = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]

_UNIT_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Box3D:
    """An oriented box: center, side lengths and rotation.

    Attributes:
        center_m: position of the center, meters.
        size_m: full side lengths along the box's own axes, meters, >= 0.
        rotation_xyzw: unit quaternion that rotates the box's axes to those of the frame in which
            the center is given.
    """

    center_m: Vector3
    size_m: Vector3
    rotation_xyzw: Quaternion = (0.0, 0.0, 0.0, 1.0)

    def __post_init__(self) -> None:
        # Checked here, because RViz and Nav2 accept invalid boxes.
        if not all(map(math.isfinite, (*self.center_m, *self.size_m, *self.rotation_xyzw))):
            raise InputError(
                'not_finite',
                f'box: expected finite numbers, got {self}. Omit boxes that are unknown.',
            )
        if min(self.size_m) < 0:
            raise InputError(
                'out_of_range', f'size_m: expected side lengths >= 0, got {self.size_m}.'
            )
        norm = math.hypot(*self.rotation_xyzw)
        if abs(norm - 1) > _UNIT_TOLERANCE:
            raise InputError(
                'not_normalized',
                f'rotation_xyzw: expected a unit quaternion, got length {norm:.6f}. Normalize it.',
            )
