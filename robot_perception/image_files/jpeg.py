"""Inspection of JPEG files: size, number of scans, and whether the end is there."""

from __future__ import annotations

from dataclasses import dataclass
import math
import re

from robot_perception.core import ImageFileError
from robot_perception.image_files.limits import damaged, PixelLimit

START = b'\xff\xd8\xff'
END = b'\xff\xd9'
# Second byte of JPEG markers of frames; three in this range are tables or reserved.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_FIRST_ARITHMETIC = 0xC8
_TEMPORARY, _END, _SCAN = 0x01, 0xD9, 0xDA
# As libjpeg skips whatever is not a marker. 0xFF before 0 is data; restarts belong to a scan.
_MARKER = re.compile(rb'\xff[\x01-\xcf\xd8-\xfe]')
# Cameras write about ten. Bounds the time spent on a hostile file.
_MAX_SEGMENTS = 1000
# Progressive encoders write about ten. Each passes over all pixels, even if it changes none.
_MAX_SCANS = 50
# Scans over an image of the largest size. Smaller ones may have more.
_MAX_SCANS_OF_LARGEST = 8


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """What the markers of a JPEG state.

    Attributes:
        size_hw: rows and columns.
        has_end: whether the end marker follows the last scan.
    """

    size_hw: tuple[int, int]
    has_end: bool


def inspect_jpeg(data: bytes, limit: PixelLimit) -> JpegHeader:
    """Read the markers of a JPEG.

    Raises:
        ImageFileError: ``'data'`` (damaged or truncated), ``'size'``, ``'too_large'``: too many
            pixels or scans.
    """
    frame: _JpegImage | None = None
    offset = 2
    for _ in range(_MAX_SEGMENTS):
        found = _MARKER.search(data, offset)
        if found is None or data[found.start() + 1] == _END:
            if frame is None or (found is None and not frame.is_complete):
                break
            return JpegHeader(frame.size_hw, has_end=found is not None)
        marker, offset = data[found.start() + 1], found.end()
        if marker == _TEMPORARY:
            continue
        body = data[offset : offset + int.from_bytes(data[offset : offset + 2], 'big')]
        offset += len(body)
        if offset == len(data):
            break
        if marker in _FRAMES:
            frame = _JpegImage(body)
            limit.check_size(*frame.size_hw)
            # A Huffman code has at least one bit for each block of 8x8 pixels.
            if marker < _FIRST_ARITHMETIC and 8 * 64 * len(data) < math.prod(frame.size_hw):
                break
        elif marker == _SCAN:
            if frame is None:
                break
            frame.add_scan(body, _MAX_SCANS_OF_LARGEST * limit.pixels)
    raise damaged('a jpeg without its header' if frame is None else 'a truncated jpeg')


class _JpegImage:
    """The size and the components of an image, and which of their coefficients are there."""

    def __init__(self, body: bytes) -> None:
        self.size_hw = int.from_bytes(body[3:5], 'big'), int.from_bytes(body[5:7], 'big')
        self._scans = 0
        # Component -> its coefficients, of which the last bit has not come, as bits.
        self._missing = dict.fromkeys(body[8::3], 2**64 - 1)

    @property
    def is_complete(self) -> bool:
        """Whether the last bit of each coefficient belongs to some scan."""
        return self._scans > 0 and not any(self._missing.values())

    def add_scan(self, body: bytes, max_scanned_pixels: int) -> None:
        self._scans += 1
        height, width = self.size_hw
        pixels = self._scans * height * width
        if self._scans > _MAX_SCANS or (self._scans > 1 and pixels > max_scanned_pixels):
            raise ImageFileError(
                'too_large',
                f'expected at most {_MAX_SCANS} scans over {max_scanned_pixels} pixels in total, '
                f'got a jpeg of {width}x{height} with {self._scans} scans or more. '
                'Use baseline jpeg.',
            )
        first, last, bits = body[-3:].rjust(3, b'\0')
        if bits & 0xF == 0:
            covered = 2 ** (last + 1) - 2**first
            for component in body[3:-3:2]:
                self._missing[component] = self._missing.get(component, 0) & ~covered
