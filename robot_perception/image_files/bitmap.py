"""Inspection of the formats without compression: BMP and PNM (PBM, PGM, PPM)."""

from __future__ import annotations

import re
import struct

from robot_perception.image_files.limits import damaged, PixelLimit

BMP_START = b'BM'
# Header of OS/2, whose numbers have 16 bits.
_OS2_HEADER_BYTES = 12
_BMP_RAW = 0
_MAX_HEADER_BYTES = 65536
# The kind, width and height, with comments to the end of a line between them.
_PNM = re.compile(rb'P([1-6])(?:\s|#[^\n]*\n)+(\d{1,10})(?:\s|#[^\n]*\n)+(\d{1,10})(?=[\s#])')


def inspect_bmp(data: bytes, limit: PixelLimit) -> tuple[int, int]:
    """Return rows and columns of a BMP.

    Raises:
        ImageFileError: ``'data'`` (damaged or truncated), ``'size'``, ``'too_large'``.
    """
    compression = _BMP_RAW
    try:
        start, header_bytes = struct.unpack_from('<II', data, 10)
        if header_bytes == _OS2_HEADER_BYTES:
            width, height, _, bits = struct.unpack_from('<HHHH', data, 18)
        else:
            width, height, _, bits, compression = struct.unpack_from('<iiHHI', data, 18)
    except struct.error:
        raise damaged('a bmp without its header') from None
    # Negative: the first row is the upper one.
    height = abs(height)
    limit.check_size(height, width)
    row_bytes = (width * bits + 31) // 32 * 4
    if compression == _BMP_RAW and len(data) < start + height * row_bytes:
        raise damaged('a truncated bmp')
    return height, width


def is_pnm(data: bytes) -> bool:
    """Return whether a file is a PNM with a whole header."""
    return _PNM.match(data[:_MAX_HEADER_BYTES]) is not None


def inspect_pnm(data: bytes, limit: PixelLimit) -> tuple[int, int]:
    """Return rows and columns of a PNM.

    Raises:
        ImageFileError: ``'data'`` (truncated), ``'size'``, ``'too_large'``.
    """
    found = _PNM.match(data[:_MAX_HEADER_BYTES])
    assert found is not None  # noqa: S101 - see is_pnm()
    kind, width, height = (int(part) for part in found.groups())
    limit.check_size(height, width)
    # Of 16 bits or text there is more.
    pixel_bits = {3: 24, 4: 1, 6: 24}.get(kind, 8)
    if (len(data) - found.end()) * 8 < width * height * pixel_bits:
        raise damaged('a truncated pnm')
    return height, width
