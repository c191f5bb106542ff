"""Subscriptions that adapt to their publishers: reliability, and raw or compressed images.

A best-effort reader matches every camera but loses messages larger than one shared-memory segment
or datagram: nearly all raw 640x480 images between two processes. A reliable reader loses none but
does not match a best-effort camera. So the reader takes the reliability of the publishers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSPolicyKind, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from rclpy.topic_endpoint_info import TopicEndpointInfo

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

from robot_perception.conversions import Message
from robot_perception.nodes import qos
from robot_perception.nodes.connections import subscription_problems
from robot_perception.nodes.messages import message_class
from robot_perception.pipeline import Reliability, Transport

_RAW, _COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
_FIXED = {
    Reliability.RELIABLE: ReliabilityPolicy.RELIABLE,
    Reliability.BEST_EFFORT: ReliabilityPolicy.BEST_EFFORT,
}


@dataclass(frozen=True, slots=True)
class Topic:
    """A full topic name and the type of its messages, 'package/msg/Name'."""

    name: str
    type_name: str

    def publishers(self, node: Node) -> list[TopicEndpointInfo]:
        """Return the publishers of this type on the topic."""
        peers = node.get_publishers_info_by_topic(self.name)
        return [peer for peer in peers if peer.topic_type == self.type_name]


def image_topics(
    node: Node, name: str, compression: str, transport: Transport
) -> tuple[Topic, ...]:
    """Return the topics that may carry images or depth, preferred first.

    Args:
        node: applies its remappings.
        name: of the input.
        compression: what image_transport appends to the name of the compressed topic.
        transport: raw, compressed or auto.

    """
    name = node.resolve_topic_name(name)
    raw = (Topic(name, _RAW),)
    # A remapping may name the compressed topic directly.
    compressed = (Topic(f'{name}/{compression}', _COMPRESSED), Topic(name, _COMPRESSED))
    return (raw if transport.accepts_raw else ()) + (
        compressed if transport.accepts_compressed else ()
    )


def single_topic(node: Node, name: str, type_name: str) -> tuple[Topic, ...]:
    """Return a topic with only one message type, after remapping."""
    return (Topic(node.resolve_topic_name(name), type_name),)


class Input:
    """A subscription to the first of several topics that has a publisher."""

    def __init__(
        self,
        node: Node,
        topics: Sequence[Topic],
        callback: Callable[[Message], None],
        reliability: Reliability,
    ) -> None:
        """Subscribe.

        Args:
            node: the subscribing node.
            topics: candidates, preferred first; the first is used if none has a publisher.
            callback: called with every message.
            reliability: reliable, best_effort, or auto for that of the publishers.

        """
        self._node = node
        self._topics = tuple(topics)
        self._callback = callback
        self._fixed = _FIXED.get(reliability)
        # Start reliable: a recording is finite, so its publisher must find a matching reader; a
        # best-effort camera keeps publishing while the reader changes.
        self._reliability = ReliabilityPolicy.RELIABLE
        self._topic = self._topics[0]
        self._topic, self._reliability = self._wanted()
        self._subscription = self._subscribe()

    @property
    def topic(self) -> str:
        """Full name of the subscribed topic."""
        return self._topic.name

    def update(self) -> None:
        """Replace the subscription if topic or reliability of the publishers have changed."""
        wanted = self._wanted()
        if wanted != (self._topic, self._reliability):
            self._topic, self._reliability = wanted
            self._node.destroy_subscription(self._subscription)
            self._subscription = self._subscribe()

    def problems(self) -> Iterator[str]:
        """Describe publishers that cannot connect."""
        return subscription_problems(self._node, self._topic.name, self._topic.type_name)

    def destroy(self) -> None:
        """Remove the subscription."""
        self._node.destroy_subscription(self._subscription)

    def _wanted(self) -> tuple[Topic, ReliabilityPolicy]:
        topic = next((one for one in self._topics if one.publishers(self._node)), self._topic)
        if self._fixed is not None:
            return topic, self._fixed
        offered = {peer.qos_profile.reliability for peer in topic.publishers(self._node)}
        if not offered:
            return topic, self._reliability
        reliable = offered == {ReliabilityPolicy.RELIABLE}
        return topic, ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT

    def _subscribe(self) -> Subscription[Any]:
        profile = qos.camera_input()
        profile.reliability = self._reliability
        return self._node.create_subscription(
            message_class(self._topic.type_name),
            self._topic.name,
            self._callback,
            profile,
            # An adapting reader resolves what the default callbacks warn about.
            event_callbacks=SubscriptionEventCallbacks(
                use_default_callbacks=self._fixed is not None
            ),
            qos_overriding_options=QoSOverridingOptions(
                (QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH)
            ),
        )
