"""EXIF data of image files: how the camera was held, and its focal length."""

from __future__ import annotations

from collections.abc import Iterator
import math
import struct
from typing import NamedTuple
import zlib

import numpy as np

from robot_perception.core import AnyArray

_START = b'Exif\0\0'
_JPEG, _PNG, _TIFF = b'\xff\xd8', b'\x89PNG', (b'II*\0', b'MM\0*')
# Of a JPEG, in whose first segments it lies.
_SEARCHED_BYTES = 2**17
_ORIENTATION, _EXIF_DIRECTORY, _FOCAL_LENGTH_35MM = 0x0112, 0x8769, 0xA405
_VALUES = {3: 'H', 4: 'I'}
_MAX_ENTRIES = 512
# ImageMagick writes the data as hexadecimal text.
_RAW_PROFILES = (b'Raw profile type exif', b'Raw profile type APP1')
_MAX_PROFILE_BYTES = 2**21
# Diagonal of the film that focal lengths are converted to.
_FILM_MM = math.hypot(36, 24)


class Exif(NamedTuple):
    """What the EXIF data of an image state.

    Attributes:
        orientation: 1 to 8, as EXIF numbers how rows and columns lie; 1 = as they are.
        focal_length_35mm: focal length in millimeters on film of 36x24 mm; 0 when unknown.
    """

    orientation: int = 1
    focal_length_35mm: int = 0

    def hfov_deg(self, size_hw: tuple[int, int]) -> float | None:
        """Return the horizontal field of view of an image, degrees; None when unknown."""
        if self.focal_length_35mm == 0:
            return None
        height, width = size_hw
        focal_px = self.focal_length_35mm / _FILM_MM * math.hypot(height, width)
        return math.degrees(2 * math.atan(width / 2 / focal_px))


def read_exif(data: bytes) -> Exif:
    """Read the EXIF data of a JPEG, PNG, WebP or TIFF; absent or damaged ones state nothing."""
    try:
        tiff = _find(data)
        tags = dict(_directory(tiff, 4))
        if _EXIF_DIRECTORY in tags:
            tags |= dict(_directory(tiff, tags[_EXIF_DIRECTORY], is_offset=True))
    except (struct.error, ValueError, zlib.error):
        return Exif()
    orientation = tags.get(_ORIENTATION, 1)
    return Exif(
        orientation if 1 <= orientation <= 8 else 1,  # noqa: PLR2004 - as EXIF defines
        tags.get(_FOCAL_LENGTH_35MM, 0),
    )


def turned(pixels: AnyArray, orientation: int) -> AnyArray:
    """Return an image upright: (H, W, ...), or (W, H, ...) for orientations 5 to 8."""
    if orientation in {5, 6, 7, 8}:
        pixels = np.swapaxes(pixels, 0, 1)
    if orientation in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    if orientation in {2, 3, 6, 7}:
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _find(data: bytes) -> bytes:
    """Return the TIFF file that the EXIF data are."""
    if data.startswith(_JPEG):
        at = data.find(_START, 0, _SEARCHED_BYTES)
        return data[at + len(_START) :] if at >= 0 else b''
    if data.startswith(_TIFF):
        return data
    found = next(_in_png(data) if data.startswith(_PNG) else _in_webp(data), b'')
    return found.removeprefix(_START)


def _in_png(data: bytes) -> Iterator[bytes]:
    position = 8
    while position + 8 <= len(data):
        size = int.from_bytes(data[position : position + 4], 'big')
        name, body = data[position + 4 : position + 8], data[position + 8 : position + 8 + size]
        if name == b'eXIf':
            yield body
        elif name in {b'zTXt', b'tEXt'} and body.startswith(_RAW_PROFILES):
            _, _, text = body.partition(b'\0')
            if name == b'zTXt':
                text = zlib.decompressobj().decompress(text[1:], _MAX_PROFILE_BYTES)
            # Name and size stand on lines of their own.
            yield bytes.fromhex(b''.join(text.split(b'\n')[3:]).decode())
        position += size + 12


def _in_webp(data: bytes) -> Iterator[bytes]:
    position = 12
    while position + 8 <= len(data):
        size = int.from_bytes(data[position + 4 : position + 8], 'little')
        if data[position : position + 4] == b'EXIF':
            yield data[position + 8 : position + 8 + size]
        position += 8 + size + size % 2


def _directory(
    tiff: bytes, position: int, *, is_offset: bool = False
) -> Iterator[tuple[int, int]]:
    """Yield number and value of the integers of a directory."""
    order = '<' if tiff[:2] == b'II' else '>'
    begin = position if is_offset else struct.unpack_from(f'{order}I', tiff, position)[0]
    (count,) = struct.unpack_from(f'{order}H', tiff, begin)
    for index in range(min(count, _MAX_ENTRIES)):
        at = begin + 2 + 12 * index
        tag, kind, values = struct.unpack_from(f'{order}HHI', tiff, at)
        if kind in _VALUES and values == 1:
            yield tag, struct.unpack_from(f'{order}{_VALUES[kind]}', tiff, at + 8)[0]
