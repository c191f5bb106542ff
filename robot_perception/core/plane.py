"""A plane in the optical frame of a camera."""

from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np

from robot_perception.core.arrays import AnyArray, Float64Array
from robot_perception.core.box3d import Vector3
from robot_perception.core.errors import InputError

_UNIT_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class Plane:
    """Points p with normal . p + distance_m = 0.

    Attributes:
        normal: unit vector towards the side that counts as above.
        distance_m: height of the origin above the plane, meters; negative below it.
    """

    normal: Vector3
    distance_m: float

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (*self.normal, self.distance_m))):
            raise InputError('not_finite', f'plane: expected finite numbers, got {self}.')
        length = math.hypot(*self.normal)
        if abs(length - 1) > _UNIT_TOLERANCE:
            raise InputError(
                'not_normalized', f'normal: expected length 1, got {length:.6f}. Normalize it.'
            )

    def heights_m(self, points_m: AnyArray) -> Float64Array:
        """Compute heights of points above the plane: (..., 3) meters -> (...) float64 meters."""
        heights: Float64Array = points_m @ np.array(self.normal) + self.distance_m
        return heights
