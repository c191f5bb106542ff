"""Metric and relative depth as two types, so that they cannot be confused.

A `MetricDepth` is in meters and can be lifted to 3D. A `RelativeDepth` is inverse depth up to an
unknown scale and shift: it can be drawn, but has no unit.
"""

from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np

from robot_perception.core.arrays import AnyArray, checked, Float32Array, UInt8Array, UInt16Array
from robot_perception.core.errors import InputError, requires
from robot_perception.core.value import ArrayValue, format_size, NotebookImage

MILLIMETER_M = 0.001
# Values outside are no measurements: simulators and drivers write the largest float for a ray that
# hit nothing.
NEAREST_M, FARTHEST_M = 1e-4, 1e4
_NO_RETURN = np.iinfo(np.uint16).max


@dataclass(frozen=True, slots=True, eq=False)
class MetricDepth(ArrayValue, NotebookImage):
    """Depth along the optical axis.

    Attributes:
        meters: (H, W) float32, each value from 0.1 mm to 10 km, or NaN where unknown (REP 118).
    """

    meters: Float32Array

    def __post_init__(self) -> None:
        remedy = 'Use MetricDepth.from_meters().'
        meters = self._check_array('meters', (None, None), np.float32, remedy)
        if np.any(meters < NEAREST_M) or np.any(meters > FARTHEST_M):
            raise InputError(
                'out_of_range',
                f'meters: expected {NEAREST_M:g} to {FARTHEST_M:g}, or NaN for unknown; got '
                'values outside. Use MetricDepth.from_meters(), which turns them into NaN.',
            )

    @classmethod
    def from_meters(cls, raw: AnyArray) -> MetricDepth:
        """Convert (H, W) floating-point meters; values outside 0.1 mm to 10 km become NaN."""
        # Values beyond float32 become infinity or 0, then NaN.
        with np.errstate(over='ignore', under='ignore'):
            return cls(_only_known(raw.astype(np.float32)))

    @classmethod
    def from_millimeters(cls, raw: UInt16Array) -> MetricDepth:
        """Convert a 16UC1 image of millimeters; see `from_integers`."""
        return cls.from_integers(raw, MILLIMETER_M)

    @classmethod
    def from_integers(cls, raw: UInt16Array, unit_m: float) -> MetricDepth:
        """Convert a 16-bit image.

        Args:
            raw: (H, W) uint16 in units of ``unit_m``. 0 is unknown, and so is 65535: where 16 bits
                end, which cameras and simulators write for a ray that returned nothing.
            unit_m: meters of one unit, above 0.
        """
        checked('raw', raw, (None, None), np.uint16, 'Use from_meters() for floating point.')
        # Dividing by a whole number rounds once: 4001 mm become the float32 nearest to 4.001.
        units_per_m = round(1 / unit_m)
        if math.isclose(units_per_m * unit_m, 1):
            meters = np.divide(raw, np.float32(units_per_m), dtype=np.float32)
        else:
            meters = np.multiply(raw, np.float32(unit_m), dtype=np.float32)
        meters[raw == _NO_RETURN] = np.nan
        return cls(_only_known(meters))

    def __repr__(self) -> str:
        """Return one line with size, range and coverage.

        >>> MetricDepth(np.array([[1.5, np.nan], [2.0, 4.0]], np.float32))
        MetricDepth(2x2, 1.50 to 4.00 m, median 2.00 m, 75% known)
        """
        known = self.meters[np.isfinite(self.meters)]
        if not known.size:
            return f'MetricDepth({format_size(self.size_hw)}, unknown)'
        return (
            f'MetricDepth({format_size(self.size_hw)}, {known.min():.2f} to {known.max():.2f} m, '
            f'median {np.median(known):.2f} m, {known.size / self.meters.size:.0%} known)'
        )

    def has_known(self) -> bool:
        """Return whether the depth of any pixel is known."""
        return bool(np.isfinite(self.meters).any())

    def _draw(self) -> UInt8Array:
        return _draw(self)

    @property
    def size_hw(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.meters.shape[0], self.meters.shape[1]


@dataclass(frozen=True, slots=True, eq=False)
class RelativeDepth(ArrayValue, NotebookImage):
    """Inverse depth up to an unknown positive scale and an unknown shift.

    Attributes:
        inverse: (H, W) float32, finite, >= 0, unitless; larger is nearer.
    """

    inverse: Float32Array

    def __post_init__(self) -> None:
        remedy = 'Pass inverse depth as float32.'
        inverse = self._check_array('inverse', (None, None), np.float32, remedy)
        if not np.all(np.isfinite(inverse)):
            raise InputError(
                'not_finite',
                'inverse: expected finite values, got NaN or infinity. '
                'The network overflowed: use precision fp32.',
            )

    def __repr__(self) -> str:
        """Return one line with size and range.

        >>> RelativeDepth(np.array([[0.5, 3.0]], np.float32))
        RelativeDepth(2x1, inverse depth 0.5 to 3)
        """
        size = format_size(self.size_hw)
        if not self.inverse.size:
            return f'RelativeDepth({size})'
        return (
            f'RelativeDepth({size}, inverse depth {self.inverse.min():.3g} to '
            f'{self.inverse.max():.3g})'
        )

    def _draw(self) -> UInt8Array:
        return _draw(self)

    @property
    def size_hw(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.inverse.shape[0], self.inverse.shape[1]


Depth = MetricDepth | RelativeDepth


def _only_known(meters: Float32Array) -> Float32Array:
    """Set what is no measurement to NaN, in place."""
    meters[~((meters >= NEAREST_M) & (meters <= FARTHEST_M))] = np.nan
    return meters


def _draw(depth: Depth) -> UInt8Array:
    with requires('opencv-python-headless'):
        from robot_perception.viewer import draw_depth_with_scale
    return draw_depth_with_scale(depth)
