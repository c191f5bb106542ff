"""Instance masks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from robot_perception.core.arrays import (
    AnyArray,
    BoolArray,
    checked,
    Float32Array,
    UInt8Array,
    UInt16Array,
)
from robot_perception.core.errors import InputError, requires
from robot_perception.core.value import ArrayValue, format_size, NotebookImage

MAX_INSTANCES = np.iinfo(np.uint16).max - 1


@dataclass(frozen=True, eq=False)
class Masks(ArrayValue, NotebookImage):
    """N instance masks at the size of the image, one for each detection. Masks may overlap.

    Attributes:
        pixels: (N, H, W) bool.
        scores: (N,) float32 in [0, 1], IoU of each mask as the segmenter predicts it, or the mean
            probability of its pixels if it is of the detector.
    """

    pixels: BoolArray
    scores: Float32Array

    def __post_init__(self) -> None:
        remedy = 'Threshold the logits first.'
        pixels = self._check_array('pixels', (None, None, None), np.bool_, remedy)
        remedy = 'Pass one score for each mask.'
        scores = self._check_array('scores', (len(pixels),), np.float32, remedy)
        if len(pixels) > MAX_INSTANCES:
            raise InputError(
                'out_of_range',
                f'pixels: expected at most {MAX_INSTANCES} masks, got {len(pixels)}. '
                'Lower detector.max_objects.',
            )
        if not np.all((scores >= 0) & (scores <= 1)):
            raise InputError(
                'out_of_range', 'scores: expected values in [0, 1], got values outside.'
            )

    @classmethod
    def empty(cls, size_hw: tuple[int, int]) -> Masks:
        """Return no masks, of the given size."""
        return cls(np.zeros((0, *size_hw), np.bool_), np.zeros(0, np.float32))

    def __len__(self) -> int:
        """Return the number of masks."""
        return len(self.pixels)

    def __repr__(self) -> str:
        """Return one line with count, size and scores.

        >>> Masks(np.zeros((2, 480, 640), bool), np.array([0.75, 0.5], np.float32))
        Masks(2 of 640x480, scores 0.50 to 0.75)
        """
        summary = f'{len(self)} of {format_size(self.size_hw)}'
        if len(self):
            summary += f', scores {self.scores.min():.2f} to {self.scores.max():.2f}'
        return f'Masks({summary})'

    def _draw(self) -> UInt8Array:
        with requires('opencv-python-headless'):
            from robot_perception.viewer import draw_instances
        return draw_instances(self)

    @property
    def size_hw(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.pixels.shape[1], self.pixels.shape[2]

    def window(self, index: int) -> tuple[slice, slice]:
        """Return the rows and columns of the bounding box of a mask; empty without pixels."""
        return self._windows[index]

    @cached_property
    def _windows(self) -> tuple[tuple[slice, slice], ...]:
        return tuple(map(_window, self.pixels))

    def instance_map(self) -> UInt16Array:
        """Return the masks as one label image, painted on the first call.

        It is (H, W) uint16, read-only: 0 = background, otherwise index + 1. Where masks overlap,
        the lower index wins: detections come best score first.
        """
        return self._instance_map

    @cached_property
    def _instance_map(self) -> UInt16Array:
        instances = self._painted(np.arange(1, len(self) + 1, dtype=np.uint16))
        instances.flags.writeable = False
        return instances

    def class_map(self, values: UInt8Array) -> UInt8Array:
        """Return (H, W) uint8: ``values[i]`` on mask i, 0 on the background."""
        checked('values', values, (len(self),), np.uint8, 'Pass one value for each mask.')
        return self._painted(values)

    def _painted(self, values: AnyArray) -> AnyArray:
        """Return (H, W) labels: ``values[i]`` on mask i, 0 on the background."""
        labels: AnyArray = np.zeros(self.size_hw, values.dtype)
        for index in reversed(range(len(self))):
            window = self.window(index)
            labels[window][self.pixels[index][window]] = values[index]
        return labels


def _window(mask: BoolArray) -> tuple[slice, slice]:
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return slice(0, 0), slice(0, 0)
    columns = np.flatnonzero(mask[rows[0] : rows[-1] + 1].any(axis=0))
    return (
        slice(int(rows[0]), int(rows[-1]) + 1),
        slice(int(columns[0]), int(columns[-1]) + 1),
    )
