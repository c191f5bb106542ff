"""Table of pixel encodings: their memory layout and conversion to RGB.

Names are those of sensor_msgs/image_encodings and a few that drivers use beside them, in upper or
lower case. Conventions follow cv_bridge and OpenCV: images of three and four channels without
names for them, such as 8UC3, are BGR and BGRA; of two channels the first is gray. YUV is BT.601 in
limited range.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import cast, TypeVar

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
        chroma: planes that follow the luma plane, each with the bytes of a row in halves of the
            width, and the number of rows in halves of the height.
    """

    dtype: str = 'u1'
    channels: int = 1
    even_width: bool = False
    even_height: bool = False
    min_side: int = 1
    chroma: tuple[tuple[int, int], ...] = ()

    @property
    def pixel_bytes(self) -> int:
        """Bytes per pixel in a row."""
        return np.dtype(self.dtype).itemsize * self.channels

    def rows(self, height: int) -> int:
        """Return the number of rows of data of an image of ``height`` rows."""
        return height + sum(width * rows for width, rows in self.chroma) * height // 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ColorLayout(Layout):
    """Memory layout of an encoding of color or gray images.

    Attributes:
        to_rgb: converts pixels, (rows, width[, channels]) uint8, to (H, W, 3) uint8; may return
            its argument.
    """

    to_rgb: Callable[[UInt8Array], UInt8Array]


_Any = TypeVar('_Any', bound=Layout)


def find_layout(encodings: Mapping[str, _Any], name: object) -> _Any | None:
    """Return the layout of an encoding in upper or lower case, None if it is not in the table."""
    if not isinstance(name, str):
        return None
    lower = name.lower()
    # The names that OpenCV has for its types are in upper case.
    return encodings.get(lower) or encodings.get(lower.upper())


def _same(pixels: UInt8Array) -> UInt8Array:
    return pixels


def _convert(code: int, pixels: AnyArray) -> UInt8Array:
    return cast('UInt8Array', cv2.cvtColor(pixels, code))


def _cv2(code: int) -> Callable[[UInt8Array], UInt8Array]:
    return partial(_convert, code)


def _first_is_gray(pixels: UInt8Array) -> UInt8Array:
    return _convert(cv2.COLOR_GRAY2RGB, np.ascontiguousarray(pixels[..., 0]))


# Rows are red, green and blue; columns Y, U, V and 1.
_BT601 = np.array(
    [
        [255 / 219, 0, 1.402 * 255 / 224, 0],
        [255 / 219, -0.344136 * 255 / 224, -0.714136 * 255 / 224, 0],
        [255 / 219, 1.772 * 255 / 224, 0, 0],
    ]
)
_BT601[:, 3] = -_BT601[:, :3] @ (16, 128, 128)


def _from_full_chroma(order: slice, pixels: UInt8Array) -> UInt8Array:
    """Convert NV24 or NV42: rows of Y, then twice as many with U and V of each pixel."""
    height, width = len(pixels) // 3, pixels.shape[1]
    chroma = pixels[height:].reshape(height, width, 2)[..., order]
    yuv = np.dstack((pixels[:height], chroma))
    return cast('UInt8Array', cv2.transform(yuv, _BT601))


def _from_half_chroma(code: int, pixels: UInt8Array) -> UInt8Array:
    """Convert NV16 or NV61: rows of Y, then as many with U and V of each pair of pixels."""
    height = len(pixels) // 2
    return _convert(code, np.dstack((pixels[:height], pixels[height:])))


_GRAY = ColorLayout(to_rgb=_cv2(cv2.COLOR_GRAY2RGB))
_GRAY_AND_OTHER = ColorLayout(to_rgb=_first_is_gray, channels=2)
_RGB = ColorLayout(to_rgb=_same, channels=3)
_BGR = ColorLayout(to_rgb=_cv2(cv2.COLOR_BGR2RGB), channels=3)
_RGBA = ColorLayout(to_rgb=_cv2(cv2.COLOR_RGBA2RGB), channels=4)
_BGRA = ColorLayout(to_rgb=_cv2(cv2.COLOR_BGRA2RGB), channels=4)
_UYVY = ColorLayout(to_rgb=_cv2(cv2.COLOR_YUV2RGB_UYVY), channels=2, even_width=True)
_YUYV = replace(_UYVY, to_rgb=_cv2(cv2.COLOR_YUV2RGB_YUY2))
_YVYU = replace(_UYVY, to_rgb=_cv2(cv2.COLOR_YUV2RGB_YVYU))
# One chroma plane of both, or one each, of half the height.
_NV12 = ColorLayout(
    to_rgb=_cv2(cv2.COLOR_YUV2RGB_NV12), even_width=True, even_height=True, chroma=((2, 1),)
)
_I420 = replace(_NV12, to_rgb=_cv2(cv2.COLOR_YUV2RGB_I420), chroma=((1, 1), (1, 1)))


def _bayer(code: int) -> ColorLayout:
    # OpenCV leaves smaller images black.
    return ColorLayout(to_rgb=_cv2(code), min_side=3)


_NAMED = {
    'rgb': _RGB,
    'bgr': _BGR,
    'rgba': _RGBA,
    'bgra': _BGRA,
    'mono': _GRAY,
    # ROS names the pattern from the top left pixel, OpenCV from the second row and column.
    'bayer_rggb': _bayer(cv2.COLOR_BayerBG2RGB),
    'bayer_bggr': _bayer(cv2.COLOR_BayerRG2RGB),
    'bayer_gbrg': _bayer(cv2.COLOR_BayerGR2RGB),
    'bayer_grbg': _bayer(cv2.COLOR_BayerGB2RGB),
}
_TYPES = {'8U': 'u1', '8S': 'i1', '16U': 'u2', '16S': 'i2', '32S': 'i4', '32F': 'f4', '64F': 'f8'}
_BY_CHANNELS = {1: _GRAY, 2: _GRAY_AND_OTHER, 3: _BGR, 4: _BGRA}

DEPTH = {
    '16UC1': Layout(dtype='u2'),
    'mono16': Layout(dtype='u2'),
    '32FC1': Layout(dtype='f4'),
}

COLOR = {
    **{f'{name}8': layout for name, layout in _NAMED.items()},
    **{f'{name}16': replace(layout, dtype='u2') for name, layout in _NAMED.items()},
    **{
        encoding: replace(layout, dtype=dtype)
        for name, dtype in _TYPES.items()
        for channels, layout in _BY_CHANNELS.items()
        if (encoding := f'{name}C{channels}') not in DEPTH
    },
    'uyvy': _UYVY,
    'yuv422': _UYVY,
    'yuyv': _YUYV,
    'yuy2': _YUYV,
    'yuv422_yuy2': _YUYV,
    'yvyu': _YVYU,
    'nv12': _NV12,
    'nv21': replace(_NV12, to_rgb=_cv2(cv2.COLOR_YUV2RGB_NV21)),
    **dict.fromkeys(('i420', 'yuv420', 'yuv420p', 'iyuv'), _I420),
    'yv12': replace(_I420, to_rgb=_cv2(cv2.COLOR_YUV2RGB_YV12)),
    'nv16': ColorLayout(
        to_rgb=partial(_from_half_chroma, cv2.COLOR_YUV2RGB_YUY2),
        even_width=True,
        chroma=((2, 2),),
    ),
    'nv61': ColorLayout(
        to_rgb=partial(_from_half_chroma, cv2.COLOR_YUV2RGB_YVYU),
        even_width=True,
        chroma=((2, 2),),
    ),
    'nv24': ColorLayout(to_rgb=partial(_from_full_chroma, slice(None)), chroma=((4, 2),)),
    'nv42': ColorLayout(
        to_rgb=partial(_from_full_chroma, slice(None, None, -1)), chroma=((4, 2),)
    ),
}

LABELS = {'mono16': Layout(dtype='u2')}


def bayer_layout(encoding: str) -> ColorLayout | None:
    """Return the layout of the 8-bit form of a Bayer encoding, None for any other encoding."""
    name = encoding.lower()
    return COLOR.get(f'{name.rstrip("0123456789")}8') if name.startswith('bayer_') else None
