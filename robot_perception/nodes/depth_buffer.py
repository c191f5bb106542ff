"""Sensor depth waits here for the image it belongs to."""

from __future__ import annotations

from collections import deque
import threading

from robot_perception.conversions.messages import Message

_NANOSECONDS = 1_000_000_000
_KEPT = 8


class DepthBuffer:
    """The last depth messages; finds the one nearest to an image's stamp."""

    def __init__(self) -> None:
        """Start empty."""
        self._arrived = threading.Condition()
        self._messages: deque[tuple[int, Message]] = deque(maxlen=_KEPT)
        self._closed = False
        self._info: Message = None

    @property
    def info(self) -> Message:
        """The newest CameraInfo of the sensor, None when none has come."""
        return self._info

    def keep_info(self, info: Message) -> None:
        """Take a CameraInfo message of the sensor."""
        self._info = info

    def put(self, message: Message) -> None:
        """Keep a depth message; a stamp that jumps back ends what was before it."""
        stamp = message.header.stamp
        stamp_ns = stamp.sec * _NANOSECONDS + stamp.nanosec
        with self._arrived:
            if self._messages and stamp_ns < self._messages[-1][0]:
                self._messages.clear()
            self._messages.append((stamp_ns, message))
            self._arrived.notify_all()

    def clear(self) -> None:
        """Forget everything, as after a jump of time."""
        with self._arrived:
            self._messages.clear()

    def open(self) -> None:
        """Let `nearest` wait again after a `close`."""
        with self._arrived:
            self._closed = False

    def close(self) -> None:
        """End every wait."""
        with self._arrived:
            self._closed = True
            self._arrived.notify_all()

    def nearest(self, stamp_ns: int, max_offset_s: float, wait_s: float) -> Message:
        """Find the depth of an image.

        Args:
            stamp_ns: stamp of the image.
            max_offset_s: largest difference of stamps.
            wait_s: how long to wait for a depth still on its way; a later one ends the wait.

        Returns:
            The message, or None.

        """
        with self._arrived:
            self._arrived.wait_for(lambda: self._closed or self._settled(stamp_ns), timeout=wait_s)
            if not self._messages:
                return None
            stamp, message = min(self._messages, key=lambda item: abs(item[0] - stamp_ns))
            return message if abs(stamp - stamp_ns) <= max_offset_s * _NANOSECONDS else None

    def _settled(self, stamp_ns: int) -> bool:
        return any(stamp >= stamp_ns for stamp, _ in self._messages)
