"""Depth images to metres and back (REP 118)."""

from __future__ import annotations

import numpy as np

from robot_perception.conversions import ros
from robot_perception.conversions.encodings import DEPTH
from robot_perception.conversions.image import image_message
from robot_perception.conversions.messages import MessageFactory
from robot_perception.conversions.validation import check_image, MAX_PIXELS
from robot_perception.core import MetricDepth


def to_depth(message: ros.Image, *, max_pixels: int = MAX_PIXELS) -> MetricDepth:
    """Make metric depth of a depth image.

    16UC1 and mono16 are millimetres with 0 for unknown; 32FC1 is metres, in which everything
    that is not from 0.1 mm to 10 km is unknown. The pixels are copied.

    Raises:
        ConversionError: the message is malformed or no depth; see `validation.check_image`.

    """
    pixels = check_image(message, DEPTH, max_pixels=max_pixels).pixels
    if pixels.dtype.kind == 'f':
        return MetricDepth.from_meters(pixels)
    return MetricDepth.from_millimeters(pixels.astype(np.uint16))


def depth_message(factory: MessageFactory, header: ros.Header, depth: MetricDepth) -> ros.Image:
    """Make a 32FC1 sensor_msgs/msg/Image in metres, NaN = unknown."""
    return image_message(factory, header, depth.meters, '32FC1')
