"""Mutations of CameraInfo, and which of them no reader may use.

A calibration must be refused if sensor_msgs/CameraInfo rules it out: no focal length, values that
are not finite, another size than the image, or a wrong number of coefficients of a lens model that
the definition names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
import math
import random

import numpy as np

from robot_perception.conversions import Message, MessageFactory, ros
from robot_perception.faults.mutation import Mutated, seeded, Verdict

_NUMBERS = (
    *(0.0, -0.0, -1.0, 1e-300, 1e-6, 0.5, 1e4, 1e7, 1e12, 1e300, -1e300),
    *(math.nan, math.inf, -math.inf),
)
_SIZES = (0, 1, 2, 47, 65535, 2**31, 2**32 - 1)
_MODELS = (
    *('plumb_bob', 'rational_polynomial', 'equidistant', 'fisheye', '', 'PLUMB_BOB', 'unknown'),
    *('plumb_bob ', '\u4e2d', 'x' * 10_000),
)
_FRAMES = ('', '/camera_optical_frame', 'other', 'f' * 65536)
# Cells of K that have a meaning: fx, fy, cx, cy.
_CELLS = (0, 4, 2, 5)


@dataclass(frozen=True, slots=True)
class CalibrationFields:
    """The fields of a sensor_msgs/msg/CameraInfo; anything that its definition can hold."""

    height: int
    width: int
    k: tuple[float, ...]
    p: tuple[float, ...]
    d: tuple[float, ...] = (0.0,) * 5
    distortion_model: str = 'plumb_bob'
    binning: tuple[int, int] = (0, 0)
    region: tuple[int, int, int, int] = (0, 0, 0, 0)
    frame_id: str = 'camera_optical_frame'
    r: tuple[float, ...] = field(default=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))

    def message(self, factory: MessageFactory, stamp_ns: int = 0) -> Message:
        """Build the message."""
        seconds, nanoseconds = divmod(stamp_ns, 10**9)
        stamp = factory(ros.Time, sec=seconds, nanosec=nanoseconds)
        top, left, height, width = self.region
        return factory(
            ros.CameraInfo,
            header=factory(ros.Header, stamp=stamp, frame_id=self.frame_id),
            height=self.height,
            width=self.width,
            distortion_model=self.distortion_model,
            d=factory.sequence(np.array(self.d, np.float64)),
            k=np.array(self.k),
            r=np.array(self.r),
            p=np.array(self.p),
            binning_x=self.binning[1],
            binning_y=self.binning[0],
            roi=factory(
                ros.RegionOfInterest,
                x_offset=left,
                y_offset=top,
                height=height,
                width=width,
                do_rectify=False,
            ),
        )


def good_calibration(size_hw: tuple[int, int], focal: float | None = None) -> CalibrationFields:
    """Return the calibration of a pinhole camera."""
    height, width = size_hw
    focal = focal or width * 0.9
    cx, cy = (width - 1) / 2, (height - 1) / 2
    return CalibrationFields(
        height,
        width,
        k=(focal, 0.0, cx, 0.0, focal, cy, 0.0, 0.0, 1.0),
        p=(focal, 0.0, cx, 0.0, 0.0, focal, cy, 0.0, 0.0, 0.0, 1.0, 0.0),
    )


_Good = CalibrationFields
_Change = Callable[[random.Random, _Good], tuple[_Good, Verdict]]


def _cell(rng: random.Random, good: _Good) -> tuple[_Good, Verdict]:
    cell, value = rng.choice(_CELLS), rng.choice(_NUMBERS)
    k = list(good.k)
    k[cell] = value
    impossible = not math.isfinite(value) or (cell in {0, 4} and value <= 0)
    return replace(good, k=tuple(k)), Verdict.REFUSED if impossible else Verdict.EITHER


def _whole_k(rng: random.Random, good: _Good) -> tuple[_Good, Verdict]:
    """Zero is how drivers state that a camera is not calibrated."""
    value = rng.choice((0.0, math.nan, math.inf))
    return replace(good, k=(value,) * 9), Verdict.REFUSED


def _scaled(rng: random.Random, good: _Good) -> tuple[_Good, Verdict]:
    """Scale the focal length to a field of view of 0.001 to 179.99 degrees."""
    degrees = rng.choice((0.001, 0.1, 5.0, 90.0, 150.0, 179.5, 179.99))
    focal = good.width / 2 / math.tan(math.radians(degrees / 2))
    scaled = good_calibration((good.height, good.width), focal)
    return scaled, Verdict.LEGAL if 5.0 <= degrees <= 150.0 else Verdict.EITHER  # noqa: PLR2004


def _p_is_not_used(rng: random.Random, good: _Good) -> tuple[_Good, Verdict]:
    """P is that of the rectified image, and has no meaning for the raw one."""
    return replace(good, p=(rng.choice((0.0, math.nan)),) * 12), Verdict.LEGAL


def _length_of_d(rng: random.Random, good: _Good) -> tuple[_Good, Verdict]:
    count = rng.choice((0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 14, 15, 100, 1000))
    value = rng.choice((0.0, 1e-3))
    if value and count in {1, 2, 3, 6, 7, 15, 100, 1000}:
        return replace(good, d=(value,) * count), Verdict.REFUSED
    verdict = Verdict.LEGAL if count == 5 or not count else Verdict.EITHER  # noqa: PLR2004
    return replace(good, d=(value,) * count), verdict


def _values_of_d(rng: random.Random, good: _Good) -> tuple[_Good, Verdict]:
    values = [rng.choice((*_NUMBERS, rng.uniform(-3, 3))) for _ in good.d]
    finite = all(math.isfinite(value) for value in values)
    return replace(good, d=tuple(values)), Verdict.EITHER if finite else Verdict.REFUSED


def _model(rng: random.Random, good: _Good) -> tuple[_Good, Verdict]:
    name = rng.choice(_MODELS)
    count = rng.choice((0, 4, 5, 8, 12, 14))
    coefficients = tuple(rng.uniform(-0.2, 0.2) for _ in range(count))
    return replace(good, distortion_model=name, d=coefficients), Verdict.EITHER


def _size(rng: random.Random, good: _Good) -> tuple[_Good, Verdict]:
    height, width = rng.choice(_SIZES), rng.choice(_SIZES)
    # Zero is unknown, as the definition states of regions and drivers do for the whole image.
    unknown = not height or not width
    return replace(good, height=height, width=width), (
        Verdict.EITHER if unknown else Verdict.REFUSED
    )


def _sides_swapped(_: random.Random, good: _Good) -> tuple[_Good, Verdict]:
    return replace(good, height=good.width, width=good.height), Verdict.REFUSED


def _binning(rng: random.Random, good: _Good) -> tuple[_Good, Verdict]:
    """Bin an image of n times the size, or state a binning that does not fit."""
    factor = rng.choice((2, 3, 4))
    large = good_calibration((factor * good.height, factor * good.width))
    if rng.random() < 0.5:  # noqa: PLR2004 - one of two
        return replace(large, binning=(factor, factor)), Verdict.LEGAL
    wrong = rng.choice((0, 1, 7, 2**31, 2**32 - 1))
    return replace(large, binning=(wrong, factor)), Verdict.REFUSED


def _region(rng: random.Random, good: _Good) -> tuple[_Good, Verdict]:
    """Cut the image from a sensor of twice the size, or state a region of another size."""
    large = good_calibration((2 * good.height, 2 * good.width))
    if rng.random() < 0.5:  # noqa: PLR2004 - one of two
        cut = (good.height // 2, good.width // 2, good.height, good.width)
        return replace(large, region=cut), Verdict.LEGAL
    side = rng.choice((1, 2**31, 2**32 - 1))
    return replace(large, region=(0, 0, side, good.width)), Verdict.REFUSED


def _offset_of_region(rng: random.Random, good: _Good) -> tuple[_Good, Verdict]:
    """Shift a region out of the sensor: its principal point is then far outside the image."""
    offset = rng.choice((65535, 2**31, 2**32 - 1))
    return replace(good, region=(offset, offset, good.height, good.width)), Verdict.EITHER


def _frame(rng: random.Random, good: _Good) -> tuple[_Good, Verdict]:
    return replace(good, frame_id=rng.choice(_FRAMES)), Verdict.EITHER


def _unchanged(_: random.Random, good: _Good) -> tuple[_Good, Verdict]:
    return good, Verdict.LEGAL


MUTATORS: tuple[_Change, ...] = (
    *(_cell, _whole_k, _scaled, _p_is_not_used, _length_of_d, _values_of_d, _model, _size),
    *(_sides_swapped, _binning, _region, _offset_of_region, _frame, _unchanged),
)


def mutated_calibrations(
    count: int, size_hw: tuple[int, int], seed: int = 0
) -> Iterator[Mutated[CalibrationFields]]:
    """Yield ``count`` calibrations for images of a size: all mutators in turn."""
    rng = seeded(seed)
    for number in range(count):
        change = MUTATORS[number % len(MUTATORS)]
        fields, verdict = change(rng, good_calibration(size_hw))
        yield Mutated(f'{number}-{change.__name__.lstrip("_")}', fields, verdict)
