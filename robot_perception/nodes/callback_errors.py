"""Errors of callbacks: counted and reported, while the node goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
import traceback

from rclpy.node import Node

_LOG_PERIOD_S = 1.0


@dataclass(frozen=True, slots=True)
class FailedMessages:
    """Messages that were lost to an error of their callback.

    Attributes:
        counts: topic -> number of messages.
        problem: what has failed lately and what to do, empty if nothing has.
    """

    counts: Mapping[str, int]
    problem: str = ''


class CallbackErrors:
    """Keeps an error of one message from ending the node; for the thread of the executor."""

    def __init__(self, node: Node) -> None:
        """Start without errors."""
        self._node = node
        self._counts: Counter[str] = Counter()
        # Topic -> error of its last message; and of those since the last report.
        self._standing: dict[str, str] = {}
        self._recent: dict[str, str] = {}

    def guarded(self, topic: str, callback: Callable[..., None]) -> Callable[..., None]:
        """Return a callback that counts and logs what ``callback`` raises, by its topic."""

        def run(*arguments: object) -> None:
            try:
                callback(*arguments)
            except KeyboardInterrupt:
                raise
            # As in the worker: libraries in Rust raise a BaseException, and one bad message must
            # not end the process.
            except BaseException as error:  # noqa: BLE001
                self._add(topic, error)
            else:
                self._standing.pop(topic, None)

        return run

    def report(self) -> FailedMessages:
        """Return the errors so far; call once a second.

        An error is reported once, and as long as no later message of its topic was processed.
        """
        errors, self._recent = {**self._standing, **self._recent}, {}
        problem = ' '.join(
            f'{topic}: a message was lost to an internal error: {error}. The node goes on without '
            'it. Report this error with the traceback in the log of this node.'
            for topic, error in sorted(errors.items())
        )
        return FailedMessages(dict(self._counts), problem)

    def _add(self, topic: str, error: BaseException) -> None:
        if not self._node.context.ok():
            # A signal has shut ROS down during this callback, which is expected to fail.
            return
        self._counts[topic] += 1
        self._standing[topic] = self._recent[topic] = repr(error)
        self._node.get_logger().error(
            f'{topic}: message lost because of an internal error:\n{traceback.format_exc()}',
            throttle_duration_sec=_LOG_PERIOD_S,
        )
