"""Compression of bags, with bounds: what a file claims must not fill the memory or the disk."""

from __future__ import annotations

from collections.abc import Callable
import sys
from typing import BinaryIO, cast, Protocol

import lz4.frame

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# Of a message, and of the chunk of an mcap file.
MAX_BYTES = 2**28
ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'
_PIECE_BYTES = 2**20
# Of a compressed file beyond `MAX_BYTES`; images are packed less densely.
_MAX_RATIO = 1000


class _Decompressor(Protocol):
    eof: bool
    unused_data: bytes | None

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Return at most ``max_length`` bytes."""


_DECOMPRESSORS: dict[str, Callable[[], _Decompressor]] = {
    'zstd': cast('Callable[[], _Decompressor]', zstd.ZstdDecompressor),
    'lz4': lz4.frame.LZ4FrameDecompressor,
}


def check_size(size: int, what: str) -> None:
    """Raise ValueError for more bytes than a message or chunk may have."""
    if size > MAX_BYTES:
        raise ValueError(f'{what} of {size} bytes, more than {MAX_BYTES}')


def plain(data: bytes) -> bytes:
    """Undo the compression of a single message; no serialized message begins like it.

    Raises:
        ValueError: the data are damaged or inflate to more than a message may have.
    """
    return unpack(data, 'zstd') if data.startswith(ZSTD_MAGIC) else data


def unpack(data: bytes, compression: str) -> bytes:
    """Undo the compression ``'zstd'`` or ``'lz4'``.

    Raises:
        ValueError: unknown compression, damaged data, or more than `MAX_BYTES`.
    """
    if compression not in _DECOMPRESSORS:
        raise ValueError(f'compression {compression!r} is neither zstd nor lz4')
    pieces, size = [], 0
    # Frames may follow each other.
    while data:
        decompressor = _DECOMPRESSORS[compression]()
        try:
            pieces.append(decompressor.decompress(data, max_length=MAX_BYTES + 1 - size))
        except (zstd.ZstdError, RuntimeError) as error:
            raise ValueError(str(error)) from error
        size += len(pieces[-1])
        check_size(size, 'data')
        if not decompressor.eof:
            raise ValueError('compressed data end early')
        data = decompressor.unused_data or b''
    return pieces[0] if len(pieces) == 1 else b''.join(pieces)


def inflate(packed: BinaryIO, plain: BinaryIO) -> str | None:
    """Undo the compression of a zstd file; return what is wrong with it, None if nothing."""
    decompressor, written, data = zstd.ZstdDecompressor(), 0, b''
    try:
        while True:
            if decompressor.eof:
                # Frames may follow each other.
                data = decompressor.unused_data or packed.read(_PIECE_BYTES)
                decompressor = zstd.ZstdDecompressor()
                if not data:
                    return None
            elif decompressor.needs_input:
                data = packed.read(_PIECE_BYTES)
                if not data:
                    return 'its compressed data end early'
            written += plain.write(decompressor.decompress(data, max_length=_PIECE_BYTES))
            data = b''
            if written > max(MAX_BYTES, _MAX_RATIO * packed.tell()):
                return f'it inflates to more than {written} bytes'
    except zstd.ZstdError as error:
        return str(error)
