"""Hears /tf and /tf_static, and waits a little for what is still on its way."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
import threading
import time
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSPolicyKind, QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

from robot_perception.conversions import Message, to_transforms
from robot_perception.core import Pose, TransformBuffer, TransformError
from robot_perception.nodes import qos
from robot_perception.nodes.connections import subscription_problems
from robot_perception.nodes.messages import message_class
from robot_perception.pipeline import TransformLookup

_TYPE = 'tf2_msgs/msg/TFMessage'
_MOVING, _STATIC = '/tf', '/tf_static'
_OVERRIDABLE = (
    QoSPolicyKind.HISTORY,
    QoSPolicyKind.DEPTH,
    QoSPolicyKind.RELIABILITY,
    QoSPolicyKind.DURABILITY,
)


class TransformListener:
    """Keeps what TF tells. Callbacks put it in; the worker looks it up, and may wait."""

    def __init__(self, node: Node) -> None:
        """Start deaf; `listen` subscribes."""
        self._node = node
        self._subscriptions: dict[str, Subscription[Any]] = {}
        self._arrived = threading.Condition()
        self._buffer = TransformBuffer()
        self._fault = ''
        self._closed = False

    def listen(self, *, moving: bool, static: bool) -> None:
        """Subscribe to what is needed and to nothing else.

        Raises:
            PerceptionError: this ROS has no tf2_msgs.

        """
        for topic, wanted, profile in (
            (_MOVING, moving, qos.transforms()),
            (_STATIC, static, qos.static_transforms()),
        ):
            if wanted and topic not in self._subscriptions:
                self._subscriptions[topic] = self._subscribe(topic, profile)
            elif not wanted and topic in self._subscriptions:
                self._node.destroy_subscription(self._subscriptions.pop(topic))
        if not moving:
            self.clear()

    def _subscribe(self, topic: str, profile: QoSProfile) -> Subscription[Any]:
        return self._node.create_subscription(
            message_class(_TYPE),
            topic,
            partial(self._put, static=topic == _STATIC),
            profile,
            # /diagnostics names who cannot be heard, and what to do.
            event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
            qos_overriding_options=QoSOverridingOptions(_OVERRIDABLE),
        )

    def problems(self) -> Iterator[str]:
        """Describe publishers that cannot be heard."""
        for subscription in self._subscriptions.values():
            yield from subscription_problems(self._node, subscription.topic_name, _TYPE)

    def _put(self, message: Message, *, static: bool) -> None:
        transforms, faults = to_transforms(message)
        with self._arrived:
            for transform in transforms:
                self._buffer.insert(transform, static=static)
            self._fault = next(iter(faults), self._fault)
            self._arrived.notify_all()

    def take_fault(self) -> str:
        """Say what was wrong with a transform heard since the last call; empty for nothing."""
        with self._arrived:
            fault, self._fault = self._fault, ''
            return fault

    def clear(self) -> None:
        """Forget all that moves, as after a jump of time."""
        with self._arrived:
            self._buffer.clear()

    def open(self) -> None:
        """Let lookups wait again after a `close`."""
        with self._arrived:
            self._closed = False

    def close(self) -> None:
        """End every wait."""
        with self._arrived:
            self._closed = True
            self._arrived.notify_all()

    def within(self, wait_s: float) -> TransformLookup:
        """Look up, and wait for what may still come; all lookups together at most ``wait_s``."""
        return partial(self._lookup, time.monotonic() + wait_s)

    def _lookup(self, end_s: float, target: str, source: str, stamp_ns: int | None) -> Pose:
        with self._arrived:
            while True:
                try:
                    return self._buffer.lookup(target, source, stamp_ns)
                except TransformError as error:
                    left_s = end_s - time.monotonic()
                    if self._closed or left_s <= 0 or not error.is_transient:
                        raise
                self._arrived.wait(left_s)
