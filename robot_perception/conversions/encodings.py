"""Table of pixel encodings: their memory layout and conversion to RGB.

Names are those of sensor_msgs/image_encodings. Conventions follow cv_bridge: 8UC1 is gray and 8UC3
is BGR; YUV is BT.601 in limited range.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import cast

import cv2
import numpy as np

from robot_perception.core import AnyArray, UInt8Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Memory layout of an encoding.

    Attributes:
        dtype: numpy's kind and size of one channel, without byte order.
        channels: channels per pixel.
        even_width: two neighbors in a row share their chroma.
        even_height: two neighbors in a column share their chroma.
        min_side: minimum of width and height.
        semi_planar: a chroma plane of half height follows the luma plane.

    """

    dtype: str = 'u1'
    channels: int = 1
    even_width: bool = False
    even_height: bool = False
    min_side: int = 1
    semi_planar: bool = False

    @property
    def pixel_bytes(self) -> int:
        """Bytes per pixel in a row."""
        return np.dtype(self.dtype).itemsize * self.channels

    def rows(self, height: int) -> int:
        """Return the number of rows of data of an image of ``height`` rows."""
        return height + height // 2 if self.semi_planar else height


@dataclass(frozen=True, slots=True, kw_only=True)
class ColorLayout(Layout):
    """Memory layout of an encoding of color or gray images.

    Attributes:
        to_rgb: converts pixels, (rows, width[, channels]) in `dtype`, to (H, W, 3) uint8; may
            return its argument.

    """

    to_rgb: Callable[[AnyArray], UInt8Array]


def _same(pixels: AnyArray) -> UInt8Array:
    return pixels


def _convert(code: int, pixels: AnyArray) -> UInt8Array:
    return cast('UInt8Array', cv2.cvtColor(pixels, code))


def _from_mono16(pixels: AnyArray) -> UInt8Array:
    return _convert(cv2.COLOR_GRAY2RGB, (pixels >> 8).astype(np.uint8))


def _cv2(code: int) -> Callable[[AnyArray], UInt8Array]:
    return partial(_convert, code)


_RGB = ColorLayout(to_rgb=_same, channels=3)
_BGR = ColorLayout(to_rgb=_cv2(cv2.COLOR_BGR2RGB), channels=3)
_MONO = ColorLayout(to_rgb=_cv2(cv2.COLOR_GRAY2RGB))
_UYVY = ColorLayout(to_rgb=_cv2(cv2.COLOR_YUV2RGB_UYVY), channels=2, even_width=True)
_YUYV = ColorLayout(to_rgb=_cv2(cv2.COLOR_YUV2RGB_YUY2), channels=2, even_width=True)


def _semi_planar(code: int) -> ColorLayout:
    """Return the layout of NV12 or NV21: ``height`` rows of Y, then ``height / 2`` of U and V."""
    return ColorLayout(to_rgb=_cv2(code), even_width=True, even_height=True, semi_planar=True)


def _bayer(code: int) -> ColorLayout:
    # OpenCV leaves smaller images black.
    return ColorLayout(to_rgb=_cv2(code), min_side=3)


COLOR = {
    'rgb8': _RGB,
    'bgr8': _BGR,
    'rgba8': ColorLayout(to_rgb=_cv2(cv2.COLOR_RGBA2RGB), channels=4),
    'bgra8': ColorLayout(to_rgb=_cv2(cv2.COLOR_BGRA2RGB), channels=4),
    'mono8': _MONO,
    'mono16': ColorLayout(to_rgb=_from_mono16, dtype='u2'),
    '8UC1': _MONO,
    '8UC3': _BGR,
    'uyvy': _UYVY,
    'yuv422': _UYVY,
    'yuyv': _YUYV,
    'yuv422_yuy2': _YUYV,
    'nv12': _semi_planar(cv2.COLOR_YUV2RGB_NV12),
    'nv21': _semi_planar(cv2.COLOR_YUV2RGB_NV21),
    # ROS names the pattern from the top left pixel, OpenCV from the second row and column.
    'bayer_rggb8': _bayer(cv2.COLOR_BayerBG2RGB),
    'bayer_bggr8': _bayer(cv2.COLOR_BayerRG2RGB),
    'bayer_gbrg8': _bayer(cv2.COLOR_BayerGR2RGB),
    'bayer_grbg8': _bayer(cv2.COLOR_BayerGB2RGB),
}

DEPTH = {
    '16UC1': Layout(dtype='u2'),
    'mono16': Layout(dtype='u2'),
    '32FC1': Layout(dtype='f4'),
}

LABELS = {'mono16': Layout(dtype='u2')}
