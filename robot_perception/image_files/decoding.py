"""Decoding of image files: which kind, whether they are safe to decode, and their pixels.

Everything that decides how long decoding takes and how much memory it needs is read from the file
before a decoder gets it: decoders allocate what a header states, and repeat what a file asks for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from robot_perception.core import AnyArray, ImageFileError
from robot_perception.image_files import bitmap, jpeg, png, tiff, webp
from robot_perception.image_files.decoder_output import captured_decoder_output
from robot_perception.image_files.exif import read_exif, turned
from robot_perception.image_files.limits import damaged, PixelLimit

# Called with a slug and a sentence.
Remark = Callable[[str, str], None]

_START_BYTES = 8
# Kinds that cameras and programs write and OpenCV does not read everywhere: their first bytes, or
# those after the size of the first box.
_OTHER_KINDS = {
    'HEIC, as telephones write it': (b'ftyphei', b'ftyphev', b'ftypmif1', b'ftypmsf1'),
    'AVIF': (b'ftypavif', b'ftypavis'),
    'JPEG XL': (b'\xff\x0a', b'JXL \r\n\x87\n'),
    'JPEG 2000': (b'\xff\x4f\xff\x51', b'jP  \r\n\x87\n'),
    'GIF': (b'GIF8',),
    'a video': (b'ftyp',),
}
# Bytes of zero at the end of the data of a scan.
_MAX_ZEROS = 2
_RESTARTS = tuple(bytes((0xFF, number)) for number in range(0xD0, 0xD8))
# Two continuations of a truncated scan that differ at once, with the start of every interval.
_CONTINUATIONS = tuple(
    b''.join(byte * 256 + restart for restart in _RESTARTS) for byte in (b'\0', b'\xaa')
)


@dataclass(frozen=True, slots=True)
class _SafeFile:
    """A file that is safe to decode.

    Attributes:
        data: the file, or a file of the same pixels.
        size_hw: rows and columns.
        has_end: whether the end of the file is there.
        orientation: how to turn the pixels, where the decoder does not (EXIF).
    """

    data: bytes | bytearray
    size_hw: tuple[int, int]
    has_end: bool = True
    orientation: int = 1


def decode_image(data: memoryview, flags: int, limit: PixelLimit, remark: Remark) -> AnyArray:
    """Decode a JPEG, PNG, TIFF, WebP, BMP or PNM; the kind is detected from the data.

    Args:
        data: the file.
        flags: ``cv2.IMREAD_*``.
        limit: how large the image may be.
        remark: called for what is wrong with an image that can be used nevertheless: with
            ``'no_end'`` or ``'decoder'`` and a sentence.

    Returns:
        The pixels as OpenCV returns them: (H, W), or (H, W, C) with blue first.

    Raises:
        ImageFileError: ``'data'`` (damaged or truncated), ``'unknown_format'``, ``'encoding'``
            (such as an animation), ``'size'``, ``'too_large'`` (pixels, scans, text or compressed
            data).
    """
    # Nothing is kept longer than needed: a file may be as large as its pixels.
    return _decode(_inspect(data, limit), flags, remark)


def is_image(start: bytes) -> bool:
    """Return whether a file that starts so is of a kind that `decode_image` takes."""
    starts = (png.SIGNATURE, jpeg.START, bitmap.BMP_START)
    return (
        start.startswith(starts)
        or start.startswith(tiff.STARTS)
        or webp.is_webp(start)
        or bitmap.is_pnm(start)
    )


def _inspect(data: memoryview, limit: PixelLimit) -> _SafeFile:
    if data[:8] == png.SIGNATURE:
        size_hw, safe = png.read_png(data, limit)
        return _SafeFile(safe, size_hw, orientation=read_exif(bytes(data)).orientation)
    content = bytes(data)
    if content.startswith(jpeg.START):
        header = jpeg.inspect_jpeg(content, limit)
        return _SafeFile(content, header.size_hw, header.has_end)
    if content.startswith(tiff.STARTS):
        return _SafeFile(content, tiff.inspect_tiff(content, limit))
    if webp.is_webp(content):
        size_hw = webp.inspect_webp(content, limit)
        return _SafeFile(content, size_hw, orientation=read_exif(content).orientation)
    if content.startswith(bitmap.BMP_START):
        return _SafeFile(content, bitmap.inspect_bmp(content, limit))
    if bitmap.is_pnm(content):
        return _SafeFile(content, bitmap.inspect_pnm(content, limit))
    if not content:
        raise damaged('nothing')
    for kind, starts in _OTHER_KINDS.items():
        if content.startswith(starts) or content[4:12].startswith(starts):
            raise ImageFileError(
                'unknown_format',
                f'expected a jpeg, png, tiff, webp, bmp or pnm file, got {kind}. Convert it to '
                'jpeg or png.',
            )
    raise ImageFileError(
        'unknown_format',
        'expected a jpeg, png, tiff, webp, bmp or pnm file, got bytes that start with '
        f'{content[:_START_BYTES].hex(" ")}. Use one of them.',
    )


def _decode(file: _SafeFile, flags: int, remark: Remark) -> AnyArray:
    if file.has_end:
        is_turned_here = file.orientation != 1 and not flags & cv2.IMREAD_IGNORE_ORIENTATION
        if is_turned_here:
            # Some versions of OpenCV turn WebP and PNG, some do not.
            flags |= cv2.IMREAD_IGNORE_ORIENTATION
        pixels, output = _decode_whole(file, file.data, flags)
        if output:
            remark('decoder', f'the image may be damaged: {output}.')
        return turned(pixels, file.orientation) if is_turned_here else pixels
    # Buffers of fixed size end with zeros. Of data only the very last bytes can be zero.
    content = file.data[: len(file.data.rstrip(b'\0')) + _MAX_ZEROS]
    first, second = (
        _decode_whole(file, content + continuation + jpeg.END, flags)[0]
        for continuation in _CONTINUATIONS
    )
    # A whole image does not depend on what follows. It is of no use to ask the decoder: some
    # versions of OpenCV fill up a truncated image with gray.
    if not np.array_equal(first, second):
        raise damaged('a truncated jpeg')
    remark('no_end', 'the jpeg has no end marker; all of its pixels are there.')
    return first


def _decode_whole(file: _SafeFile, content: bytes | bytearray, flags: int) -> tuple[AnyArray, str]:
    """Return the pixels, and the first line that the decoder printed."""
    try:
        with captured_decoder_output() as lines:
            pixels = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error as error:
        raise damaged(f'a file that cannot be decoded ({error.err})') from error
    if pixels is None:
        raise damaged(f'a file that cannot be decoded{f" ({lines[0]})" if lines else ""}')
    height, width = pixels.shape[:2]
    # The orientation of a photograph may exchange the two.
    is_upright = flags & cv2.IMREAD_IGNORE_ORIENTATION
    if (height, width) != file.size_hw and (is_upright or (width, height) != file.size_hw):
        raise damaged(
            f'a header of {file.size_hw[1]}x{file.size_hw[0]} before {width}x{height} pixels'
        )
    return pixels, lines[0] if lines else ''
