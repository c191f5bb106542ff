"""sensor_msgs/msg/Image to a picture, and arrays back to messages."""

from __future__ import annotations

import numpy as np

from robot_perception.conversions import encodings, ros
from robot_perception.conversions.cv_bridge_fallback import convert_rare
from robot_perception.conversions.header import read_header
from robot_perception.conversions.messages import MessageFactory
from robot_perception.conversions.validation import check_image, check_size, MAX_PIXELS
from robot_perception.core import AnyArray, checked, ConversionError, Image

# What each encoding written is made of: channels and dtype.
_WRITTEN = {
    'rgb8': (3, np.uint8),
    'mono8': (None, np.uint8),
    'mono16': (None, np.uint16),
    '16UC1': (None, np.uint16),
    '32FC1': (None, np.float32),
}


def to_image(message: ros.Image, *, max_pixels: int = MAX_PIXELS) -> Image:
    """Make a picture of an image message.

    rgb8 is not copied: the picture is a read-only view of the message's data, which must not
    be written to afterwards. Encodings outside the table go to cv_bridge where there is one.

    Args:
        message: anything with the fields of sensor_msgs/msg/Image.
        max_pixels: the largest width times height to accept.

    Raises:
        ConversionError: the message is malformed or its encoding cannot be converted; see
            `validation.check_image` for the reasons.

    """
    name = message.encoding
    colour = encodings.COLOUR.get(name) if isinstance(name, str) else None
    if colour is not None:
        image = check_image(message, encodings.COLOUR, max_pixels=max_pixels)
        return Image(colour.to_rgb(image.pixels), image.stamp_ns, image.frame_id)
    stamp_ns, frame_id = read_header(message.header)
    size_hw = check_size(message, max_pixels=max_pixels)
    if name in ('16UC1', '32FC1'):
        raise ConversionError(
            'encoding',
            f'encoding: expected a colour image, got {name}, which is depth. '
            'Remap that topic to the depth input.',
        )
    rgb = convert_rare(message, size_hw, ', '.join(encodings.COLOUR))
    return Image(rgb, stamp_ns, frame_id)


def image_message(
    factory: MessageFactory, header: ros.Header, array: AnyArray, encoding: str
) -> ros.Image:
    """Make a sensor_msgs/msg/Image, little endian, rows without padding.

    Args:
        factory: makes the message.
        header: std_msgs/msg/Header to carry.
        array: (H, W, 3) uint8 for rgb8; (H, W) uint8 for mono8, uint16 for mono16 and 16UC1,
            float32 for 32FC1.
        encoding: one of these.

    Raises:
        ConversionError: reason ``'encoding'`` for another one.
        ShapeError: the array is not what the encoding needs.

    """
    if encoding not in _WRITTEN:
        raise ConversionError(
            'encoding', f'encoding: expected one of {", ".join(_WRITTEN)}, got {encoding!r}.'
        )
    channels, dtype = _WRITTEN[encoding]
    shape = (None, None) if channels is None else (None, None, channels)
    pixels = checked('array', array, shape, dtype, f'{encoding} is made of that.')
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
