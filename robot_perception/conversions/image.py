"""Conversion between sensor_msgs/msg/Image and images."""

from __future__ import annotations

import numpy as np

from robot_perception.conversions import encodings, ros
from robot_perception.conversions.bit_depth import FindBits, full_range, to_8_bits
from robot_perception.conversions.cv_bridge_fallback import convert_rare
from robot_perception.conversions.header import read_header
from robot_perception.conversions.messages import MessageFactory
from robot_perception.conversions.validation import (
    check_image,
    check_size,
    MAX_PIXELS,
    shorten,
)
from robot_perception.core import AnyArray, checked, ConversionError, Image

# Encoding -> channels and dtype of arrays that are written in it.
_WRITTEN = {
    'rgb8': (3, np.uint8),
    'mono8': (None, np.uint8),
    'mono16': (None, np.uint16),
    '16UC1': (None, np.uint16),
    '32FC1': (None, np.float32),
}


def to_image(
    message: ros.Image, *, max_pixels: int = MAX_PIXELS, find_bits: FindBits = full_range
) -> Image:
    """Convert an image message to an RGB image.

    rgb8 is not copied: the image is a read-only view of the message's data, which must not be
    modified afterwards. Encodings outside the table are converted by cv_bridge if available.

    Args:
        message: any object with the fields of sensor_msgs/msg/Image.
        max_pixels: maximum of width times height.
        find_bits: returns the number of significant bits of unsigned 16-bit pixels, such as
            `SensorBits.update`.

    Raises:
        ConversionError: the message is malformed or its encoding cannot be converted; see
            `validation.check_image` for the reasons.
    """
    layout = encodings.find_layout(encodings.COLOR, message.encoding)
    if layout is not None:
        image = check_image(message, encodings.COLOR, max_pixels=max_pixels)
        pixels = to_8_bits(image.pixels, find_bits)
        return Image(layout.to_rgb(pixels), image.stamp_ns, image.frame_id)
    stamp_ns, frame_id = read_header(message.header)
    size_hw = check_size(message, max_pixels=max_pixels)
    if encodings.find_layout(encodings.DEPTH, message.encoding) is not None:
        raise depth_error('encoding', message.encoding)
    rgb = convert_rare(message, size_hw)
    return Image(rgb, stamp_ns, frame_id)


def depth_error(field: str, name: str) -> ConversionError:
    """Return the error for depth on the topic of images."""
    return ConversionError(
        'encoding',
        f'{field}: expected a color image, got {shorten(name)}, which is depth. '
        'Remap that topic to the depth input.',
    )


def image_message(
    factory: MessageFactory, header: ros.Header, array: AnyArray, encoding: str
) -> ros.Image:
    """Build a sensor_msgs/msg/Image, little endian, without padding of rows.

    Args:
        factory: makes the message.
        header: header of the message.
        array: (H, W, 3) uint8 for rgb8; (H, W) uint8 for mono8, uint16 for mono16 and 16UC1,
            float32 for 32FC1.
        encoding: one of these.

    Raises:
        ConversionError: reason ``'encoding'`` for an encoding other than these.
        ShapeError: shape or dtype of the array do not fit the encoding.
    """
    if encoding not in _WRITTEN:
        raise ConversionError(
            'encoding', f'encoding: expected one of {", ".join(_WRITTEN)}, got {encoding!r}.'
        )
    channels, dtype = _WRITTEN[encoding]
    shape = (None, None) if channels is None else (None, None, channels)
    pixels = checked('array', array, shape, dtype, f'{encoding} requires it.')
    little = np.ascontiguousarray(pixels, np.dtype(dtype).newbyteorder('<'))
    return factory(
        ros.Image,
        header=header,
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=pixels.shape[1] * pixels.itemsize * (channels or 1),
        data=factory.sequence(little.reshape(-1).view(np.uint8)),
    )
