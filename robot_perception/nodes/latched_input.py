"""A second subscription to a topic, for what was latched before the node existed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy
from rclpy.subscription import Subscription

from robot_perception.conversions import Message
from robot_perception.nodes import qos
from robot_perception.nodes.inputs import Topic
from robot_perception.nodes.messages import message_class


class LatchedInput:
    """Subscribes to the latched publishers of a topic, beside its `Input`.

    A volatile subscription gets no earlier messages, and a transient-local one does not match
    volatile publishers. So a topic that may have both kinds, or either, needs two.
    """

    def __init__(self, node: Node, topic: Topic, callback: Callable[[Message], None]) -> None:
        """Subscribe as soon as `update` finds a latched publisher."""
        self._node = node
        self._topic = topic
        self._callback = callback
        self._subscription: Subscription[Any] | None = None

    def update(self) -> None:
        """Subscribe if there is a publisher that latches its messages."""
        if self._subscription is not None:
            return
        name, type_name = self._topic.name, self._topic.type_name
        if any(
            peer.topic_type == type_name
            and peer.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
            for peer in self._node.get_publishers_info_by_topic(name)
        ):
            self._subscription = self._node.create_subscription(
                message_class(type_name),
                name,
                self._callback,
                qos.latched(),
                # Publishers that this subscription does not match are received by the other.
                event_callbacks=qos.events(default=False),
            )

    def destroy(self) -> None:
        """Remove the subscription."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
