"""Conversion of depth in sensor_msgs/msg/CompressedImage: compressedDepth of image_transport."""

from __future__ import annotations

import struct
from typing import cast

import cv2
import numpy as np

from robot_perception.conversions import ros
from robot_perception.conversions.encodings import DEPTH, find_layout
from robot_perception.conversions.header import read_header
from robot_perception.conversions.image_file import decode_data
from robot_perception.conversions.messages import MessageFactory
from robot_perception.conversions.rvl import decode_rvl
from robot_perception.conversions.validation import as_bytes, shorten
from robot_perception.core import AnyArray, ConversionError, Float32Array, MetricDepth, UInt16Array
from robot_perception.image_files import PNG_SIGNATURE

# Format, which is always 0, and the quantization A and B of inverse depth.
_HEADER = struct.Struct('<iff')
_TRANSPORT = 'compresseddepth'
# Values of a known pixel are 1 to this.
_MAX_RAW = 65535
# Largest relative error, where the range of depths leaves that many values.
_MAX_ERROR = 1e-4


def decode_depth(message: ros.CompressedImage, *, max_pixels: int) -> AnyArray:
    """Decode a depth image.

    Accepts compressedDepth, as PNG or RVL, and depth in a 16-bit PNG or TIFF as the transport
    ``compressed`` writes it.

    Args:
        message: any object with the fields of sensor_msgs/msg/CompressedImage.
        max_pixels: maximum of width times height.

    Returns:
        (H, W) uint16 millimeters, 0 = unknown, or float32 meters, NaN = unknown.

    Raises:
        ConversionError: reasons ``'stamp'``, ``'frame_id'``, ``'data'`` (damaged or truncated),
            ``'encoding'``, ``'size'``, ``'too_large'``.
    """
    read_header(message.header)
    encoding, _, transport = str(message.format).partition(';')
    layout = find_layout(DEPTH, encoding.strip())
    if layout is None:
        raise _unknown(message.format)
    data = as_bytes(message.data)
    name, _, codec = transport.strip().lower().partition(' ')
    # Old encoders name the encoding only.
    if name != _TRANSPORT and (name or data[:8] == PNG_SIGNATURE):
        return _checked(_decode_file(data, message.format, max_pixels), layout.dtype)
    if len(data) <= _HEADER.size:
        raise ConversionError(
            'data', f'data: expected a header and depth, got {len(data)} bytes. Fix the publisher.'
        )
    if codec.strip() not in {'', 'png', 'rvl'}:
        raise _unknown(message.format)
    body = data[_HEADER.size :]
    if codec.strip() == 'rvl':
        raw = decode_rvl(body, max_pixels)
    else:
        raw = _checked(_decode_file(body, message.format, max_pixels), 'u2')
    if layout.dtype == 'u2':
        # Encoders leave the quantization undefined.
        return raw
    _, scale, offset = _HEADER.unpack_from(data)
    return _from_inverse_depth(raw, scale, offset)


def compressed_depth_message(
    factory: MessageFactory, header: ros.Header, depth: MetricDepth
) -> ros.CompressedImage:
    """Build a 32FC1 compressedDepth sensor_msgs/msg/CompressedImage: inverse depth as 16-bit PNG.

    The quantization spans the depths of the image, so that none is left out. A depth is changed by
    at most 0.01 %, and by at most 1 / 131068 of (farthest / nearest) where that is more: 0.01 %
    up to a ratio of 13, 0.08 % for 100.
    """
    meters = depth.meters.astype(np.float64)
    known = np.isfinite(meters)
    near, far = (meters[known].min(), meters[known].max()) if known.any() else (1.0, 1.0)
    scale = far / (2 * _MAX_ERROR)
    if near < far:
        scale = min(scale, (_MAX_RAW - 1) / (1 / near - 1 / far))
    # As the header holds them.
    scale, offset = map(float, np.array([scale, 1 - scale / far], np.float32))
    raw = np.zeros(meters.shape, np.uint16)
    raw[known] = np.clip(np.rint(scale / meters[known] + offset), 1, _MAX_RAW)
    _, png = cv2.imencode('.png', raw)
    data = np.concatenate([np.frombuffer(_HEADER.pack(0, scale, offset), np.uint8), png.ravel()])
    return factory(
        ros.CompressedImage,
        header=header,
        format='32FC1; compressedDepth png',
        data=factory.sequence(data),
    )


def _decode_file(data: memoryview, name: object, max_pixels: int) -> AnyArray:
    return decode_data(data, name, max_pixels, remark=lambda _reason, _text: None)


def _checked(pixels: AnyArray, dtype: str) -> AnyArray:
    if pixels.ndim != 2 or pixels.dtype != np.dtype(dtype):  # noqa: PLR2004 - rows and columns
        raise ConversionError(
            'encoding',
            f'data: expected one channel of {np.dtype(dtype)}, got {pixels.shape} '
            f'{pixels.dtype}. Publish depth as compressedDepth, or as png or tiff.',
        )
    return pixels


def _from_inverse_depth(raw: UInt16Array, scale: float, offset: float) -> Float32Array:
    """Return meters: scale / (raw - offset), NaN where raw is 0."""
    if not (np.isfinite(scale) and np.isfinite(offset) and scale > 0):
        raise ConversionError(
            'data',
            f'data: expected a positive quantization of depth, got {scale:g} and {offset:g}. '
            'Fix the publisher.',
        )
    with np.errstate(divide='ignore', over='ignore'):
        meters = np.float32(scale) / (raw.astype(np.float32) - np.float32(offset))
    meters[raw == 0] = np.nan
    return cast('Float32Array', meters)


def _unknown(name: object) -> ConversionError:
    return ConversionError(
        'encoding',
        'format: expected depth such as "16UC1; compressedDepth png", '
        f'got {shorten(name)}. Remap depth to a topic of depth.',
    )
