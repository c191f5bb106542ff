"""Quality of service, by name."""

from __future__ import annotations

from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSProfile,
    ReliabilityPolicy,
)

# Reliable publishers serve every subscriber; a few frames of history let a slow one catch up.
_OUTPUT_DEPTH = 5
_INPUT_DEPTH = 5


def camera_input() -> QoSProfile:
    """Best effort, volatile: matches every camera driver (REP 2003, sensor data)."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=_INPUT_DEPTH,
        reliability=ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.VOLATILE,
    )


def output() -> QoSProfile:
    """Reliable, volatile: matches every subscriber but a transient-local one."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=_OUTPUT_DEPTH,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.VOLATILE,
    )


def latched() -> QoSProfile:
    """Reliable, transient local: whoever comes late gets the last message."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=1,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL,
    )
