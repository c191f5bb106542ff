"""Conversion of rare encodings by `cv_bridge`, if it is installed and can be imported.

It is built against one version of NumPy; with another, its import fails in various ways. These
must end in an error message, never in a crash.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
import re
from typing import Any

import numpy as np

from robot_perception.conversions import ros
from robot_perception.conversions.validation import check_rows, shorten
from robot_perception.core import ConversionError, UInt8Array

# cv_bridge parses names such as 8UC999; no name is longer.
_NAME = re.compile(r'[A-Za-z0-9_]{1,32}')


def convert_rare(message: ros.Image, size_hw: tuple[int, int], supported: str) -> UInt8Array:
    """Convert an image in an encoding that is not in the table of this package.

    Args:
        message: sensor_msgs/msg/Image.
        size_hw: its rows and columns, already validated.
        supported: names of the encodings that do not need cv_bridge, for the message.

    Returns:
        (H, W, 3) uint8.

    Raises:
        ConversionError: reason ``'encoding'`` if cv_bridge is missing, broken or does not
            support it; ``'step'`` and ``'data'`` as for every image.

    """
    name = message.encoding
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise _unsupported(name, supported, 'no encoding has such a name')
    convert, missing = _bridge()
    if convert is None:
        raise _unsupported(name, supported, missing)
    check_rows(message, size_hw[0], size_hw[1])
    try:
        rgb = np.asarray(convert(message, 'rgb8'))
    except Exception as error:  # TypeError, ValueError, cv2.error and its own
        raise _unsupported(name, supported, f'cv_bridge: {error}') from error
    if rgb.shape != (*size_hw, 3) or rgb.dtype != np.uint8:
        raise _unsupported(name, supported, f'cv_bridge returned {rgb.shape} {rgb.dtype}')
    return rgb


@cache
def _bridge() -> tuple[Callable[..., Any] | None, str]:
    """Import cv_bridge and return its function, or None and the reason."""
    try:
        from cv_bridge import CvBridge  # noqa: PLC0415 - most machines have none

        return CvBridge().imgmsg_to_cv2, ''
    except Exception as error:  # noqa: BLE001 - ImportError, AttributeError, SystemError ...
        return None, f'cv_bridge cannot be used here: {error}'


def _unsupported(name: object, supported: str, why: str) -> ConversionError:
    return ConversionError(
        'encoding',
        f'encoding: expected one of {supported}, got {shorten(name)} ({why}). '
        'Set the camera driver to one of them.',
    )
