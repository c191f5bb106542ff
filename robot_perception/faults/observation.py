"""What can be observed of a node: its entries in /diagnostics and its outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rclpy.serialization import deserialize_message

from robot_perception.conversions import Message
from robot_perception.nodes import message_class

OK, WARN, ERROR, STALE = range(4)
# Offset of the stamp in a serialized message that begins with a header.
_STAMP_AT, _STAMP_BYTES = 4, 8
_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Status:
    """One entry of a report in /diagnostics; level 0 OK, 1 WARN, 2 ERROR, 3 STALE."""

    level: int
    message: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the images, as /diagnostics states it."""

    received: int
    published: int
    dropped: Mapping[str, int]
    rejected: Mapping[str, int]
    waiting: int

    @classmethod
    def read(cls, report: Mapping[str, Status]) -> Counts:
        """Read them from a report."""
        values = report['frames'].values

        def ended(kind: str) -> dict[str, int]:
            return {
                name.removeprefix(kind): int(count)
                for name, count in values.items()
                if name.startswith(kind)
            }

        return cls(
            received=int(values['received']),
            published=int(values['published']),
            dropped=ended('dropped/'),
            rejected=ended('rejected/'),
            waiting=int(values['waiting']),
        )

    @property
    def unaccounted(self) -> int:
        """Images of which nothing is reported."""
        ended = self.published + sum(self.dropped.values()) + sum(self.rejected.values())
        return self.received - ended - self.waiting


@dataclass(frozen=True, slots=True)
class OutputMessage:
    """A serialized output of the node and the time of its receipt (monotonic)."""

    received_s: float
    data: bytes

    @property
    def stamp_ns(self) -> int:
        """Stamp of its header."""
        begin = _STAMP_AT
        sec = int.from_bytes(self.data[begin : begin + 4], 'little', signed=True)
        nanosec = int.from_bytes(self.data[begin + 4 : begin + 8], 'little')
        return sec * _NANOSECONDS + nanosec

    def without_stamp(self) -> bytes:
        """Return its bytes with zeros in place of its stamp, wherever that stands."""
        stamp = self.data[_STAMP_AT : _STAMP_AT + _STAMP_BYTES]
        return self.data.replace(stamp, bytes(_STAMP_BYTES))


def read_report(message: Message) -> dict[str, Status]:
    """Read a DiagnosticArray: entries by their names without that of the node."""
    return {
        status.name.partition(': ')[2]: Status(
            int.from_bytes(status.level, 'little'),
            status.message,
            {item.key: item.value for item in status.values},
        )
        for status in message.status
    }


def is_equal(data: bytes, other: bytes, type_name: str) -> bool:
    """Return whether two serialized messages are equal; bytes that only align do not count."""
    if data == other:
        return True
    kind = message_class(type_name)
    return repr(deserialize_message(data, kind)) == repr(deserialize_message(other, kind))
