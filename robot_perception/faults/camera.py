"""Messages of a small camera."""

from __future__ import annotations

import time

import numpy as np

from robot_perception.conversions import (
    camera_info_message,
    header_message,
    image_message,
    Message,
)
from robot_perception.core import CameraModel
from robot_perception.nodes import RosMessages

FRAME_ID = 'camera_optical_frame'
SIZE_HW = (48, 64)
CAMERA = CameraModel.nominal(SIZE_HW, 60.0)
_FACTORY = RosMessages()
_last_ns = 0


def next_stamp_ns() -> int:
    """Return the current time, different from that of any earlier call."""
    global _last_ns  # noqa: PLW0603 - the process has one clock
    _last_ns = max(time.time_ns(), _last_ns + 1)
    return _last_ns


def random_image(
    seed: int = 0, stamp_ns: int | None = None, size_hw: tuple[int, int] = SIZE_HW
) -> Message:
    """Return a valid image of noise, stamped now unless a stamp is given."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*size_hw, 3), dtype=np.uint8)
    stamp_ns = next_stamp_ns() if stamp_ns is None else stamp_ns
    return image_message(_FACTORY, header_message(_FACTORY, stamp_ns, FRAME_ID), pixels, 'rgb8')


def calibration(camera: CameraModel = CAMERA, stamp_ns: int = 0) -> Message:
    """Return the calibration of a camera."""
    return camera_info_message(_FACTORY, header_message(_FACTORY, stamp_ns, FRAME_ID), camera)
