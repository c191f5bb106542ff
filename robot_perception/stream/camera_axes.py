"""Recognize images that are stamped with a body frame instead of an optical one.

Simulators often stamp images with the frame of the camera's body, x forward and z up (REP 103),
instead of that of its optics, z forward and y down. Results are then turned by 90 degrees.
"""

from __future__ import annotations

import math
import re

import numpy as np

from robot_perception.core import Pose
from robot_perception.stream.status import InputStatus, USABLE

# The rotation from optical axes to those of the body that the optics belong to.
BODY_FROM_OPTICAL = Pose(
    np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]), np.zeros(3)
)

_BODY_NAMES = frozenset({'link', 'body', 'base', 'chassis'})
_LEVEL_NAMES = frozenset({'base', 'odom', 'map', 'world', 'earth', 'footprint'})
# A body frame of a camera that looks ahead: z within this angle of up, y within that of level.
_MAX_PITCH, _MAX_ROLL = math.radians(45), math.radians(20)
# Axes of a frame that is mounted without any rotation, as a body frame that looks ahead is.
_ALIGNED = math.radians(2)


def is_level_frame(frame_id: str) -> bool:
    """Return whether z points up in a frame of that name by convention (REP 105)."""
    return not _LEVEL_NAMES.isdisjoint(_words(frame_id))


def check_optical_axes(frame_id: str, level_id: str, frame_from_level: Pose) -> InputStatus:
    """Warn if the frame that images are stamped with is a body frame.

    In a body frame that looks ahead z points up and y is level. So it is in an optical frame that
    looks up; the name decides between the two. By convention it contains "optical" for optical
    frames, and "link", "body" or "base" for body frames. One with "frame" is taken as a body frame
    only if it has the very axes of the level frame, and one without any of these words never.

    Args:
        frame_id: frame of the images.
        level_id: frame whose z axis points up.
        frame_from_level: its transform to the frame of the images.
    """
    words = _words(frame_id)
    if any('optical' in word for word in words):
        return USABLE
    _, up_y, up_z = frame_from_level.rotation[:, 2].tolist()
    turned = math.acos(np.clip((np.trace(frame_from_level.rotation) - 1) / 2, -1, 1))
    is_body = 'frame' in words and turned < _ALIGNED
    if not _BODY_NAMES.isdisjoint(words):
        is_body = up_z > math.cos(_MAX_PITCH) and abs(up_y) < math.sin(_MAX_ROLL)
    if not is_body:
        return USABLE
    return InputStatus.doubtful(
        'body_frame',
        f'z of {frame_id!r}, the viewing direction of an optical frame, points up in '
        f'{level_id!r}: images are probably stamped with a body frame (x forward). Set '
        'camera.optical: body, or camera.frame_id to the optical frame of the camera; or '
        'camera.optical: optical if it does look up.',
    )


def _words(frame_id: str) -> frozenset[str]:
    return frozenset(re.split('[^a-z]+', frame_id.lower()))
