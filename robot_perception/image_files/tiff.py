"""Inspection of TIFF files."""

from __future__ import annotations

import struct

from robot_perception.core import ImageFileError
from robot_perception.image_files.limits import damaged, PixelLimit

STARTS = (b'II*\0', b'MM\0*')
_MAX_ENTRIES = 512
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _SAMPLES = 256, 257, 258, 259, 277
_TILE_WIDTH, _TILE_HEIGHT = 322, 323
# Value types SHORT and LONG, with their sizes.
_VALUE = {3: ('H', 2), 4: ('I', 4)}
# None, LZW, Deflate (two numbers), PackBits. Others, such as JPEG, are files within the file.
_COMPRESSIONS = frozenset({1, 5, 8, 32946, 32773})
_MAX_SAMPLES = 4


def inspect_tiff(data: bytes, limit: PixelLimit) -> tuple[int, int]:
    """Return rows and columns of the first image of a TIFF.

    Raises:
        ImageFileError: ``'data'`` (damaged or truncated), ``'encoding'`` (compression),
            ``'size'``, ``'too_large'``.
    """
    tags = _read_tags(data)
    try:
        width, height = tags[_WIDTH], tags[_HEIGHT]
    except KeyError:
        raise damaged('a tiff without its size') from None
    limit.check_size(height, width)
    if _TILE_WIDTH in tags:
        # A decoder allocates a whole tile, however small the image.
        limit.check_size(tags.get(_TILE_HEIGHT, 1), tags[_TILE_WIDTH])
    if tags.get(_SAMPLES, 1) > _MAX_SAMPLES:
        raise ImageFileError(
            'encoding',
            f'expected at most {_MAX_SAMPLES} channels, got a tiff of {tags[_SAMPLES]}. '
            'Use gray or color images.',
        )
    raw_bytes = height * width * tags.get(_SAMPLES, 1) * tags.get(_BITS, 1) // 8
    limit.check_bytes(raw_bytes)
    if tags.get(_COMPRESSION, 1) not in _COMPRESSIONS:
        raise ImageFileError(
            'encoding',
            'expected a tiff without compression or with LZW, Deflate or PackBits, got '
            f'compression {tags[_COMPRESSION]}. Use png.',
        )
    return height, width


def _read_tags(data: bytes) -> dict[int, int]:
    """Return the first value of the integer tags of the first directory."""
    order = '<' if data[:2] == b'II' else '>'
    tags = {}
    try:
        (offset,) = struct.unpack_from(f'{order}I', data, 4)
        (count,) = struct.unpack_from(f'{order}H', data, offset)
        for index in range(min(count, _MAX_ENTRIES)):
            entry = offset + 2 + 12 * index
            tag, kind, values = struct.unpack_from(f'{order}HHI', data, entry)
            if kind not in _VALUE or tag in tags:
                continue
            code, size = _VALUE[kind]
            # Values of more than four bytes stand elsewhere.
            (where,) = struct.unpack_from(f'{order}I', data, entry + 8)
            position = where if values * size > 4 else entry + 8  # noqa: PLR2004
            (tags[tag],) = struct.unpack_from(f'{order}{code}', data, position)
    except struct.error:
        raise damaged('a truncated tiff') from None
    return tags
