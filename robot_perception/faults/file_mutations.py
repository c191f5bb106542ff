"""Compressed images: bombs, garbage and damaged files, and which of them no reader may use.

A verdict is given where the file formats determine it. Damaged data within a file may or may not
be noticed by a decoder; such files are either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
import random
import struct
import zlib

import cv2
import numpy as np

from robot_perception.conversions import header_message, Message, MessageFactory, ros
from robot_perception.core import AnyArray
from robot_perception.faults.bombs import inflating, png_chunk, png_file, scanned_jpeg, whole_png
from robot_perception.faults.mutation import Mutated, seeded, Verdict

_FRAME_ID = 'camera_optical_frame'
_FORMATS = ('jpeg', 'png', 'jpg', '', 'rgb8; jpeg compressed bgr8', 'bgr8; png compressed ')
_SIDES = (0, 1, 65535, 30_000)
_OTHER_FILES = (
    b'',
    b'\0',
    b'GIF89a\x01\0\x01\0\0\0\0;',
    b'BM' + bytes(60),
    b'%PDF-1.7\n',
    b'\x1f\x8b\x08\0' + bytes(20),
    b'\0\0\0\1gB\0\x1e' + bytes(50),
    b'#EXTM3U\n',
    b'<svg xmlns="http://www.w3.org/2000/svg"/>',
)
# An EXIF segment that asks for a rotation by a quarter turn.
_ROTATED = (
    b'\xff\xe1\x00\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0'
)
_BOMB_BYTES = 2**28


def compressed_message(factory: MessageFactory, data: bytes, name: str, stamp_ns: int) -> Message:
    """Build a sensor_msgs/msg/CompressedImage."""
    return factory(
        ros.CompressedImage,
        header=header_message(factory, stamp_ns, _FRAME_ID),
        format=name,
        data=factory.sequence(np.frombuffer(data, np.uint8)),
    )


def good_files(size_hw: tuple[int, int]) -> dict[str, bytes]:
    """Return valid files of one picture: name -> contents."""
    return _good_files(size_hw)


@cache
def _good_files(size_hw: tuple[int, int]) -> dict[str, bytes]:
    rows, columns = np.mgrid[: size_hw[0], : size_hw[1]]
    color = np.stack([3 * columns, 255 - 4 * rows, 2 * rows + columns], -1).astype(np.uint8)
    gray = color[..., 0].copy()
    jpeg = _encode('.jpg', color)
    return {
        'jpeg': jpeg,
        'jpeg_gray': _encode('.jpg', gray),
        'jpeg_progressive': _encode('.jpg', color, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        'jpeg_restarts': _encode('.jpg', color, cv2.IMWRITE_JPEG_RST_INTERVAL, 2),
        'jpeg_rotated': jpeg[:2] + _ROTATED + jpeg[2:],
        'png': _encode('.png', color),
        'png_gray': _encode('.png', gray),
        'png_16_bit': _encode('.png', color.astype(np.uint16) * 257),
        'png_alpha': _encode('.png', np.dstack((color, gray))),
        'tiff': _encode('.tiff', color),
        'tiff_16_bit': _encode('.tiff', color.astype(np.uint16) * 257),
        'webp': _encode('.webp', color, cv2.IMWRITE_WEBP_QUALITY, 80),
        'webp_lossless': _encode('.webp', color, cv2.IMWRITE_WEBP_QUALITY, 101),
    }


def _encode(kind: str, pixels: AnyArray, *options: int) -> bytes:
    return bytes(cv2.imencode(kind, pixels, list(options))[1])


_Change = Callable[[random.Random, dict[str, bytes]], tuple[bytes, Verdict]]


def _unchanged(rng: random.Random, files: dict[str, bytes]) -> tuple[bytes, Verdict]:
    return rng.choice(list(files.values())), Verdict.LEGAL


def _cut(rng: random.Random, files: dict[str, bytes]) -> tuple[bytes, Verdict]:
    """Cut a file at a sixteenth; what is left holds less than the picture."""
    name = rng.choice(list(files))
    data = files[name]
    part = data[: len(data) * rng.randrange(16) // 16]
    # Some of the files keep their directory or other things of no importance at the end.
    return part, Verdict.EITHER if 'tiff' in name else Verdict.REFUSED


def _flipped(rng: random.Random, files: dict[str, bytes]) -> tuple[bytes, Verdict]:
    data = bytearray(rng.choice(list(files.values())))
    for _ in range(rng.choice((1, 2, 8, 64))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data), Verdict.EITHER


def _overwritten(rng: random.Random, files: dict[str, bytes]) -> tuple[bytes, Verdict]:
    data = bytearray(rng.choice(list(files.values())))
    start = rng.randrange(len(data))
    data[start : start + 4] = rng.choice((b'\xff' * 4, bytes(4), b'\x7f\xff\xff\xff'))
    return bytes(data), Verdict.EITHER


def _extended(rng: random.Random, files: dict[str, bytes]) -> tuple[bytes, Verdict]:
    """Append bytes, such as a second picture, as cameras with several pictures in a file do."""
    data = rng.choice(list(files.values()))
    rest = rng.choice((bytes(4096), data, rng.randbytes(100)))
    return data + rest, Verdict.EITHER


def _garbage(rng: random.Random, files: dict[str, bytes]) -> tuple[bytes, Verdict]:
    """Return bytes that are no picture, also behind the start of one."""
    if rng.random() < 0.3:  # noqa: PLR2004 - some
        return rng.choice(_OTHER_FILES), Verdict.REFUSED
    start = rng.choice((b'', *(data[: rng.choice((3, 8, 12))] for data in files.values())))
    return start + rng.randbytes(rng.choice((1, 10, 1000, 100_000))), Verdict.REFUSED


def _jpeg_size(rng: random.Random, files: dict[str, bytes]) -> tuple[bytes, Verdict]:
    """State another size than the coded data has."""
    data = files['jpeg']
    at = data.index(b'\xff\xc0') + 5
    size = (65535, 65535) if rng.random() < 0.5 else (rng.choice(_SIDES), rng.choice(_SIDES))  # noqa: PLR2004
    changed = data[:at] + struct.pack('>HH', *size) + data[at + 4 :]
    # A coefficient takes a bit at least, and a block of 8x8 pixels one coefficient.
    impossible = 0 in size or size[0] * size[1] > 8 * 64 * len(data)
    return changed, Verdict.REFUSED if impossible else Verdict.EITHER


def _png_size(rng: random.Random, _: dict[str, bytes]) -> tuple[bytes, Verdict]:
    side = rng.choice((0, 30_000, 65535, 2**31 - 1, 2**32 - 1))
    return png_file(side, side, zlib.compress(bytes(1000))), Verdict.REFUSED


def _png_bomb(_: random.Random, __: dict[str, bytes]) -> tuple[bytes, Verdict]:
    """Return a small picture whose pixel data inflate to a quarter of a gibibyte."""
    return png_file(16, 16, inflating(_BOMB_BYTES)), Verdict.REFUSED


def _png_whole_bomb(_: random.Random, __: dict[str, bytes]) -> tuple[bytes, Verdict]:
    """Return a valid picture of 30000 x 30000 pixels in few bytes."""
    return whole_png(30_000), Verdict.REFUSED


def _png_text_bomb(rng: random.Random, files: dict[str, bytes]) -> tuple[bytes, Verdict]:
    """Put text, or a color profile, that inflates to much memory into a valid picture."""
    kind = rng.choice((b'zTXt', b'iTXt', b'iCCP'))
    before = {b'zTXt': b'k\0\0', b'iTXt': b'k\0\1\0\0\0', b'iCCP': b'k\0\0'}[kind]
    content = before + inflating(_BOMB_BYTES // 8)
    data = files['png']
    return data[:33] + png_chunk(kind, content) * rng.choice((1, 8)) + data[33:], Verdict.EITHER


def _jpeg_scans(rng: random.Random, _: dict[str, bytes]) -> tuple[bytes, Verdict]:
    """Return a progressive JPEG of very many scans that change nothing."""
    return scanned_jpeg(5792, rng.choice((100, 1000, 10_000))), Verdict.REFUSED


def _webp_size(rng: random.Random, files: dict[str, bytes]) -> tuple[bytes, Verdict]:
    data = bytearray(files['webp_lossless'])
    at = bytes(data).index(b'VP8L') + 9
    data[at : at + 4] = struct.pack('<I', rng.choice((2**28 - 1, 2**27 + 2**13)))
    return bytes(data), Verdict.REFUSED


def _tiff_field(rng: random.Random, files: dict[str, bytes]) -> tuple[bytes, Verdict]:
    """State a huge width, height, number of bits or of samples, or a compression unknown."""
    data = bytearray(files['tiff'])
    (directory,) = struct.unpack_from('<I', data, 4)
    (count,) = struct.unpack_from('<H', data, directory)
    at = directory + 2 + 12 * rng.randrange(count) + 8
    data[at : at + 4] = struct.pack('<I', rng.choice((0, 65535, 2**31, 2**32 - 1)))
    return bytes(data), Verdict.EITHER


MUTATORS: tuple[_Change, ...] = (
    *(_unchanged, _cut, _flipped, _overwritten, _extended, _garbage, _jpeg_size, _png_size),
    *(_png_bomb, _png_whole_bomb, _png_text_bomb, _jpeg_scans, _webp_size, _tiff_field),
)


def mutated_files(
    count: int, size_hw: tuple[int, int], seed: int = 0
) -> Iterator[Mutated[tuple[bytes, str]]]:
    """Yield ``count`` pairs of a file and its ``format``: all mutators in turn."""
    rng, files = seeded(seed), good_files(size_hw)
    for number in range(count):
        change = MUTATORS[number % len(MUTATORS)]
        data, verdict = change(rng, files)
        name = f'{number}-{change.__name__.lstrip("_")}'
        yield Mutated(name, (data, rng.choice(_FORMATS)), verdict)
