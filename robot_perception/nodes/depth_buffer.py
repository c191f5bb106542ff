"""Sensor depth waits here for the image it belongs to."""

from __future__ import annotations

import threading

from robot_perception.conversions import Message
from robot_perception.pipeline import DepthHistory

_NANOSECONDS = 1_000_000_000


class DepthBuffer:
    """The last depth messages, for two threads; finds the one nearest to an image's stamp."""

    def __init__(self) -> None:
        """Start empty."""
        self._arrived = threading.Condition()
        self._history = DepthHistory()
        self._closed = False

    def put(self, message: Message) -> None:
        """Keep a depth message; a stamp that jumps back ends what was before it."""
        stamp = message.header.stamp
        with self._arrived:
            self._history.put(stamp.sec * _NANOSECONDS + stamp.nanosec, message)
            self._arrived.notify_all()

    def clear(self) -> None:
        """Forget everything, as after a jump of time."""
        with self._arrived:
            self._history.clear()

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
            self._arrived.wait_for(
                lambda: self._closed or self._history.settled(stamp_ns), timeout=wait_s
            )
            return self._history.nearest(stamp_ns, max_offset_s)
