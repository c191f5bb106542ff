"""The program of the perception node: ``ros2 run robot_perception perception_node``.

It imports nothing but the handling of signals until `main` runs: other imports take seconds.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from robot_perception.nodes.signals import SignalExit

if TYPE_CHECKING:
    from robot_perception.nodes.node import PerceptionNode

__all__ = ['PerceptionNode', 'main']


def __getattr__(name: str) -> object:
    """Import the node on first use."""
    if name not in __all__:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from robot_perception.nodes import node  # noqa: PLC0415 - imports rclpy

    return getattr(node, name)


def main(args: list[str] | None = None) -> int:
    """Run the node until a signal; returns the exit code."""
    signals = SignalExit()
    from robot_perception.nodes.program import run_program  # noqa: PLC0415 - imports rclpy

    return run_program(args, signals.ros_started)


if __name__ == '__main__':
    sys.exit(main())
