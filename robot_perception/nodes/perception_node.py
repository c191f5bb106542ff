"""The program of the perception node: ``ros2 run robot_perception perception_node``.

It imports nothing but the handling of signals until `main` runs: other imports take seconds.
"""

from __future__ import annotations

import sys

from robot_perception.nodes.signals import SignalExit


def main(args: list[str] | None = None) -> int:
    """Run the node until a signal; returns the exit code."""
    signals = SignalExit()
    from robot_perception.nodes.program import run_program  # noqa: PLC0415 - imports rclpy

    try:
        return run_program(args, signals.ros_started)
    finally:
        signals.program_ended()


if __name__ == '__main__':
    sys.exit(main())
