"""Subscriptions to /tf and /tf_static."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSPolicyKind
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.serialization import deserialize_message
from rclpy.subscription import Subscription

from robot_perception.conversions import Message
from robot_perception.core import throttled_output
from robot_perception.nodes import qos
from robot_perception.nodes.callback_errors import CallbackErrors
from robot_perception.nodes.connections import subscription_problems
from robot_perception.nodes.losses import InputLosses, LossMeter
from robot_perception.nodes.messages import message_class
from robot_perception.sources import Role
from robot_perception.stream import SharedTransforms

_TOPICS = {Role.TF: '/tf', Role.TF_STATIC: '/tf_static'}
_OVERRIDABLE = (
    QoSPolicyKind.HISTORY,
    QoSPolicyKind.DEPTH,
    QoSPolicyKind.RELIABILITY,
    QoSPolicyKind.DURABILITY,
)
# Encapsulation and number of transforms; a transform without names: a stamp, two lengths and
# seven numbers.
_START_BYTES, _TRANSFORM_BYTES = 8, 72


class TransformListener:
    """Receives /tf and /tf_static, once for all cameras of a node, while they are needed.

    Messages are deserialized here: the middleware allocates as many transforms as a message
    claims, 165 bytes for each byte of a broken one.

    Attributes:
        transforms: what was received.
    """

    def __init__(self, node: Node, errors: CallbackErrors) -> None:
        """Create a listener without subscriptions; call `listen`."""
        self.transforms = SharedTransforms()
        self._node = node
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
            self.transforms.clear()

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
        read = self._errors.guarded(topic, partial(self._on_message, role, topic))
        meter = self._meters[role]

        def receive(data: bytes) -> None:
            meter.received += 1
            read(data)

        def create(on_lost: Callable[[Any], None] | None) -> Subscription[Any]:
            return self._node.create_subscription(
                message_class(role.type_name),
                topic,
                receive,
                qos.transforms() if role is Role.TF else qos.static_transforms(),
                # /diagnostics names publishers with incompatible QoS, and the remedy.
                event_callbacks=qos.events(default=False, on_lost=on_lost),
                qos_overriding_options=QoSOverridingOptions(_OVERRIDABLE),
                raw=True,
            )

        return meter.subscribe(create)

    def _on_message(self, role: Role, topic: str, data: bytes) -> None:
        message = read_transforms(data)
        if message is None:
            self.transforms.refuse(
                f'{topic}: expected transforms, got {len(data)} bytes that cannot be read. '
                'Fix its publisher.'
            )
        else:
            self.transforms.add(message, static=role is Role.TF_STATIC)


def read_transforms(data: bytes) -> Message:
    """Deserialize transforms; None if the bytes are no such message, or too short for it."""
    count = int.from_bytes(data[4:_START_BYTES], 'little' if data[1:2] == b'\1' else 'big')
    if count * _TRANSFORM_BYTES > len(data) - _START_BYTES:
        return None
    try:
        with throttled_output():
            return deserialize_message(data, message_class(Role.TF.type_name))
    except Exception:  # noqa: BLE001 - the middleware has an error of its own
        return None
