"""The time of a message: its stamp, or when it was received if the stamp cannot be used."""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass

from robot_perception.core import is_restart


@dataclass(frozen=True, slots=True)
class MessageTime:
    """When a message was made; all times in nanoseconds.

    Attributes:
        stamp_ns: stamp of its header.
        received_ns: when it was received (live) or recorded (bag).
        sequence_ns: the stamp; if that cannot be used, the time of the message before plus the
            time between the two receipts, so that it is comparable with the stamps of others.
        fault: why the stamp cannot be used: 'zero_stamp', or 'repeated_stamp' if a message before
            has the same; empty if it can be used.
    """

    stamp_ns: int
    received_ns: int
    sequence_ns: int
    fault: str = ''

    @property
    def taken_ns(self) -> int:
        """The stamp, or if that cannot be used the time of receipt."""
        return self.received_ns if self.fault else self.stamp_ns


class StampSequence:
    """Finds the messages of one topic whose stamps cannot be used; for one thread at a time."""

    def __init__(self) -> None:
        """Start without messages."""
        self._last: MessageTime | None = None
        # Those that a message out of order may repeat, sorted.
        self._recent_ns: list[int] = []

    def reset(self) -> None:
        """Drop all messages, as after a time jump."""
        self._last = None
        self._recent_ns = []

    def add(self, stamp_ns: int, received_ns: int) -> MessageTime:
        """Return the time of the next message.

        Args:
            stamp_ns: stamp of its header, nanoseconds.
            received_ns: when it was received or recorded, nanoseconds; 0 = unknown.
        """
        fault, sequence_ns = self._fault(stamp_ns), stamp_ns
        if not fault:
            self._keep(stamp_ns)
        elif self._last is None:
            sequence_ns = received_ns
        else:
            sequence_ns = self._last.sequence_ns + max(received_ns - self._last.received_ns, 0)
        self._last = MessageTime(stamp_ns, received_ns, sequence_ns, fault)
        return self._last

    def _fault(self, stamp_ns: int) -> str:
        if not stamp_ns:
            return 'zero_stamp'
        index = bisect_left(self._recent_ns, stamp_ns)
        is_repeated = self._recent_ns[index : index + 1] == [stamp_ns]
        return 'repeated_stamp' if is_repeated else ''

    def _keep(self, stamp_ns: int) -> None:
        if self._recent_ns and is_restart(stamp_ns, self._recent_ns[-1]):
            self._recent_ns = []
        insort(self._recent_ns, stamp_ns)
        while is_restart(self._recent_ns[0], self._recent_ns[-1]):
            del self._recent_ns[0]
