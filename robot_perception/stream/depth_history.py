"""Keep the last depth messages of a sensor, and find the one nearest to an image."""

from __future__ import annotations

from collections import deque
from weakref import WeakSet

from robot_perception.conversions import Message
from robot_perception.core import NANOSECONDS_PER_SECOND

_SIZE = 8


class DepthRequest:
    """A request for the depth of one image.

    It keeps the nearest message even when that has left the history in the meantime.

    Attributes:
        is_settled: whether no later message can be nearer.

    """

    def __init__(self, stamp_ns: int) -> None:
        """Start without a message; ``stamp_ns`` is the stamp of the image."""
        self.is_settled = False
        self._stamp_ns = stamp_ns
        self._nearest: tuple[int, Message] | None = None

    def offer(self, stamp_ns: int, message: Message) -> None:
        """Keep a message if it is nearer than those before; stamps must not decrease."""
        if self.is_settled:
            return
        offset_ns = abs(stamp_ns - self._stamp_ns)
        if self._nearest is None or offset_ns < self._nearest[0]:
            self._nearest = (offset_ns, message)
        self.is_settled = stamp_ns >= self._stamp_ns

    def clear(self) -> None:
        """Drop the message unless the request is settled."""
        if not self.is_settled:
            self._nearest = None

    def nearest(self, max_offset_s: float) -> Message | None:
        """Return the nearest message so far, None if it is not within ``max_offset_s``."""
        if self._nearest is None:
            return None
        offset_ns, message = self._nearest
        return message if offset_ns <= max_offset_s * NANOSECONDS_PER_SECOND else None


class DepthHistory:
    """Keeps the newest messages with their stamps; for one thread at a time."""

    def __init__(self) -> None:
        """Start without messages."""
        self._messages: deque[tuple[int, Message]] = deque(maxlen=_SIZE)
        self._requests: WeakSet[DepthRequest] = WeakSet()

    def put(self, stamp_ns: int, message: Message) -> None:
        """Add a message; a stamp that jumps back drops all earlier messages."""
        if self._messages and stamp_ns < self._messages[-1][0]:
            self.clear()
        self._messages.append((stamp_ns, message))
        for request in self._requests:
            request.offer(stamp_ns, message)

    def clear(self) -> None:
        """Drop all messages, as after a time jump."""
        self._messages.clear()
        for request in self._requests:
            request.clear()

    def request(self, stamp_ns: int) -> DepthRequest:
        """Return a request that is offered all messages here, and new ones while referenced."""
        request = DepthRequest(stamp_ns)
        for item in self._messages:
            request.offer(*item)
        self._requests.add(request)
        return request
