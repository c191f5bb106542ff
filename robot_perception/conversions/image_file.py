"""Image files within messages."""

from __future__ import annotations

import cv2

from robot_perception.conversions.validation import message_limit, shorten
from robot_perception.core import AnyArray, ConversionError, ImageFileError
from robot_perception.image_files import decode_image, Remark

_FLAGS = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
_VIDEO_NAMES = ('h264', 'h.264', 'avc', 'h265', 'h.265', 'hevc')
# H.264 and H.265 packets start with one of these (ITU-T H.264, annex B).
_VIDEO_STARTS = (b'\0\0\0\1', b'\0\0\1')


def decode_data(data: memoryview, name: object, max_pixels: int, remark: Remark) -> AnyArray:
    """Decode the file in a CompressedImage as its pixels are stored; see `decode_image`.

    Args:
        data: the file.
        name: the field ``format`` of the message, for error messages.
        max_pixels: maximum of width times height.
        remark: called for what is wrong with an image that can be used nevertheless.

    Returns:
        (H, W) gray or (H, W, 3) blue, green, red; uint8, or the uint16 or float32 of the file.

    Raises:
        ConversionError: ``'data'`` (damaged or truncated), ``'encoding'`` (another format),
            ``'size'``, ``'too_large'`` (pixels, scans, text or compressed data).
    """
    try:
        return decode_image(data, _FLAGS, message_limit(max_pixels), remark)
    except ImageFileError as error:
        if error.reason == 'unknown_format':
            raise _unknown(data, name) from None
        raise ConversionError(error.reason, f'data: {error}') from error


def _unknown(data: memoryview, name: object) -> ConversionError:
    start = bytes(data[:8])
    got = f'got format {shorten(name)} and bytes that start with {start.hex(" ")}'
    named = name.lower() if isinstance(name, str) else ''
    if start.startswith(_VIDEO_STARTS) or any(video in named for video in _VIDEO_NAMES):
        return ConversionError(
            'encoding',
            f'format: expected images, {got}: packets of H.264 or H.265 video, which are no '
            'images by themselves. Set the camera driver to raw images or to MJPEG (such as '
            'color_format:=MJPG), or decode the video in a node that publishes sensor_msgs/Image '
            'and remap image to its topic.',
        )
    return ConversionError(
        'encoding',
        f'format: expected a jpeg, png, tiff or webp file, {got}. Use image_transport compressed.',
    )
