"""sensor_msgs/msg/CompressedImage to a picture.

The size is read from the first bytes of the file, because a decoder allocates the whole picture
that a header claims before it looks at what follows.
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
# Length, name and checksum around the body of a chunk.
_CHUNK_FRAME = 12
# Encoders write 8 KiB and more in each; a hostile file could make the walk long.
_MAX_CHUNKS = 10_000

# JPEG markers, second byte: the frames but for the tables and the reserved one among them.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})
_SCAN = 0xDA
_FILL = 0xFF
_JPEG_END = b'\xff\xd9'
# Cameras write about ten; a hostile file could make the walk long.
_MAX_SEGMENTS = 1000


def compressed_to_image(message: ros.CompressedImage, *, max_pixels: int = MAX_PIXELS) -> Image:
    """Decode a jpeg or png.

    What the file starts with decides; ``format`` is only quoted when that is neither. Rotation
    tags (EXIF) are ignored: the calibration is that of the pixels as they lie. Gray becomes
    RGB, 16 bits become 8, transparency is dropped.

    Args:
        message: anything with the fields of sensor_msgs/msg/CompressedImage.
        max_pixels: the largest width times height to accept.

    Raises:
        ConversionError: reasons ``'stamp'``, ``'frame_id'``, ``'data'`` (broken or cut off),
            ``'encoding'`` (another format), ``'size'``, ``'too_large'``.

    """
    stamp_ns, frame_id = read_header(message.header)
    data = as_bytes(message.data)
    height, width = _claimed_size(data, message.format)
    check_pixels(height, width, max_pixels=max_pixels)
    rgb = _decode(data)
    if rgb.shape[:2] != (height, width):
        raise _broken(f'a header of {width}x{height} before {rgb.shape[1]}x{rgb.shape[0]} pixels')
    return Image(rgb, stamp_ns, frame_id)


def _claimed_size(data: memoryview, name: object) -> tuple[int, int]:
    """Rows and columns as the file's header says; only a whole file gets that far."""
    if data[:3] == _JPEG:
        return _jpeg_size(bytes(data))
    if data[:8] == _PNG:
        return _png_size(bytes(data))
    if not data:
        raise _broken('nothing')
    raise ConversionError(
        'encoding',
        f'format: expected a jpeg or png file, got format {shorten(name)} and bytes that start '
        f'with {data[:8].hex(" ")}. Use image_transport compressed.',
    )


def _png_size(data: bytes) -> tuple[int, int]:
    """Read the header, and walk the chunks to the end.

    OpenCV allocates what a chunk claims before it looks whether it is there.
    """
    if data[8:16] != _PNG_HEADER:
        raise _broken('a png without its header')
    at = len(_PNG)
    for _ in range(_MAX_CHUNKS):
        if data[at + 4 : at + 8] == _PNG_END:
            return int.from_bytes(data[20:24], 'big'), int.from_bytes(data[16:20], 'big')
        at += _CHUNK_FRAME + int.from_bytes(data[at : at + 4], 'big')
        if at >= len(data):
            break
    raise _broken('a png that is cut off')


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Walk the segments to the start of the frame, which holds the size."""
    at = 2
    for _ in range(_MAX_SEGMENTS):
        marker = data[at + 1 : at + 2]
        if data[at : at + 1] != b'\xff' or not marker or marker[0] == _SCAN:
            break
        if marker[0] in _FRAMES:
            return _jpeg_frame(data, at)
        if marker[0] == _FILL:
            at += 1
        elif marker[0] in _WITHOUT_LENGTH:
            at += 2
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], 'big')
    raise _broken('a jpeg without its header')


def _jpeg_frame(data: bytes, at: int) -> tuple[int, int]:
    # Older OpenCV decodes a jpeg that is cut off, and paints the rest gray.
    if data.rfind(_JPEG_END, at) < 0:
        raise _broken('a jpeg that is cut off')
    return int.from_bytes(data[at + 5 : at + 7], 'big'), int.from_bytes(
        data[at + 7 : at + 9], 'big'
    )


def _decode(data: memoryview) -> UInt8Array:
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise _broken(f'a file that cannot be decoded ({error.err})') from error
    if bgr is None:
        raise _broken('a file that cannot be decoded')
    return cast('UInt8Array', cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))


def _broken(what: str) -> ConversionError:
    return ConversionError('data', f'data: expected a whole jpeg or png, got {what}.')
