"""CameraInfo from every publisher of a topic: latched or not, often, late, or once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import time
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.subscription import Subscription

from robot_perception.conversions import is_same_calibration, Message
from robot_perception.core import normalize_frame_id
from robot_perception.nodes import qos
from robot_perception.nodes.adaptive_subscription import AdaptiveSubscription
from robot_perception.nodes.connections import endpoint_name
from robot_perception.nodes.losses import InputLosses
from robot_perception.nodes.messages import message_class, publisher_id
from robot_perception.pipeline import Reliability

# Silence after which a publisher is suspected to have sent its calibration before.
_SILENT_S = 3.0


class CalibrationInput:
    """Receives the calibrations of a topic, and finds publishers that contradict one another.

    A volatile subscription gets no earlier messages, and a transient-local one does not match
    volatile publishers: a topic that may have both kinds, or either, needs two. Until the first
    has taken the reliability of its publishers a third, which matches all, receives a calibration
    that is sent only once.
    """

    def __init__(
        self,
        node: Node,
        name: str,
        type_name: str,
        callback: Callable[[Message], None],
        reliability: Reliability,
    ) -> None:
        """Subscribe; arguments as of `AdaptiveSubscription`."""
        self._node = node
        self._name = name
        self._type_name = type_name
        self._callback = callback
        self._is_adaptive = reliability is Reliability.AUTO
        # Last message of each publisher.
        self._messages: dict[bytes, Message] = {}
        self._published_s: float | None = None
        self._has_received = False
        self._volatile = AdaptiveSubscription(
            node, name, (type_name,), self._on_message, reliability
        )
        self._first: Subscription[Any] | None = None
        self._latched: Subscription[Any] | None = None
        self.update()

    def update(self) -> None:
        """Adapt to the publishers."""
        self._volatile.adapt()
        peers = self._node.get_publishers_info_by_topic(self._name)
        if not peers:
            self._published_s = None
        elif self._published_s is None:
            self._published_s = time.monotonic()
        if self._latched is None and any(
            peer.topic_type == self._type_name
            and peer.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
            for peer in peers
        ):
            self._latched = self._subscribe(qos.latched())
        if self._first is None and self._is_adaptive and not self._volatile.is_matched:
            self._first = self._subscribe(qos.camera_input())
        elif self._first is not None and self._volatile.is_matched:
            self._node.destroy_subscription(self._first)
            self._first = None

    def problems(self) -> Iterator[str]:
        """Describe publishers that cannot connect."""
        if not self._has_received:
            yield from self._volatile.problems()

    def doubts(self) -> Iterator[str]:
        """Describe publishers that are silent, or of which each sends another calibration."""
        names = {
            bytes(peer.endpoint_gid): endpoint_name(peer)
            for peer in self._node.get_publishers_info_by_topic(self._name)
            if peer.topic_type == self._type_name
        }
        silent_s = time.monotonic() - (self._published_s or time.monotonic())
        if names and not self._has_received and silent_s > _SILENT_S:
            yield (
                f'{self._name}: nothing has arrived from {_join(sorted(names.values()))} in '
                f'{silent_s:.0f} s. A calibration that was sent once, before this node started, '
                'is lost: let the publisher latch it (transient local), or start it again.'
            )
        # Those that have ended contradict no other.
        self._messages = {key: one for key, one in self._messages.items() if key in names}
        groups: list[tuple[Message, list[str]]] = []
        for key, message in self._messages.items():
            for first, members in groups:
                if _is_same(first, message):
                    members.append(names[key])
                    break
            else:
                groups.append((message, [names[key]]))
        if len(groups) > 1:
            listed = _join([f'{_join(members)} {_describe(one)}' for one, members in groups])
            yield (
                f'{self._name}: the publishers send different calibrations: {listed}. The newest '
                'counts, so that 3D results change from image to image. End all but the one of '
                'this camera, or remap camera_info to a topic that only it uses.'
            )

    def losses(self) -> Iterator[InputLosses]:
        """Yield the messages that were lost; call once a second."""
        yield from self._volatile.losses()

    def destroy(self) -> None:
        """Remove the subscriptions."""
        self._volatile.close()
        for subscription in (self._first, self._latched):
            if subscription is not None:
                self._node.destroy_subscription(subscription)
        self._first = self._latched = None

    def _on_message(self, message: Message, source: bytes) -> None:
        self._has_received = True
        if source:
            self._messages[source] = message
        self._callback(message)

    def _subscribe(self, profile: QoSProfile) -> Subscription[Any]:
        def receive(message: Message, info: Message) -> None:
            self._on_message(message, publisher_id(info))

        return self._node.create_subscription(
            message_class(self._type_name),
            self._name,
            receive,
            profile,
            # Publishers that this subscription does not match are received by the other.
            event_callbacks=qos.events(default=False),
        )


def _is_same(first: Message, second: Message) -> bool:
    frames = [normalize_frame_id(one.header.frame_id) for one in (first, second)]
    return frames[0] == frames[1] and is_same_calibration(first, second)


def _describe(info: Message) -> str:
    frame = normalize_frame_id(info.header.frame_id)
    return f'({info.width}x{info.height}, fx {info.k[0]:.1f}, frame {frame!r})'


def _join(names: list[str]) -> str:
    return ' and '.join(names)
