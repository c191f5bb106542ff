"""Subscriptions that take on the reliability of whoever publishes.

A best-effort reader matches every camera, and loses what does not fit into one shared-memory
segment or datagram: of raw 640x480 images between two processes nearly all. A reliable reader
loses none and does not match a best-effort camera. So the reader follows the publishers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSPolicyKind, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription

from robot_perception.conversions.messages import Message
from robot_perception.nodes import qos
from robot_perception.nodes.connections import subscription_problems
from robot_perception.nodes.messages import message_class

_FIXED = {
    'reliable': ReliabilityPolicy.RELIABLE,
    'best_effort': ReliabilityPolicy.BEST_EFFORT,
}


class Input:
    """One topic that is listened to."""

    def __init__(
        self,
        node: Node,
        type_name: str,
        topic: str,
        callback: Callable[[Message], None],
        reliability: str,
    ) -> None:
        """Subscribe.

        Args:
            node: whose topic it is.
            type_name: 'package/msg/Name'.
            topic: name before remapping.
            callback: called with every message.
            reliability: reliable, best_effort, or auto to follow the publishers.

        """
        self._node = node
        self._type_name = type_name
        self._topic = topic
        self._callback = callback
        self._fixed = _FIXED.get(reliability)
        self._reliability = self._fixed or ReliabilityPolicy.BEST_EFFORT
        self._subscription = self._subscribe()

    @property
    def topic(self) -> str:
        """Name after remapping."""
        return str(self._subscription.topic_name)

    def follow(self) -> None:
        """Take on the reliability of the publishers, if it is to be followed and has changed."""
        if self._fixed is not None:
            return
        offered = {
            peer.qos_profile.reliability
            for peer in self._node.get_publishers_info_by_topic(self.topic)
            if peer.topic_type == self._type_name
        }
        if not offered:
            return
        reliable = offered == {ReliabilityPolicy.RELIABLE}
        wanted = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
        if wanted != self._reliability:
            self._reliability = wanted
            self._node.destroy_subscription(self._subscription)
            self._subscription = self._subscribe()

    def problems(self) -> Iterator[str]:
        """Describe publishers that cannot be heard."""
        return subscription_problems(self._node, self.topic, self._type_name)

    def destroy(self) -> None:
        """Stop listening."""
        self._node.destroy_subscription(self._subscription)

    def _subscribe(self) -> Subscription[Any]:
        profile = qos.camera_input()
        profile.reliability = self._reliability
        return self._node.create_subscription(
            message_class(self._type_name),
            self._topic,
            self._callback,
            profile,
            qos_overriding_options=QoSOverridingOptions(
                (QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH)
            ),
        )
