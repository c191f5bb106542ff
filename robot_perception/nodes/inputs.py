"""Inputs of the node that may arrive on one of several topics, as raw and compressed images do."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from rclpy.node import Node

from robot_perception.conversions import Message
from robot_perception.nodes.adaptive_subscription import AdaptiveSubscription
from robot_perception.nodes.losses import InputLosses
from robot_perception.nodes.messages import message_stamp_ns
from robot_perception.pipeline import Reliability, Transport
from robot_perception.sources import IMAGE_TYPES

_RAW, _COMPRESSED = IMAGE_TYPES
# Messages of another topic that the preferred one may repeat.
_OVERLAP = 32


@dataclass(frozen=True, slots=True)
class Topic:
    """A full topic name and the type of its messages, 'package/msg/Name'."""

    name: str
    type_name: str


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


class Input:
    """Messages of the first of several topics that delivers any.

    All topics are subscribed to until the first delivers: behind a discovery server a node finds
    publishers only on its own topics, and a publisher that is found may be silent. While the first
    delivers, the others are not subscribed to, so that no images are encoded without need.
    """

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
            topics: candidates, preferred first.
            callback: called with every message.
            reliability: reliable, best_effort, or auto for that of the publishers.
        """
        self._callback = callback
        # Stamp of the message with which the preferred topic began to deliver, None while it does
        # not; and stamps of the last messages of the others.
        self._begin_ns: int | None = None
        self._others_ns: deque[int] = deque(maxlen=_OVERLAP)
        names = tuple(dict.fromkeys(topic.name for topic in topics))
        self._subscriptions = tuple(
            AdaptiveSubscription(
                node,
                name,
                tuple(topic.type_name for topic in topics if topic.name == name),
                partial(self._on_message, is_preferred=name == names[0]),
                reliability,
            )
            for name in names
        )

    @property
    def topic(self) -> str:
        """Full name of the topic that delivers, or else has a publisher, or else is preferred."""
        for wanted in ('delivers', 'has_publisher'):
            for one in self._subscriptions:
                if getattr(one, wanted):
                    return one.name
        return self._subscriptions[0].name

    def update(self) -> None:
        """Adapt to the publishers, and subscribe to the topics that are needed."""
        preferred, *others = self._subscriptions
        if not preferred.delivers:
            self._begin_ns = None
        for one in others:
            if preferred.delivers:
                one.close()
            else:
                one.open()
        for one in self._subscriptions:
            one.adapt()

    def problems(self) -> Iterator[str]:
        """Describe publishers that cannot connect, or whose messages may all be lost."""
        if any(one.delivers for one in self._subscriptions):
            return
        found = [one for one in self._subscriptions if one.has_publisher]
        for one in found or self._subscriptions:
            yield from one.problems()

    def losses(self) -> Iterator[InputLosses]:
        """Yield the messages that were lost, by topic; call once a second."""
        for one in self._subscriptions:
            yield from one.losses()

    def destroy(self) -> None:
        """Remove the subscriptions."""
        for one in self._subscriptions:
            one.close()

    def _on_message(self, message: Message, _: bytes, *, is_preferred: bool) -> None:
        """Pass a message on, unless the other topic has delivered the same, or delivers it."""
        if len(self._subscriptions) > 1:
            stamp_ns = message_stamp_ns(message)
            if is_preferred:
                if self._begin_ns is None:
                    self._begin_ns = stamp_ns
                if stamp_ns and stamp_ns in self._others_ns:
                    self._others_ns.remove(stamp_ns)
                    return
            else:
                # Older ones were under way when the preferred topic began.
                if self._begin_ns is not None and stamp_ns >= self._begin_ns:
                    return
                self._others_ns.append(stamp_ns)
        self._callback(message)
