"""Quality-of-service profiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks

# A few frames of history let a slow peer catch up.
_DEPTH = 5
# As in tf2: transforms arrive from many publishers in bursts.
_TRANSFORMS = 100


def camera_input() -> QoSProfile:
    """Best effort, volatile: matches every camera driver (REP 2003, sensor data)."""
    return _profile(_DEPTH, ReliabilityPolicy.BEST_EFFORT)


def output() -> QoSProfile:
    """Reliable, volatile: matches every subscriber but a transient-local one."""
    return _profile(_DEPTH, ReliabilityPolicy.RELIABLE)


def latched() -> QoSProfile:
    """Reliable, transient local: late subscribers receive the last message."""
    return _profile(1, ReliabilityPolicy.RELIABLE, DurabilityPolicy.TRANSIENT_LOCAL)


def transforms() -> QoSProfile:
    """Reliable, volatile: as broadcasters of /tf."""
    return _profile(_TRANSFORMS, ReliabilityPolicy.RELIABLE)


def static_transforms() -> QoSProfile:
    """Reliable, transient local: late subscribers receive /tf_static, which is sent once."""
    return _profile(_TRANSFORMS, ReliabilityPolicy.RELIABLE, DurabilityPolicy.TRANSIENT_LOCAL)


def events(
    *, default: bool, on_lost: Callable[[Any], None] | None = None
) -> SubscriptionEventCallbacks:
    """Return the callbacks of the events of a subscription.

    Args:
        default: whether those of rclpy log publishers that do not match.
        on_lost: called when messages are lost; creating the subscription raises
            UnsupportedEventTypeError if the middleware does not report it.
    """
    return SubscriptionEventCallbacks(message_lost=on_lost, use_default_callbacks=default)


def no_events() -> PublisherEventCallbacks:
    """Return no callbacks for the events of a publisher.

    Those of rclpy log subscribers that do not match. Its executors spend time on each callback
    whenever they wake: half a millisecond of a frame for the outputs.
    """
    return PublisherEventCallbacks(use_default_callbacks=False)


def _profile(
    depth: int,
    reliability: ReliabilityPolicy,
    durability: DurabilityPolicy = DurabilityPolicy.VOLATILE,
) -> QoSProfile:
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=reliability,
        durability=durability,
    )
