"""A subscription that takes the type and the reliability of its publishers.

A best-effort reader matches every camera but loses messages larger than one shared-memory segment
or datagram: nearly all raw 640x480 images between two processes. A reliable reader loses none but
does not match a best-effort camera. So the reader takes the reliability of the publishers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
import time
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSPolicyKind, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from rclpy.topic_endpoint_info import TopicEndpointInfo

from robot_perception.conversions import Message
from robot_perception.nodes import qos
from robot_perception.nodes.connections import (
    silent_publisher_problems,
    subscription_problems,
)
from robot_perception.nodes.losses import InputLosses, LossMeter
from robot_perception.nodes.messages import message_class, publisher_id
from robot_perception.pipeline import Reliability

_FIXED = {
    Reliability.RELIABLE: ReliabilityPolicy.RELIABLE,
    Reliability.BEST_EFFORT: ReliabilityPolicy.BEST_EFFORT,
}
# Silence after which a publisher is suspected of losing every message.
_SILENT_S = 3.0
# Messages are overdue after this multiple of their longest interval, and at least after this time.
_OVERDUE_INTERVALS, _OVERDUE_S = 3.0, 1.0


class AdaptiveSubscription:
    """A subscription to one topic, whose messages may have one of several types.

    Attributes:
        name: full name of the topic.
        has_publisher: whether the topic had a publisher of one of the types at the last `adapt`.
    """

    def __init__(
        self,
        node: Node,
        name: str,
        type_names: tuple[str, ...],
        callback: Callable[[Message, bytes], None],
        reliability: Reliability,
    ) -> None:
        """Subscribe.

        Args:
            node: the subscribing node.
            name: full name of the topic.
            type_names: types of messages, preferred first.
            callback: called with every message and the global id of its publisher.
            reliability: reliable, best_effort, or auto for that of the publishers.
        """
        self.name = name
        self.has_publisher = False
        self._node = node
        self._type_names = type_names
        self._callback = callback
        self._fixed = _FIXED.get(reliability)
        self._type_name = type_names[0]
        # Start reliable: a recording is finite, so its publisher must find a matching reader; a
        # best-effort camera keeps publishing while the reader changes.
        self._reliability = self._fixed or ReliabilityPolicy.RELIABLE
        self._subscription: Subscription[Any] | None = None
        self._published_s: float | None = None
        self._received_s: float | None = None
        self._interval_s = 0.0
        self._meter = LossMeter()
        self.adapt()
        self.open()

    @property
    def delivers(self) -> bool:
        """Whether messages arrive: the last is not overdue."""
        if self._received_s is None:
            return False
        limit_s = max(_OVERDUE_S, _OVERDUE_INTERVALS * self._interval_s)
        return time.monotonic() - self._received_s <= limit_s

    @property
    def is_matched(self) -> bool:
        """Whether the subscription is connected to a publisher."""
        return self._subscription is not None and self._subscription.get_publisher_count() > 0

    def adapt(self) -> None:
        """Take the type and the reliability of the publishers."""
        peers = self._node.get_publishers_info_by_topic(self.name)
        offered = {peer.topic_type: peer.qos_profile.reliability for peer in peers}
        type_name = next((one for one in self._type_names if one in offered), self._type_name)
        publishers = [peer for peer in peers if peer.topic_type == type_name]
        self.has_publisher = bool(publishers)
        if not publishers:
            self._published_s = None
        elif self._published_s is None:
            self._published_s = time.monotonic()
        reliability = self._fixed or self._match_reliability(publishers)
        if (type_name, reliability) != (self._type_name, self._reliability):
            self._type_name, self._reliability = type_name, reliability
            if self._subscription is not None:
                self.close()
                self.open()

    def open(self) -> None:
        """Subscribe, unless that is done."""
        if self._subscription is None:
            self._subscription = self._meter.subscribe(self._create)

    def close(self) -> None:
        """Remove the subscription, if there is one."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    def problems(self) -> Iterator[str]:
        """Describe publishers that cannot connect, or whose messages may all be lost."""
        if self._subscription is None:
            return
        yield from subscription_problems(self._node, self.name, self._type_name)
        if self._received_s is None and self._published_s is not None:
            silent_s = time.monotonic() - self._published_s
            if silent_s > _SILENT_S:
                yield from silent_publisher_problems(
                    self._node, self.name, self._type_name, silent_s
                )

    def losses(self) -> Iterator[InputLosses]:
        """Yield the messages that the middleware has lost; call once a second."""
        subscribed = self._subscription is not None
        yield from self._meter.losses(
            self._node, self.name, self._type_name, subscribed=subscribed
        )

    def _match_reliability(self, publishers: list[TopicEndpointInfo]) -> ReliabilityPolicy:
        offered = {peer.qos_profile.reliability for peer in publishers}
        if not offered:
            return self._reliability
        reliable = offered == {ReliabilityPolicy.RELIABLE}
        return ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT

    def _on_message(self, message: Message, info: Mapping[str, Any]) -> None:
        now_s = time.monotonic()
        if self._received_s is not None:
            # Decreases slowly, so that one long interval counts for some messages.
            self._interval_s = max(now_s - self._received_s, 0.9 * self._interval_s)
        self._received_s = now_s
        self._meter.received += 1
        self._callback(message, publisher_id(info))

    def _create(self, on_lost: Callable[[Any], None] | None) -> Subscription[Any]:
        profile = qos.camera_input()
        profile.reliability = self._reliability
        return self._node.create_subscription(
            message_class(self._type_name),
            self.name,
            self._on_message,
            profile,
            # An adapting reader resolves what the default callbacks warn about.
            event_callbacks=qos.events(default=self._fixed is not None, on_lost=on_lost),
            qos_overriding_options=QoSOverridingOptions(
                (QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH)
            ),
        )
