"""Validation of image messages before memory is allocated for them.

Sizes are computed with Python integers, which do not overflow as 32-bit fields of messages do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import index

import numpy as np

from robot_perception.conversions import ros
from robot_perception.conversions.encodings import find_layout, Layout
from robot_perception.conversions.header import read_header
from robot_perception.core import AnyArray, ConversionError, ImageFileError
from robot_perception.image_files import PixelLimit

MAX_PIXELS = 2**25
_MAX_CHARACTERS = 40


@dataclass(frozen=True, slots=True, eq=False)
class CheckedImage:
    """The validated fields of an image message.

    Attributes:
        stamp_ns: stamp in nanoseconds.
        frame_id: coordinate frame.
        pixels: (rows, width[, channels]) in the encoding's dtype and the message's byte order;
            a read-only view of the message's data without the padding of rows.
    """

    stamp_ns: int
    frame_id: str
    pixels: AnyArray


def check_image(
    message: ros.Image, encodings: Mapping[str, Layout], *, max_pixels: int
) -> CheckedImage:
    """Validate an image message and return a view of its pixels.

    Rows may be padded (``step`` larger than the bytes of a row); ``data`` must have exactly
    ``step`` times rows bytes, as the message definition states. Any ``is_bigendian`` other than 0
    is true; it has no effect on 8-bit encodings.

    Args:
        message: sensor_msgs/msg/Image.
        encodings: layouts by name; others are rejected.
        max_pixels: maximum of width times height.

    Raises:
        ConversionError: reasons ``'stamp'``, ``'frame_id'``, ``'size'``, ``'too_large'``,
            ``'encoding'``, ``'step'``, ``'data'``.
    """
    stamp_ns, frame_id = read_header(message.header)
    height, width = check_size(message, max_pixels=max_pixels)
    name = message.encoding
    layout = find_layout(encodings, name)
    if layout is None:
        raise ConversionError(
            'encoding',
            f'encoding: expected one of {", ".join(encodings)}, got {shorten(name)}. '
            'Set the camera driver to one of them.',
        )
    check_sides(shorten(name), layout, height, width)
    data, step = check_rows(message, layout.rows(height), width * layout.pixel_bytes)
    if layout.chroma and step != width:
        data, step = _without_padding(data, layout, (height, width), step), width
    shape: tuple[int, ...] = (layout.rows(height), width)
    strides: tuple[int, ...] = (step, layout.pixel_bytes)
    dtype = np.dtype(layout.dtype).newbyteorder('>' if message.is_bigendian else '<')
    if layout.channels > 1:
        shape, strides = (*shape, layout.channels), (*strides, dtype.itemsize)
    pixels: AnyArray = np.ndarray(shape, dtype, data, strides=strides)
    pixels.flags.writeable = False
    return CheckedImage(stamp_ns, frame_id, pixels)


def check_size(message: ros.Image, *, max_pixels: int) -> tuple[int, int]:
    """Return rows and columns, at least one each and at most ``max_pixels`` in total."""
    height, width = _integer('height', message.height), _integer('width', message.width)
    check_pixels(height, width, max_pixels=max_pixels)
    return height, width


def check_pixels(height: int, width: int, *, max_pixels: int) -> None:
    """Raise ConversionError unless there are 1 to ``max_pixels`` pixels."""
    try:
        message_limit(max_pixels).check_size(height, width)
    except ImageFileError as error:
        raise ConversionError(error.reason, f'size: {error}') from None


def message_limit(max_pixels: int) -> PixelLimit:
    """Return the limit of the images in messages."""
    return PixelLimit(max_pixels, 'Lower the resolution of the camera or raise max_pixels.')


def check_sides(name: str, layout: Layout, height: int, width: int) -> None:
    """Raise ConversionError, reason ``'size'``, unless the size fits the encoding."""
    if min(height, width) < layout.min_side:
        raise ConversionError(
            'size',
            f'size: expected sides of at least {layout.min_side} for {name}, got '
            f'{width}x{height}. Enlarge the region of interest.',
        )
    if (layout.even_width and width % 2) or (layout.even_height and height % 2):
        sides = 'width and height' if layout.even_height else 'width'
        raise ConversionError(
            'size',
            f'size: expected an even {sides} for {name}, got {width}x{height}. '
            'Set an even size in the camera driver.',
        )


def check_rows(message: ros.Image, rows: int, row_bytes: int) -> tuple[memoryview, int]:
    """Return bytes and step of the message, which must agree."""
    step = _integer('step', message.step)
    if step < row_bytes:
        raise ConversionError(
            'step', f'step: expected at least {row_bytes} bytes, got {step}. Fix the publisher.'
        )
    data = as_bytes(message.data)
    if len(data) != step * rows:
        raise ConversionError(
            'data',
            f'data: expected {step * rows} bytes (step {step} x {rows} rows), got {len(data)}. '
            'Fix the publisher.',
        )
    return data, step


def as_bytes(data: object) -> memoryview:
    """Return a view of ``data``, such as bytes, array.array or a numpy array."""
    try:
        # The buffer protocol has no type before Python 3.12.
        return memoryview(data).cast('B').toreadonly()  # type: ignore[arg-type]
    except (TypeError, ValueError, BufferError) as error:
        raise ConversionError(
            'data', f'data: expected contiguous bytes, got {type(data).__name__} ({error}).'
        ) from error


def shorten(name: object) -> str:
    """Return a short representation of a field that should be a short name."""
    if not isinstance(name, str):
        return type(name).__name__
    cut = '...' if len(name) > _MAX_CHARACTERS else ''
    return ascii(name[:_MAX_CHARACTERS]) + cut


def _integer(field: str, value: object) -> int:
    try:
        # The call tests for SupportsIndex.
        return index(value)  # type: ignore[arg-type]
    except TypeError as error:
        reason = 'step' if field == 'step' else 'size'
        raise ConversionError(
            reason, f'{field}: expected a whole number, got {type(value).__name__}.'
        ) from error


def _without_padding(
    data: memoryview, layout: Layout, size_hw: tuple[int, int], step: int
) -> memoryview:
    """Copy an image of several planes without the padding of rows.

    Rows of a plane that are half or twice as wide as those of the first have half or twice its
    padding.
    """
    height, width = size_hw
    if step % 2 and any(row_halves % 2 for row_halves, _ in layout.chroma):
        raise ConversionError(
            'step', f'step: expected an even number of bytes, got {step}. Fix the publisher.'
        )
    planes = []
    offset = 0
    for row_halves, column_halves in ((2, 2), *layout.chroma):
        shape = (height * column_halves // 2, width * row_halves // 2)
        stride = step * row_halves // 2
        planes.append(np.ndarray(shape, np.uint8, data, offset, (stride, 1)).ravel())
        offset += stride * shape[0]
    return as_bytes(np.concatenate(planes))
