"""Messages that the middleware has lost before they reached a subscription."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from rclpy.event_handler import UnsupportedEventTypeError
from rclpy.node import Node
from rclpy.subscription import Subscription

from robot_perception.nodes.connections import loss_problem

# The last reports, made once a second, that are judged together.
_SECONDS = 10
# Fewer, or a smaller share, make no difference to results.
_MIN_LOST, _MIN_SHARE = 5, 0.2


@dataclass(frozen=True, slots=True)
class InputLosses:
    """Messages of one topic that were lost.

    Attributes:
        topic: full name.
        lost: number since the node subscribed.
        problem: what to do if a considerable share was lost lately, else empty.
    """

    topic: str
    lost: int
    problem: str = ''


class LossMeter:
    """Counts the messages of a topic that arrive and are lost, and judges the last ten seconds."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.received = 0
        self.lost = 0
        self._is_supported = True
        self._before: deque[tuple[int, int]] = deque([(0, 0)], maxlen=_SECONDS)

    def subscribe(
        self, create: Callable[[Callable[[Any], None] | None], Subscription[Any]]
    ) -> Subscription[Any]:
        """Return the subscription that ``create`` makes, given what to call at a loss."""
        if self._is_supported:
            try:
                return create(self._on_lost)
            except UnsupportedEventTypeError:
                # This middleware does not count them.
                self._is_supported = False
        return create(None)

    def losses(
        self, node: Node, topic: str, type_name: str, *, subscribed: bool
    ) -> Iterator[InputLosses]:
        """Yield the losses of the topic, if they are counted; call once a second.

        Args:
            node: the subscribing node.
            topic: full name.
            type_name: type of the messages.
            subscribed: whether the node subscribes to the topic now.
        """
        recent = self.recent()
        if self._is_supported and (subscribed or self.lost):
            problem = ''
            if recent is not None:
                problem = loss_problem(node, topic, type_name, *recent)
            yield InputLosses(topic, self.lost, problem)

    def _on_lost(self, event: Any) -> None:  # noqa: ANN401 - a type of rclpy without a name
        self.lost += event.total_count_change

    def recent(self) -> tuple[int, int] | None:
        """Return how many of how many messages were lost lately; call once a second.

        Returns:
            None unless that makes a difference.
        """
        received, lost = self._before[0]
        recent_lost = self.lost - lost
        total = recent_lost + self.received - received
        self._before.append((self.received, self.lost))
        if recent_lost < _MIN_LOST or recent_lost < _MIN_SHARE * total:
            return None
        return recent_lost, total
