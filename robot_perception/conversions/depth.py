"""Conversion between depth images and metric depth (REP 118)."""

from __future__ import annotations

from typing import cast

import numpy as np

from robot_perception.conversions import ros
from robot_perception.conversions.compressed_depth import decode_depth
from robot_perception.conversions.encodings import DEPTH
from robot_perception.conversions.image import image_message
from robot_perception.conversions.messages import MessageFactory
from robot_perception.conversions.validation import check_image, MAX_PIXELS
from robot_perception.core import MetricDepth, MILLIMETER_M


def to_depth(
    message: ros.Image | ros.CompressedImage,
    *,
    unit_m: float = 0.0,
    max_pixels: int = MAX_PIXELS,
) -> MetricDepth:
    """Convert a depth image, raw or compressedDepth, to metric depth.

    0 and 65535 of 16UC1 and mono16 are unknown, and so is anything outside 0.1 mm to 10 km. The
    pixels are copied.

    Args:
        message: sensor_msgs/msg/Image or CompressedImage.
        unit_m: meters of one unit; 0 = by the encoding (REP 118): 16UC1 and mono16 are
            millimeters, 32FC1 is meters.
        max_pixels: larger images are rejected.

    Raises:
        ConversionError: the message is malformed or not depth; see `validation.check_image` and
            `compressed_depth.decode_depth`.
    """
    if hasattr(message, 'format'):
        pixels = decode_depth(cast('ros.CompressedImage', message), max_pixels=max_pixels)
    else:
        pixels = check_image(message, DEPTH, max_pixels=max_pixels).pixels
    if pixels.dtype.kind == 'f':
        return MetricDepth.from_meters(pixels * pixels.dtype.type(unit_m) if unit_m else pixels)
    return MetricDepth.from_integers(pixels.astype(np.uint16, copy=False), unit_m or MILLIMETER_M)


def depth_message(factory: MessageFactory, header: ros.Header, depth: MetricDepth) -> ros.Image:
    """Build a 32FC1 sensor_msgs/msg/Image in meters, NaN = unknown."""
    return image_message(factory, header, depth.meters, '32FC1')
