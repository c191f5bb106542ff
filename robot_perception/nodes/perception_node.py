"""The program of the perception node: ``ros2 run robot_perception perception_node``.

Until `main` runs it imports nothing but the handling of signals: other imports take seconds.
"""

from __future__ import annotations

import sys

from robot_perception.nodes.signals import SignalExit


def main(args: list[str] | None = None) -> int:
    """Run the node until a signal; returns the exit code."""
    signals = SignalExit()
    from robot_perception.nodes.heartbeat import Heartbeat  # noqa: PLC0415 - takes 0.1 s

    heartbeat = Heartbeat()
    from robot_perception.nodes.program import run_program  # noqa: PLC0415 - imports rclpy

    try:
        return run_program(args, signals, heartbeat)
    finally:
        signals.program_ended()
        heartbeat.end()


if __name__ == '__main__':
    sys.exit(main())
