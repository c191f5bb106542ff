"""Conversion of rare encodings by `cv_bridge`, if it is installed and can be imported.

It is built against one version of NumPy; with another, its import fails in various ways. These
must end in an error message, never in a crash.
"""

from __future__ import annotations

from array import array
from copy import copy
from functools import cache
import re
from typing import Any, cast

import numpy as np

from robot_perception.conversions import ros
from robot_perception.conversions.validation import check_rows, shorten
from robot_perception.core import ConversionError, UInt8Array

# cv_bridge parses names such as 8UC999; no name is longer.
_NAME = re.compile(r'[A-Za-z0-9_]{1,32}')


def convert_rare(message: ros.Image, size_hw: tuple[int, int]) -> UInt8Array:
    """Convert an image in an encoding that is not in the table of this package.

    Args:
        message: sensor_msgs/msg/Image.
        size_hw: its rows and columns, already validated.

    Returns:
        (H, W, 3) uint8.

    Raises:
        ConversionError: reason ``'encoding'`` if cv_bridge is missing, broken or does not
            support it; ``'step'`` and ``'data'`` as for every image.
    """
    name = message.encoding
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise _unsupported(name, 'no encoding has such a name')
    bridge, missing = _bridge()
    if bridge is None:
        raise _unsupported(name, missing)
    try:
        dtype, channels = bridge.encoding_to_dtype_with_channels(name)
        row_bytes = size_hw[1] * np.dtype(dtype).itemsize * int(channels)
    except Exception as error:  # TypeError, ValueError, KeyError and its own
        raise _unsupported(name, f'cv_bridge: {error}') from error
    compact = _without_padding(message, size_hw[0], row_bytes)
    try:
        rgb = np.asarray(bridge.imgmsg_to_cv2(compact, 'rgb8'))
    except Exception as error:  # TypeError, ValueError, cv2.error and its own
        raise _unsupported(name, f'cv_bridge: {error}') from error
    if rgb.shape != (*size_hw, 3) or rgb.dtype != np.uint8:
        raise _unsupported(name, f'cv_bridge returned {rgb.shape} {rgb.dtype}')
    return rgb


def _without_padding(message: ros.Image, rows: int, row_bytes: int) -> ros.Image:
    """Copy a message whose rows are padded; cv_bridge takes padding for pixels."""
    data, step = check_rows(message, rows, row_bytes)
    if step == row_bytes:
        return message
    compact = copy(message)
    compact.step = row_bytes
    pixels = np.frombuffer(data, np.uint8).reshape(rows, step)[:, :row_bytes]
    # What rclpy takes for a field of type uint8[].
    compact.data = cast('ros.Numbers', array('B', pixels.tobytes()))
    return compact


@cache
def _bridge() -> tuple[Any, str]:
    """Return cv_bridge's converter, or None and the reason."""
    try:
        from cv_bridge import CvBridge  # noqa: PLC0415 - most machines have none

        return CvBridge(), ''
    except Exception as error:  # noqa: BLE001 - ImportError, AttributeError, SystemError ...
        return None, f'cv_bridge cannot be used here: {error}'


def _unsupported(name: object, why: str) -> ConversionError:
    return ConversionError(
        'encoding',
        f'encoding: expected one of sensor_msgs/image_encodings, got {shorten(name)} ({why}). '
        'Set the camera driver to one of them, such as rgb8, mono8 or bayer_rggb8.',
    )
