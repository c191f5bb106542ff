"""Inspection of PNG files, and a copy of them that costs no more than their pixels.

libpng inflates text and color profiles to any size, and whatever follows the last row. The copy
holds neither: its pixels are inflated here, with a limit, and stored without compression.
"""

from __future__ import annotations

from collections.abc import Iterator
import struct
import zlib

from robot_perception.core import ImageFileError
from robot_perception.image_files.limits import damaged, PixelLimit

SIGNATURE = b'\x89PNG\r\n\x1a\n'
_HEADER = struct.Struct('>IIBBBBB')
# Bytes of length, name and checksum of a chunk.
_CHUNK_OVERHEAD = 12
# Encoders write 8 KiB or more in each. Bounds the time spent on a hostile file.
_MIN_CHUNKS, _MIN_CHUNK_BYTES = 2000, 4096
_COPIED = (b'PLTE', b'tRNS', b'eXIf')
_COMPRESSED_TEXT = (b'zTXt', b'iTXt', b'iCCP')
# Color profiles take a few KiB, those of printers 1 MiB.
_MAX_TEXT_BYTES = 2 * 1024 * 1024
_PIECE = 64 * 1024
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# First column, first row, column step and row step of the passes of an interlaced image.
_ADAM7 = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)


def read_png(data: memoryview, limit: PixelLimit) -> tuple[tuple[int, int], bytearray]:
    """Return rows and columns of a PNG, and a PNG of the same pixels that is safe to decode.

    Args:
        data: the file.
        limit: how large the image may be.

    Raises:
        ImageFileError: ``'data'`` (damaged or truncated), ``'size'``, ``'too_large'``: too many
            pixels, or text, a color profile or pixel data that inflate to more than they should.
    """
    chunks = list(_chunks(data))
    if not chunks or chunks[0][0] != b'IHDR' or len(chunks[0][1]) != _HEADER.size:
        raise damaged('a png without its header')
    header = bytes(chunks[0][1])
    width, height, bits, color, _, _, interlace = _HEADER.unpack(header)
    limit.check_size(height, width)
    _check_text(chunks)
    raw_bytes = _raw_bytes(width, height, bits * _CHANNELS.get(color, 0), interlaced=interlace)
    limit.check_bytes(raw_bytes)
    safe = bytearray(SIGNATURE + _chunk(b'IHDR', header))
    for name, body in chunks:
        if name in _COPIED:
            safe += _chunk(name, body)
    for piece in _stored([body for name, body in chunks if name == b'IDAT'], raw_bytes):
        safe += _chunk(b'IDAT', piece)
    safe += _chunk(b'IEND', b'')
    return (height, width), safe


def _chunks(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Yield name and content of every chunk before the end chunk, which must be there."""
    offset = len(SIGNATURE)
    for _ in range(max(_MIN_CHUNKS, len(data) // _MIN_CHUNK_BYTES)):
        end = offset + _CHUNK_OVERHEAD + int.from_bytes(data[offset : offset + 4], 'big')
        name = bytes(data[offset + 4 : offset + 8])
        if name == b'IEND':
            return
        if end > len(data):
            break
        yield name, data[offset + 8 : end - 4]
        offset = end
    raise damaged('a truncated png')


def _check_text(chunks: list[tuple[bytes, memoryview]]) -> None:
    left = _MAX_TEXT_BYTES
    for name, body in chunks:
        if name in _COMPRESSED_TEXT:
            # The compressed part follows a varying number of text fields that end with zeros.
            content = bytes(body)
            start = content.find(b'\x78', content.find(b'\0') + 1)
            left -= _inflated_bytes(content[start:], left + 1) if start >= 0 else 0
            if left < 0:
                raise ImageFileError(
                    'too_large',
                    f'expected text and color profile of at most {_MAX_TEXT_BYTES} bytes, got a '
                    f'png with more in {name.decode()}. Use images without metadata.',
                )


def _inflated_bytes(data: bytes, limit: int) -> int:
    try:
        return len(zlib.decompressobj().decompress(data, limit))
    except zlib.error:
        return 0  # libpng does not see it either


def _raw_bytes(width: int, height: int, pixel_bits: int, *, interlaced: bool) -> int:
    """Return the size of the filtered rows, as defined by the PNG specification."""
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    total = 0
    for column, row, column_step, row_step in passes:
        columns = -(-(width - column) // column_step)
        rows = -(-(height - row) // row_step)
        if columns > 0 and rows > 0:
            total += rows * (1 + (columns * pixel_bits + 7) // 8)
    return total


def _stored(bodies: list[memoryview], raw_bytes: int) -> Iterator[bytes]:
    """Inflate pixel data up to its size, and yield it as a zlib stream without compression."""
    inflater, storer = zlib.decompressobj(), zlib.compressobj(0)
    left = raw_bytes
    try:
        for body in bodies:
            pending = bytes(body)
            while pending and not inflater.eof:
                piece = inflater.decompress(pending, min(left + 1, _PIECE))
                left -= len(piece)
                if left < 0:
                    raise ImageFileError(
                        'too_large',
                        f'expected a png with {raw_bytes} bytes of pixels, got more. '
                        'Fix the program that wrote it.',
                    )
                pending = inflater.unconsumed_tail
                yield storer.compress(piece)
    except zlib.error as error:
        raise damaged(f'a png that cannot be decoded ({error})') from error
    if left or not inflater.eof:
        raise damaged('a truncated png')
    yield storer.flush()


def _chunk(name: bytes, body: bytes | memoryview) -> bytes:
    checksum = zlib.crc32(body, zlib.crc32(name))
    return b''.join((len(body).to_bytes(4, 'big'), name, body, checksum.to_bytes(4, 'big')))
