"""The last depth messages of a sensor."""

from __future__ import annotations

from collections import deque

from robot_perception.conversions import Message
from robot_perception.core import NANOSECONDS_PER_SECOND

_SIZE = 8


class DepthHistory:
    """Keeps the newest messages by their stamps; for one thread at a time."""

    def __init__(self) -> None:
        """Start without messages."""
        self._messages: deque[tuple[int, Message]] = deque(maxlen=_SIZE)

    def put(self, stamp_ns: int, message: Message) -> None:
        """Add a message; a stamp that jumps back drops all earlier messages."""
        if self._messages and stamp_ns < self._messages[-1][0]:
            self._messages.clear()
        self._messages.append((stamp_ns, message))

    def clear(self) -> None:
        """Drop all messages, as after a jump of time."""
        self._messages.clear()

    def is_settled(self, stamp_ns: int) -> bool:
        """Return whether no later message can be nearer to ``stamp_ns``."""
        return any(stamp >= stamp_ns for stamp, _ in self._messages)

    def nearest(self, stamp_ns: int, max_offset_s: float) -> Message | None:
        """Return the message nearest to a stamp, None without one within ``max_offset_s``."""
        if not self._messages:
            return None
        stamp, message = min(self._messages, key=lambda item: abs(item[0] - stamp_ns))
        is_near = abs(stamp - stamp_ns) <= max_offset_s * NANOSECONDS_PER_SECOND
        return message if is_near else None
