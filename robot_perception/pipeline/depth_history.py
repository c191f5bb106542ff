"""The last depth messages of a sensor, and the one that belongs to an image."""

from __future__ import annotations

from collections import deque

from robot_perception.conversions import Message

_NANOSECONDS = 1_000_000_000
_KEPT = 8


class DepthHistory:
    """Keeps the newest messages by their stamps; knows nothing of threads or clocks."""

    def __init__(self) -> None:
        """Start empty."""
        self._messages: deque[tuple[int, Message]] = deque(maxlen=_KEPT)

    def put(self, stamp_ns: int, message: Message) -> None:
        """Keep a message; a stamp that jumps back ends what was before it."""
        if self._messages and stamp_ns < self._messages[-1][0]:
            self._messages.clear()
        self._messages.append((stamp_ns, message))

    def clear(self) -> None:
        """Forget everything, as after a jump of time."""
        self._messages.clear()

    def settled(self, stamp_ns: int) -> bool:
        """Tell whether no later message can be nearer to ``stamp_ns``."""
        return any(stamp >= stamp_ns for stamp, _ in self._messages)

    def nearest(self, stamp_ns: int, max_offset_s: float) -> Message:
        """Give the message nearest to a stamp; None where none is within ``max_offset_s``."""
        if not self._messages:
            return None
        stamp, message = min(self._messages, key=lambda item: abs(item[0] - stamp_ns))
        return message if abs(stamp - stamp_ns) <= max_offset_s * _NANOSECONDS else None
