"""Conversion between sensor_msgs/msg/CompressedImage and images."""

from __future__ import annotations

import cv2
import numpy as np

from robot_perception.conversions import ros
from robot_perception.conversions.bit_depth import FindBits, full_range, to_8_bits
from robot_perception.conversions.encodings import bayer_layout, COLOR, DEPTH, find_layout
from robot_perception.conversions.header import read_header
from robot_perception.conversions.image import depth_error
from robot_perception.conversions.image_file import decode_data
from robot_perception.conversions.messages import MessageFactory
from robot_perception.conversions.validation import as_bytes, check_sides, MAX_PIXELS
from robot_perception.core import checked, ConversionError, Image, UInt8Array
from robot_perception.image_files import Remark

_JPEG_QUALITY = 92
_MAX_JPEG_SIDE = 65_500


def compressed_to_image(
    message: ros.CompressedImage,
    *,
    max_pixels: int = MAX_PIXELS,
    find_bits: FindBits = full_range,
    remark: Remark = lambda _reason, _text: None,
) -> Image:
    """Decode a JPEG, PNG, TIFF or WebP image.

    The kind of file is detected from the data. The field ``format`` names the encoding before
    compression, as image_transport writes it: a Bayer mosaic is demosaiced, depth is refused. EXIF
    rotation is ignored: the calibration belongs to the pixels as stored. Gray is converted to RGB
    and other types to 8 bits; an alpha channel is dropped.

    Args:
        message: any object with the fields of sensor_msgs/msg/CompressedImage.
        max_pixels: maximum of width times height.
        find_bits: returns the number of significant bits of unsigned 16-bit pixels, such as
            `SensorBits.update`.
        remark: called for what is wrong with an image that can be used nevertheless, with a slug
            and a sentence.

    Raises:
        ConversionError: reasons ``'stamp'``, ``'frame_id'``, ``'data'`` (damaged or truncated),
            ``'encoding'`` (another format, or depth), ``'size'``, ``'too_large'`` (pixels, scans,
            text or compressed data).
    """
    stamp_ns, frame_id = read_header(message.header)
    encoding, target = _split_format(message.format)
    if 'compresseddepth' in target or _is_only_depth(encoding):
        raise depth_error('format', message.format)
    pixels = decode_data(as_bytes(message.data), message.format, max_pixels, remark)
    rgb = _to_rgb(to_8_bits(pixels, find_bits), encoding, target)
    return Image(rgb, stamp_ns, frame_id)


def jpeg_message(
    factory: MessageFactory, header: ros.Header, rgb: UInt8Array
) -> ros.CompressedImage:
    """Build a JPEG sensor_msgs/msg/CompressedImage, named as image_transport names it.

    Args:
        factory: makes the message.
        header: header of the message.
        rgb: (H, W, 3) uint8.

    Raises:
        ConversionError: reason ``'size'``: a side is over 65500 pixels, which JPEG does not have.
        ShapeError: shape or dtype are others.
    """
    pixels = checked('rgb', rgb, (None, None, 3), np.uint8, 'JPEG has three channels of 8 bits.')
    if max(pixels.shape[:2]) > _MAX_JPEG_SIDE:
        raise ConversionError(
            'size',
            f'rgb: expected sides of at most {_MAX_JPEG_SIDE} pixels, got {pixels.shape[:2]}. '
            'Shrink it.',
        )
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode('.jpg', bgr, (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY))
    return factory(
        ros.CompressedImage,
        header=header,
        format='rgb8; jpeg compressed bgr8',
        data=factory.sequence(data.reshape(-1)),
    )


def _split_format(name: object) -> tuple[str, str]:
    """Return the encoding before compression, and what it was compressed as, in lower case.

    image_transport writes ``rgb8; jpeg compressed bgr8``, other publishers ``jpeg``.
    """
    encoding, _, target = name.partition(';') if isinstance(name, str) else ('', '', '')
    return encoding.strip().lower(), target.strip().lower()


def _is_only_depth(encoding: str) -> bool:
    return find_layout(DEPTH, encoding) is not None and find_layout(COLOR, encoding) is None


def _to_rgb(pixels: UInt8Array, encoding: str, target: str) -> UInt8Array:
    """Convert a decoded file, gray or BGR, to RGB."""
    bayer = bayer_layout(encoding)
    stored_as = target.partition('compressed')[2].strip()
    if bayer is not None and stored_as.startswith('bayer_') and pixels.ndim > 2:  # noqa: PLR2004
        # Some encoders have no gray: the three channels are equal.
        pixels = pixels[..., 1].copy()
    if pixels.ndim > 2:  # noqa: PLR2004 - rows, columns and channels
        return COLOR['bgr8'].to_rgb(pixels)
    if bayer is None or not (stored_as == '' or stored_as.startswith('bayer_')):
        return COLOR['mono8'].to_rgb(pixels)
    check_sides(encoding, bayer, *pixels.shape)
    return bayer.to_rgb(pixels)
