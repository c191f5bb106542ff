"""A color image with its time stamp and coordinate frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_perception.core.arrays import UInt8Array
from robot_perception.core.errors import ShapeError
from robot_perception.core.value import ArrayValue, format_size, NotebookImage


@dataclass(frozen=True, slots=True, eq=False)
class Image(ArrayValue, NotebookImage):
    """One frame of a camera.

    Attributes:
        rgb: (H, W, 3) uint8, channels red, green, blue; read-only view, not a copy.
        stamp_ns: time of exposure in nanoseconds since the epoch of the clock in use.
        frame_id: optical frame of the camera (REP 103: z forward, x right, y down); empty when
            unknown.
        name: name of the file that it was read from; empty for other images.
    """

    rgb: UInt8Array
    stamp_ns: int = 0
    frame_id: str = ''
    name: str = ''

    def __post_init__(self) -> None:
        remedy = 'Pass an image as RGB bytes, row-major.'
        rgb = self._check_array('rgb', (None, None, 3), np.uint8, remedy)
        if 0 in rgb.shape:
            raise ShapeError('empty', f'rgb: expected at least one pixel, got {rgb.shape}.')

    def __repr__(self) -> str:
        """Return one line with size, stamp and frame.

        >>> Image(np.zeros((480, 640, 3), np.uint8), stamp_ns=1_500_000_000, frame_id='camera')
        Image(640x480, stamp_ns=1500000000, frame_id='camera')
        """
        size = format_size(self.size_hw)
        return f'Image({size}, stamp_ns={self.stamp_ns}, frame_id={self.frame_id!r})'

    def _draw(self) -> UInt8Array:
        return self.rgb

    @property
    def size_hw(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rgb.shape[0], self.rgb.shape[1]
