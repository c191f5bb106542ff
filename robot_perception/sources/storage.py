"""What the files of a bag have in common: messages and topics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from rosbags.interfaces import Qos
from rosbags.rosbag2.metadata import parse_qos

from robot_perception.core import DamagedBagError

_CDR = ('cdr', '')


class BagMessage(NamedTuple):
    """A message of a bag, serialized as it was recorded."""

    topic: str
    type_name: str
    stamp_ns: int
    data: bytes


class Definition(NamedTuple):
    """Definition of the messages of a topic, as the bag records it.

    Attributes:
        text: the .msg or .idl file with those it depends on; empty when unknown.
        digest: hash of the type (RIHS01), empty when unknown.
        qos: quality of service that was offered.
    """

    text: str
    digest: str
    qos: tuple[Qos, ...]


class StoredTopic(NamedTuple):
    """A topic of one file.

    Attributes:
        name: full name.
        type_name: ROS type; see `ros_type`.
        message_count: messages in the file.
        definition: of its messages.
    """

    name: str
    type_name: str
    message_count: int
    definition: Definition


class Part(NamedTuple):
    """A part of a recording: types by topic, and times of recording; None for no limit."""

    types: Mapping[str, str]
    begin_ns: int | None = None
    end_ns: int | None = None

    def has(self, message: BagMessage) -> bool:
        """Return whether a message belongs to it."""
        is_chosen = self.types.get(message.topic) == message.type_name
        return is_chosen and self.has_time(message.stamp_ns)

    def has_time(self, stamp_ns: int) -> bool:
        """Return whether a time of recording lies in it."""
        return (self.begin_ns is None or stamp_ns >= self.begin_ns) and (
            self.end_ns is None or stamp_ns < self.end_ns
        )


class StorageFile(ABC):
    """One file of a bag.

    Attributes:
        topics: topics in the file, also those without messages.
        times_ns: times of recording of the first and the last message; None without any.
        damage: what is known to be lost before reading.
    """

    topics: list[StoredTopic]
    times_ns: tuple[int, int] | None
    damage: DamagedBagError | None = None

    @abstractmethod
    def messages(self, part: Part) -> Iterator[BagMessage]:
        """Yield the messages of a part in order of recording.

        Raises:
            DamagedBagError: after the last message that could be read, when something could not.
        """

    @abstractmethod
    def close(self) -> None:
        """Close the file."""


def ros_type(name: str, encoding: str) -> str:
    """Return the full name of a type: ``sensor_msgs/Image`` is ``sensor_msgs/msg/Image``.

    A type whose messages are not serialized as ROS 2 does has its encoding behind it.
    """
    if encoding not in _CDR:
        return f'{name} ({encoding})'
    package, _, rest = name.partition('/')
    return f'{package}/msg/{rest}' if rest and '/' not in rest else name


def offered_qos(recorded: object) -> tuple[Qos, ...]:
    """Return a recorded quality of service; it decides nothing, so a broken one is empty."""
    return _read_qos(recorded) if isinstance(recorded, str) else _parse_qos(recorded)


# Of a bag most topics have the same text, and YAML takes milliseconds.
@lru_cache(maxsize=64)
def _read_qos(text: str) -> tuple[Qos, ...]:
    return _parse_qos(text)


def _parse_qos(recorded: object) -> tuple[Qos, ...]:
    with suppress(Exception):
        return tuple(parse_qos(recorded))  # type: ignore[arg-type]
    return ()


def damage(path: Path, count: int, problem: object) -> DamagedBagError:
    """Return the error for a file of which only ``count`` messages could be read."""
    if count == 0:
        return DamagedBagError(
            'damaged',
            f'{path}: expected a bag file, got one without a whole message ({problem}). '
            'Pass a rosbag2 recording (sqlite3 or mcap).',
        )
    return DamagedBagError(
        'damaged',
        f'{path}: expected a whole bag file, got one that breaks off after {count} messages '
        f'({problem}), or in which others are damaged. Those are used; record again to have the '
        'rest.',
    )
