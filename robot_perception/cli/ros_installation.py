"""Whether this Python has ROS, asked and refused in one way by every verb that needs it."""

from __future__ import annotations

from importlib.util import find_spec

from robot_perception.core import PerceptionError

_REMEDY = (
    'Source your ROS installation (. /opt/ros/<distro>/setup.bash), or run "make workspace" in '
    'the source tree, which needs none, and use its .venv/bin/robot-perception.'
)


def missing_ros() -> str:
    """Return why ROS cannot be used and what to do; empty if this Python has rclpy."""
    if find_spec('rclpy') is not None:
        return ''
    return f'expected ROS 2, got a Python without rclpy. {_REMEDY}'


def check_ros() -> None:
    """Raise unless this Python has rclpy.

    Raises:
        PerceptionError: it has none.
    """
    problem = missing_ros()
    if problem:
        raise PerceptionError('missing_library', problem)
