"""Decoding of sensor_msgs/msg/CompressedImage.

The size is read from the header of the file first, because decoders allocate an image of the size
that the header states before they read the rest.
"""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np

from robot_perception.conversions import ros
from robot_perception.conversions.header import read_header
from robot_perception.conversions.validation import (
    as_bytes,
    check_pixels,
    MAX_PIXELS,
    shorten,
)
from robot_perception.core import ConversionError, Image, UInt8Array

_JPEG = b'\xff\xd8\xff'
_PNG = b'\x89PNG\r\n\x1a\n'
_PNG_HEADER = b'\x00\x00\x00\rIHDR'
_PNG_END = b'IEND'
# Bytes of length, name and checksum of a chunk.
_CHUNK_OVERHEAD = 12
# Encoders write at least 8 KiB in each. Bounds the time spent on a hostile file.
_MAX_CHUNKS = 10_000

# Second byte of JPEG markers of frames; three in this range are tables or reserved.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})
_SCAN = 0xDA
_FILL = 0xFF
_JPEG_END = b'\xff\xd9'
# Cameras write about ten. Bounds the time spent on a hostile file.
_MAX_SEGMENTS = 1000


def compressed_to_image(message: ros.CompressedImage, *, max_pixels: int = MAX_PIXELS) -> Image:
    """Decode a JPEG or PNG image.

    The format is detected from the data; the field ``format`` is used in error messages only. EXIF
    rotation is ignored: the calibration belongs to the pixels as stored. Gray is converted to RGB
    and 16 bits to 8; an alpha channel is dropped.

    Args:
        message: any object with the fields of sensor_msgs/msg/CompressedImage.
        max_pixels: maximum of width times height.

    Raises:
        ConversionError: reasons ``'stamp'``, ``'frame_id'``, ``'data'`` (damaged or truncated),
            ``'encoding'`` (another format), ``'size'``, ``'too_large'``.

    """
    stamp_ns, frame_id = read_header(message.header)
    data = as_bytes(message.data)
    height, width = _stated_size(data, message.format)
    check_pixels(height, width, max_pixels=max_pixels)
    rgb = _decode(data)
    if rgb.shape[:2] != (height, width):
        raise _damaged(f'a header of {width}x{height} before {rgb.shape[1]}x{rgb.shape[0]} pixels')
    return Image(rgb, stamp_ns, frame_id)


def _stated_size(data: memoryview, name: object) -> tuple[int, int]:
    """Return rows and columns from the header of a file that is not truncated."""
    if data[:3] == _JPEG:
        return _jpeg_size(bytes(data))
    if data[:8] == _PNG:
        return _png_size(bytes(data))
    if not data:
        raise _damaged('nothing')
    raise ConversionError(
        'encoding',
        f'format: expected a jpeg or png file, got format {shorten(name)} and bytes that start '
        f'with {data[:8].hex(" ")}. Use image_transport compressed.',
    )


def _png_size(data: bytes) -> tuple[int, int]:
    """Read the header, and check the length of each chunk.

    OpenCV allocates the stated length of a chunk before it checks that the data is present.
    """
    if data[8:16] != _PNG_HEADER:
        raise _damaged('a png without its header')
    offset = len(_PNG)
    for _ in range(_MAX_CHUNKS):
        if data[offset + 4 : offset + 8] == _PNG_END:
            return int.from_bytes(data[20:24], 'big'), int.from_bytes(data[16:20], 'big')
        offset += _CHUNK_OVERHEAD + int.from_bytes(data[offset : offset + 4], 'big')
        if offset >= len(data):
            break
    raise _damaged('a truncated png')


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Skip segments up to the start of the frame, which contains the size."""
    offset = 2
    for _ in range(_MAX_SEGMENTS):
        marker = data[offset + 1 : offset + 2]
        if data[offset : offset + 1] != b'\xff' or not marker or marker[0] == _SCAN:
            break
        if marker[0] in _FRAMES:
            return _jpeg_frame(data, offset)
        if marker[0] == _FILL:
            offset += 1
        elif marker[0] in _WITHOUT_LENGTH:
            offset += 2
        else:
            offset += 2 + int.from_bytes(data[offset + 2 : offset + 4], 'big')
    raise _damaged('a jpeg without its header')


def _jpeg_frame(data: bytes, offset: int) -> tuple[int, int]:
    # Older versions of OpenCV decode a truncated JPEG and fill the rest with gray.
    if data.rfind(_JPEG_END, offset) < 0:
        raise _damaged('a truncated jpeg')
    return int.from_bytes(data[offset + 5 : offset + 7], 'big'), int.from_bytes(
        data[offset + 7 : offset + 9], 'big'
    )


def _decode(data: memoryview) -> UInt8Array:
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise _damaged(f'a file that cannot be decoded ({error.err})') from error
    if bgr is None:
        raise _damaged('a file that cannot be decoded')
    return cast('UInt8Array', cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))


def _damaged(what: str) -> ConversionError:
    return ConversionError('data', f'data: expected a whole jpeg or png, got {what}.')
