"""Inspection of WebP files."""

from __future__ import annotations

from robot_perception.core import ImageFileError
from robot_perception.image_files.limits import damaged, PixelLimit

_ANIMATION = 0x02


def is_webp(data: bytes) -> bool:
    """Return whether a file is a WebP, whole or not."""
    return data[:4] == b'RIFF' and data[8:12] == b'WEBP'


def inspect_webp(data: bytes, limit: PixelLimit) -> tuple[int, int]:
    """Return rows and columns of a WebP (RFC 9649).

    Raises:
        ImageFileError: ``'data'`` (damaged or truncated), ``'encoding'`` (animated), ``'size'``,
            ``'too_large'``.
    """
    if len(data) < 8 + int.from_bytes(data[4:8], 'little'):
        raise damaged('a truncated webp')
    kind, body = data[12:16], data[20:30]
    if kind == b'VP8X' and body[:1] and body[0] & _ANIMATION:
        raise ImageFileError(
            'encoding', 'expected one image, got an animated webp. Use one file for each image.'
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
    limit.check_size(height, width)
    return height, width
