"""Subscriptions to /tf and /tf_static."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSPolicyKind
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription

from robot_perception.conversions import Message
from robot_perception.nodes import qos
from robot_perception.nodes.callback_errors import CallbackErrors
from robot_perception.nodes.connections import subscription_problems
from robot_perception.nodes.losses import InputLosses, LossMeter
from robot_perception.nodes.messages import message_class
from robot_perception.sources import Role
from robot_perception.stream import Synchronizer

_TOPICS = {Role.TF: '/tf', Role.TF_STATIC: '/tf_static'}
_OVERRIDABLE = (
    QoSPolicyKind.HISTORY,
    QoSPolicyKind.DEPTH,
    QoSPolicyKind.RELIABILITY,
    QoSPolicyKind.DURABILITY,
)


class TransformListener:
    """Adds the transforms of /tf and /tf_static to a synchronizer while they are needed."""

    def __init__(self, node: Node, synchronizer: Synchronizer, errors: CallbackErrors) -> None:
        """Create a listener without subscriptions; call `listen`."""
        self._node = node
        self._synchronizer = synchronizer
        self._errors = errors
        self._subscriptions: dict[Role, Subscription[Any]] = {}
        self._meters = {role: LossMeter() for role in _TOPICS}

    def listen(self, roles: frozenset[Role]) -> None:
        """Subscribe to the topics of ``roles`` that carry transforms, and to no other.

        Raises:
            PerceptionError: this ROS installation has no tf2_msgs.
        """
        for role, topic in _TOPICS.items():
            if role in roles and role not in self._subscriptions:
                self._subscriptions[role] = self._subscribe(role, topic)
            elif role not in roles and role in self._subscriptions:
                self._node.destroy_subscription(self._subscriptions.pop(role))
        if Role.TF not in roles:
            self._synchronizer.clear_transforms()

    def problems(self) -> Iterator[str]:
        """Describe publishers that cannot be received from."""
        for role, subscription in self._subscriptions.items():
            yield from subscription_problems(self._node, subscription.topic_name, role.type_name)

    def losses(self) -> Iterator[InputLosses]:
        """Yield the messages that were lost, by topic; call once a second."""
        for role, topic in _TOPICS.items():
            subscribed = role in self._subscriptions
            yield from self._meters[role].losses(
                self._node, topic, role.type_name, subscribed=subscribed
            )

    def _subscribe(self, role: Role, topic: str) -> Subscription[Any]:
        add = self._errors.guarded(topic, partial(self._synchronizer.add, role))
        meter = self._meters[role]

        def receive(message: Message) -> None:
            meter.received += 1
            add(message)

        def create(on_lost: Callable[[Any], None] | None) -> Subscription[Any]:
            return self._node.create_subscription(
                message_class(role.type_name),
                topic,
                receive,
                qos.transforms() if role is Role.TF else qos.static_transforms(),
                # /diagnostics names publishers with incompatible QoS, and the remedy.
                event_callbacks=qos.events(default=False, on_lost=on_lost),
                qos_overriding_options=QoSOverridingOptions(_OVERRIDABLE),
            )

        return meter.subscribe(create)
