"""A color image with its time stamp and coordinate frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_perception.core.arrays import checked, UInt8Array
from robot_perception.core.errors import ShapeError


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """One frame of a camera.

    Attributes:
        rgb: (H, W, 3) uint8, channels red, green, blue; read-only view, not a copy.
        stamp_ns: time of exposure in nanoseconds since the epoch of the clock in use.
        frame_id: optical frame of the camera (REP 103: z forward, x right, y down); empty when
            unknown.

    """

    rgb: UInt8Array
    stamp_ns: int = 0
    frame_id: str = ''

    def __post_init__(self) -> None:
        rgb = checked(
            'rgb', self.rgb, (None, None, 3), np.uint8, 'Pass an image as RGB bytes, row-major.'
        )
        if 0 in rgb.shape:
            raise ShapeError(
                'empty',
                f'rgb: expected at least one pixel, got {rgb.shape}. Pass an image with pixels.',
            )
        object.__setattr__(self, 'rgb', rgb)

    @property
    def size_hw(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rgb.shape[0], self.rgb.shape[1]
