"""Small image files that cost very much time or memory to decode.

A verdict is given where the file formats determine the size of the picture: no file with more than
`MAX_PIXELS` pixels, or more than four bytes for each of them, may be decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
import random
import struct
import zlib

from robot_perception.faults.image_mutations import MAX_PIXELS
from robot_perception.faults.mutation import Mutated, seeded, Verdict

_PNG_START = b'\x89PNG\r\n\x1a\n'
# Bits of a pixel by color type and bits of a channel, as PNG allows them.
_PNG_KINDS = (
    *((0, 1), (0, 8), (0, 16), (2, 8), (2, 16), (3, 1), (3, 8), (4, 8), (4, 16), (6, 8), (6, 16)),
)
_SIDES = (1, 4096, 5793, 8192, 16_384, 30_000, 65_535)
_INFLATED = (2**20, 2**24, 2**26, 2**28)
_WHOLE = (5800, 8192, 16_384, 30_000)
# Starts of formats that OpenCV or other readers know, each with a picture that claims to be huge.
_OTHERS = (
    b'GIF89a\xff\xff\xff\xff\xf7\0\0',
    b'\0\0\0\x0cjP  \r\n\x87\n',
    b'\xff\x4f\xff\x51' + b'\0\x2f\0\0' + b'\x7f\xff\xff\xff' * 2,
    b'v/1\x01\x02\0\0\0',
    b'#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 99999 +X 99999\n',
    b'Pf\n99999 99999\n-1.0\n',
    b'P7\nWIDTH 99999\nHEIGHT 99999\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n',
    b'\x59\xa6\x6a\x95' + b'\x7f\xff\xff\xff' * 2,
    b'\0\0\0\x20ftypavif\0\0\0\0avifmif1miaf',
    b'\0\0\0\x0cJXL \r\n\x87\n',
)

_Bomb = tuple[bytes, Verdict]


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """Return a chunk of a PNG."""
    checksum = zlib.crc32(body, zlib.crc32(kind))
    return struct.pack('>I', len(body)) + kind + body + struct.pack('>I', checksum)


def png_file(
    width: int,
    height: int,
    pixels: bytes,
    *,
    kind: tuple[int, int] = (0, 8),
    parts: int = 1,
    others: bytes = b'',
) -> bytes:
    """Return a PNG: its zlib data in parts, behind other chunks; kind: color type and bits."""
    header = struct.pack('>IIBBBBB', width, height, kind[1], kind[0], 0, 0, 0)
    size = -(-len(pixels) // parts)
    data = (pixels[start : start + size] for start in range(0, len(pixels), size))
    chunks = b''.join(png_chunk(b'IDAT', part) for part in data)
    start = _PNG_START + png_chunk(b'IHDR', header) + others
    return start + chunks + png_chunk(b'IEND', b'')


@cache
def inflating(size: int) -> bytes:
    """Return zlib data of ``size`` zeros."""
    packer, piece = zlib.compressobj(9), bytes(2**20)
    parts = [packer.compress(piece) for _ in range(size // len(piece))]
    return b''.join((*parts, packer.compress(bytes(size % len(piece))), packer.flush()))


@cache
def whole_png(side: int) -> bytes:
    """Return a valid black picture, of one bit for each pixel."""
    return png_file(side, side, inflating(side * (1 + (side + 7) // 8)), kind=(0, 1))


@cache
def _deep_png(side: int) -> bytes:
    """Return a valid picture of four channels of 16 bits."""
    return png_file(side, side, inflating(side * (1 + 8 * side)), kind=(6, 16))


def jpeg_segment(marker: int, body: bytes) -> bytes:
    """Return a segment of a JPEG."""
    return bytes((0xFF, marker)) + struct.pack('>H', 2 + len(body)) + body


@cache
def scanned_jpeg(side: int, scans: int) -> bytes:
    """Return a progressive JPEG of very many scans that change nothing."""
    table = bytes([1] + [0] * 15)
    segments = (
        (0xDB, b'\0' + bytes([1] * 64)),
        (0xC2, b'\x08' + struct.pack('>HH', side, side) + b'\x01\x01\x11\x00'),
        (0xC4, b'\x00' + table + b'\x00'),
        (0xC4, b'\x10' + table + b'\xe0'),
        (0xDA, b'\x01\x01\x00\x00\x00\x00'),
    )
    start = b''.join(jpeg_segment(*segment) for segment in segments) + bytes(16)
    scan = jpeg_segment(0xDA, b'\x01\x01\x00\x01\x3f\x00') + bytes(2)
    return b'\xff\xd8' + start + scan * scans + b'\xff\xd9'


def _too_large(rng: random.Random, largest: int) -> tuple[int, int]:
    """Return a width and a height with more pixels than are allowed."""
    while True:
        width, height = (
            min(rng.choice((*_SIDES, rng.randrange(1, 2**16), 2**31 - 1, 2**32 - 1)), largest)
            for _ in range(2)
        )
        if width * height > MAX_PIXELS:
            return width, height


def _png_claim(rng: random.Random) -> _Bomb:
    size = _too_large(rng, 2**32 - 1)
    pixels = zlib.compress(bytes(1000))
    return png_file(*size, pixels, kind=rng.choice(_PNG_KINDS)), Verdict.REFUSED


def _png_pixels(rng: random.Random) -> _Bomb:
    """Let the data of a small picture inflate to up to a quarter of a gibibyte."""
    side, parts = rng.randrange(1, 64), rng.choice((1, 3, 100))
    pixels, kind = inflating(rng.choice(_INFLATED)), rng.choice(_PNG_KINDS)
    return png_file(side, side, pixels, kind=kind, parts=parts), Verdict.REFUSED


def _png_whole(rng: random.Random) -> _Bomb:
    return whole_png(rng.choice(_WHOLE)), Verdict.REFUSED


def _png_deep(_: random.Random) -> _Bomb:
    return _deep_png(4200), Verdict.REFUSED


def _png_text(rng: random.Random) -> _Bomb:
    """Put text, or color profiles, that inflate to very much into a valid picture."""
    kind = rng.choice((b'zTXt', b'iTXt', b'iCCP'))
    before = {b'zTXt': b'k\0\0', b'iTXt': b'k\0\1\0\0\0', b'iCCP': b'k\0\0'}[kind]
    chunk = png_chunk(kind, before + inflating(rng.choice(_INFLATED[1:])))
    pixels = zlib.compress(bytes(16 * 17))
    return png_file(16, 16, pixels, others=chunk * rng.choice((1, 8))), Verdict.EITHER


def _png_chunks(rng: random.Random) -> _Bomb:
    chunk = png_chunk(rng.choice((b'tEXt', b'abCd')), b'k\0' + bytes(rng.randrange(8)))
    others = chunk * rng.choice((5000, 20_000, 100_000))
    return png_file(16, 16, zlib.compress(bytes(16 * 17)), others=others), Verdict.EITHER


def _jpeg_claim(rng: random.Random) -> _Bomb:
    """State a huge picture, baseline, progressive or arithmetic, in very little data."""
    width, height = _too_large(rng, 65_535)
    channels = rng.choice((1, 3))
    components = b''.join(bytes((one, 0x11, 0)) for one in range(1, channels + 1))
    frame = b'\x08' + struct.pack('>HH', height, width) + bytes((channels,)) + components
    marker = rng.choice((0xC0, 0xC1, 0xC2, 0xC9, 0xCA))
    scan = bytes((channels, *(value for one in range(channels) for value in (one + 1, 0))))
    data = jpeg_segment(marker, frame) + jpeg_segment(0xDA, scan + b'\0\x3f\0')
    return b'\xff\xd8' + data + rng.randbytes(1000).replace(b'\xff', b'') + b'\xff\xd9', (
        Verdict.REFUSED
    )


def _jpeg_scans(rng: random.Random) -> _Bomb:
    side, scans = rng.choice((1024, 2048, 5792)), rng.choice((51, 100, 1000, 10_000))
    return scanned_jpeg(side, scans), Verdict.REFUSED


def _jpeg_segments(rng: random.Random) -> _Bomb:
    segment = jpeg_segment(rng.choice((0xFE, 0xE1, 0xED, 0xDB)), bytes(rng.choice((0, 1, 65))))
    many = segment * rng.choice((2000, 50_000, 200_000))
    whole = scanned_jpeg(16, 1)
    return whole[:2] + many + whole[2:], Verdict.EITHER


def _webp_claim(rng: random.Random) -> _Bomb:
    """State a huge picture in each of the three kinds, or an animation."""
    kind = rng.choice((b'VP8X', b'VP8L', b'VP8 '))
    width, height = _too_large(rng, 2**24 if kind == b'VP8X' else 2**14 - 1)
    if kind == b'VP8X':
        flags = rng.choice((0, 2))
        sides = ((side - 1).to_bytes(3, 'little') for side in (width, height))
        body = bytes((flags, 0, 0, 0)) + b''.join(sides)
    elif kind == b'VP8L':
        body = b'\x2f' + (width - 1 + ((height - 1) << 14)).to_bytes(4, 'little')
    else:
        body = b'\x10\0\0\x9d\x01\x2a' + struct.pack('<HH', width, height)
    body += rng.randbytes(1000)
    data = b'WEBP' + kind + struct.pack('<I', len(body)) + body
    return b'RIFF' + struct.pack('<I', len(data)) + data, Verdict.REFUSED


def _tiff_claim(rng: random.Random) -> _Bomb:
    """State a huge picture, or a small one of huge tiles, in either byte order."""
    order, start = rng.choice((('<', b'II*\0'), ('>', b'MM\0*')))
    width, height = _too_large(rng, 2**32 - 1)
    sizes = ((256, width), (257, height))
    if rng.random() < 0.5:  # noqa: PLR2004 - one of two
        sizes = ((256, 16), (257, 16), (322, width), (323, height))  # type: ignore[assignment]
    tags = (*sizes, (258, 8), (259, rng.choice((1, 5, 8, 32773))), (262, 1), (277, 1))
    entries = b''.join(
        struct.pack(f'{order}HHII', tag, 4, 1, value) for tag, value in sorted(tags)
    )
    directory = struct.pack(f'{order}H', len(tags)) + entries + bytes(4)
    return start + struct.pack(f'{order}I', 8) + directory + bytes(100), Verdict.REFUSED


def _bitmap_claim(rng: random.Random) -> _Bomb:
    """State a huge picture in a format without compression, or in run lengths."""
    width, height = _too_large(rng, 2**31 - 1)
    if rng.random() < 0.5:  # noqa: PLR2004 - one of two
        kind = rng.choice(b'123456')
        return b'P%c\n# \n%d %d\n255\n' % (kind, width, height) + bytes(1000), Verdict.REFUSED
    header = struct.pack('<IiiHHIIIIII', 40, width, height, 1, 8, rng.choice((0, 1)), *[0] * 5)
    data = struct.pack('<IHHI', 1000, 0, 0, 54) + header + bytes(1000)
    return b'BM' + data, Verdict.REFUSED


def _other(rng: random.Random) -> _Bomb:
    return rng.choice(_OTHERS) + rng.randbytes(rng.choice((10, 1000, 100_000))), Verdict.REFUSED


BOMBS: tuple[Callable[[random.Random], _Bomb], ...] = (
    *(_png_claim, _png_pixels, _png_whole, _png_deep, _png_text, _png_chunks, _jpeg_claim),
    *(_jpeg_scans, _jpeg_segments, _webp_claim, _tiff_claim, _bitmap_claim, _other),
)


def bombs(count: int, seed: int = 0) -> Iterator[Mutated[bytes]]:
    """Yield ``count`` files: all kinds in turn, with other sizes each time."""
    rng = seeded(seed)
    for number in range(count):
        make = BOMBS[number % len(BOMBS)]
        data, verdict = make(rng)
        yield Mutated(f'{number}-{make.__name__.lstrip("_")}', data, verdict)
