"""Transforms between frames, kept once for all cameras."""

from __future__ import annotations

import threading

from robot_perception.conversions import Message, to_transforms
from robot_perception.core import Pose, TransformBuffer


class SharedTransforms:
    """Keeps the transforms that the synchronizers of several cameras look up; thread-safe.

    Attributes:
        changed: its lock guards the transforms and what the synchronizers keep; notified of new
            messages.
    """

    def __init__(self) -> None:
        """Start without transforms."""
        self.changed = threading.Condition()
        self._buffer = TransformBuffer()
        self._faults = 0
        self._fault = ''

    def add(self, message: Message, *, static: bool) -> None:
        """Add the transforms of a message; static ones are valid at all times."""
        transforms, faults = to_transforms(message)
        with self.changed:
            for transform in transforms:
                self._buffer.insert(transform, static=static)
            for fault in faults[:1]:
                self.refuse(fault)
            self.changed.notify_all()

    def refuse(self, fault: str) -> None:
        """Report a message that cannot be read; see `fault_since`."""
        with self.changed:
            self._faults, self._fault = self._faults + 1, fault

    def fault_since(self, faults: int) -> tuple[int, str]:
        """Return the number of faults so far, and the last one if ``faults`` were known."""
        with self.changed:
            return self._faults, self._fault if self._faults > faults else ''

    def lookup(self, target: str, source: str, stamp_ns: int | None) -> Pose:
        """Look up a transform without waiting; see `TransformBuffer.lookup`."""
        with self.changed:
            return self._buffer.lookup(target, source, stamp_ns)

    def clear(self) -> None:
        """Drop moving transforms; keep static ones, which are published only once."""
        with self.changed:
            self._buffer.clear()
