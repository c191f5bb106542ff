"""Image files within messages: which kind, whether they are safe to decode, and their pixels.

Everything that decides how long decoding takes and how much memory it needs is read from the file
before a decoder gets it: decoders allocate what a header states, and repeat what a file asks for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from robot_perception.conversions import jpeg_file, png_file, tiff_file
from robot_perception.conversions.decoder_output import captured_output
from robot_perception.conversions.validation import check_pixels, damaged, shorten
from robot_perception.core import AnyArray, ConversionError

# Called with a slug and a sentence.
Remark = Callable[[str, str], None]

_VIDEO_NAMES = ('h264', 'h.264', 'avc', 'h265', 'h.265', 'hevc')
# H.264 and H.265 packets start with one of these (ITU-T H.264, annex B).
_VIDEO_STARTS = (b'\0\0\0\1', b'\0\0\1')
_WEBP_ANIMATION = 0x02
_FLAGS = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
# Bytes of zero at the end of the data of a scan.
_MAX_ZEROS = 2
_RESTARTS = tuple(bytes((0xFF, number)) for number in range(0xD0, 0xD8))
# Two continuations of a truncated scan that differ at once, with the start of every interval.
_CONTINUATIONS = tuple(
    b''.join(byte * 256 + restart for restart in _RESTARTS) for byte in (b'\0', b'\xaa')
)


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A file that is safe to decode.

    Attributes:
        data: the file, or a file of the same pixels.
        size_hw: rows and columns.
        has_end: whether the end of the file is there.
    """

    data: bytes | bytearray
    size_hw: tuple[int, int]
    has_end: bool = True


def open_image_file(data: memoryview, name: object, max_pixels: int) -> ImageFile:
    """Check a JPEG, PNG, TIFF or WebP before it is decoded; the kind is detected from the data.

    Args:
        data: the file.
        name: the field ``format`` of the message, for error messages.
        max_pixels: maximum of width times height.

    Raises:
        ConversionError: ``'data'`` (damaged or truncated), ``'encoding'`` (another format),
            ``'size'``, ``'too_large'`` (pixels, scans, text or compressed data).
    """
    if data[:3] == jpeg_file.START:
        content = bytes(data)
        header = jpeg_file.inspect_jpeg(content, max_pixels)
        return ImageFile(content, header.size_hw, header.has_end)
    if data[:8] == png_file.SIGNATURE:
        size_hw, safe = png_file.read_png(data, max_pixels)
        return ImageFile(safe, size_hw)
    content = bytes(data)
    if content[:4] in tiff_file.STARTS:
        return ImageFile(content, tiff_file.inspect_tiff(content, max_pixels))
    if content[:4] == b'RIFF' and content[8:12] == b'WEBP':
        return ImageFile(content, _inspect_webp(content, max_pixels))
    if not data:
        raise damaged('nothing')
    raise _unknown(data, name)


def decode_file(file: ImageFile, remark: Remark) -> AnyArray:
    """Decode a file.

    Args:
        file: an image that `open_image_file` has checked.
        remark: called for what is wrong with an image that can be used nevertheless: with
            ``'no_end'`` or ``'decoder'`` and a sentence.

    Returns:
        (H, W) gray or (H, W, 3) blue, green, red; uint8, or the uint16 or float32 of the file.

    Raises:
        ConversionError: ``'data'``: it cannot be decoded.
    """
    if file.has_end:
        pixels, output = _decode(file, file.data)
        if output:
            remark('decoder', f'the image may be damaged: {output}.')
        return pixels
    # Buffers of fixed size end with zeros. Of data only the very last bytes can be zero.
    content = file.data[: len(file.data.rstrip(b'\0')) + _MAX_ZEROS]
    first, second = (
        _decode(file, content + continuation + jpeg_file.END)[0] for continuation in _CONTINUATIONS
    )
    # A whole image does not depend on what follows. It is of no use to ask the decoder: some
    # versions of OpenCV fill up a truncated image with gray.
    if not np.array_equal(first, second):
        raise damaged('a truncated jpeg')
    remark('no_end', 'the jpeg has no end marker; all of its pixels are there.')
    return first


def _decode(file: ImageFile, content: bytes | bytearray) -> tuple[AnyArray, str]:
    """Return the pixels, and the first line that the decoder printed."""
    try:
        with captured_output() as lines:
            pixels = cv2.imdecode(np.frombuffer(content, np.uint8), _FLAGS)
    except cv2.error as error:
        raise damaged(f'a file that cannot be decoded ({error.err})') from error
    if pixels is None:
        raise damaged(f'a file that cannot be decoded{f" ({lines[0]})" if lines else ""}')
    height, width = file.size_hw
    if pixels.shape[:2] != (height, width):
        raise damaged(
            f'a header of {width}x{height} before {pixels.shape[1]}x{pixels.shape[0]} pixels'
        )
    return pixels, lines[0] if lines else ''


def _inspect_webp(data: bytes, max_pixels: int) -> tuple[int, int]:
    """Return rows and columns of a WebP (RFC 9649)."""
    if len(data) < 8 + int.from_bytes(data[4:8], 'little'):
        raise damaged('a truncated webp')
    kind, body = data[12:16], data[20:30]
    if kind == b'VP8X' and body[:1] and body[0] & _WEBP_ANIMATION:
        raise ConversionError(
            'encoding',
            'data: expected one image, got an animated webp. Publish each image by itself.',
        )
    if kind == b'VP8X':
        width, height = (1 + int.from_bytes(body[at : at + 3], 'little') for at in (4, 7))
    elif kind == b'VP8L':
        bits = int.from_bytes(body[1:5], 'little')
        width, height = 1 + bits % 2**14, 1 + (bits >> 14) % 2**14
    elif kind == b'VP8 ':
        width, height = (int.from_bytes(body[at : at + 2], 'little') % 2**14 for at in (6, 8))
    else:
        raise damaged('a webp without its header')
    check_pixels(height, width, max_pixels=max_pixels)
    return height, width


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
