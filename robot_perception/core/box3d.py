"""A box in space."""

from __future__ import annotations

from dataclasses import dataclass
import math

from robot_perception.core.errors import InputError

Vector3 = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]

_UNIT_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Box3D:
    """A box given by its center, its side lengths and its rotation.

    Attributes:
        center_m: middle of the box, meters.
        size_m: full side lengths along the box's own axes, meters, >= 0.
        rotation_xyzw: unit quaternion from the box's axes to the frame's.

    """

    center_m: Vector3
    size_m: Vector3
    rotation_xyzw: Quaternion = (0.0, 0.0, 0.0, 1.0)

    def __post_init__(self) -> None:
        """Check once at the door: what RViz and Nav2 take for granted."""
        if not all(map(math.isfinite, (*self.center_m, *self.size_m, *self.rotation_xyzw))):
            raise InputError(f'box: expected finite numbers, got {self}. Leave unknown boxes out.')
        if min(self.size_m) < 0:
            raise InputError(f'size_m: expected side lengths >= 0, got {self.size_m}.')
        norm = math.hypot(*self.rotation_xyzw)
        if abs(norm - 1) > _UNIT_TOLERANCE:
            raise InputError(
                f'rotation_xyzw: expected a unit quaternion, got length {norm:.6f}. Normalize it.'
            )
