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
from robot_perception.core import MetricDepth


def to_depth(
    message: ros.Image | ros.CompressedImage, *, max_pixels: int = MAX_PIXELS
) -> MetricDepth:
    """Convert a depth image, raw or compressedDepth, to metric depth.

    16UC1 and mono16 are millimeters with 0 = unknown; 32FC1 is meters, with values outside 0.1 mm
    to 10 km unknown. The pixels are copied.

    Raises:
        ConversionError: the message is malformed or not depth; see `validation.check_image` and
            `compressed_depth.decode_depth`.

    """
    if hasattr(message, 'format'):
        pixels = decode_depth(cast('ros.CompressedImage', message), max_pixels=max_pixels)
    else:
        pixels = check_image(message, DEPTH, max_pixels=max_pixels).pixels
    if pixels.dtype.kind == 'f':
        return MetricDepth.from_meters(pixels)
    return MetricDepth.from_millimeters(pixels.astype(np.uint16))


def depth_message(factory: MessageFactory, header: ros.Header, depth: MetricDepth) -> ros.Image:
    """Build a 32FC1 sensor_msgs/msg/Image in meters, NaN = unknown."""
    return image_message(factory, header, depth.meters, '32FC1')
