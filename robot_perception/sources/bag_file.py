"""Reading a rosbag2 recording, whole or damaged, message by message."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
import re
import sys
from typing import NamedTuple, Protocol

from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader

from robot_perception.core.errors import SourceError
from robot_perception.sources.bag_salvage import BagMessage, damage, salvage

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

BAG_SUFFIXES = ('.mcap', '.db3')
_ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'


class BagTopic(NamedTuple):
    """A topic that holds messages, with the first of them."""

    name: str
    type_name: str
    message_count: int
    first: bytes


class BagFile(Protocol):
    """A recording, opened."""

    @property
    def duration_ns(self) -> int:
        """Time from the first to the last message."""

    @property
    def damage(self) -> SourceError | None:
        """What is known to be lost before reading."""

    def topics(self) -> list[BagTopic]:
        """Give the topics that hold messages."""

    def messages(self, topics: Collection[str]) -> Iterator[BagMessage]:
        """Give the messages of some topics in order; raise SourceError where reading ends."""

    def close(self) -> None:
        """Close the files."""


def open_bag(path: Path) -> BagFile:
    """Open the folder of a bag or a single bag file, damaged or not.

    Raises:
        SourceError: not a bag, or nothing in it can be read.

    """
    if not (path.is_file() or path.is_dir()):
        got = 'what is neither' if path.exists() else 'nothing there'
        raise SourceError(f'{path}: expected a bag, got {got}. Pass its folder or file.')
    if path.is_dir() and not (path / 'metadata.yaml').exists():
        raise SourceError(
            f'{path}: expected metadata.yaml beside the bag files, got none. '
            f'Run `ros2 bag reindex {path}`, or pass the bag file itself.'
        )
    try:
        return IndexedBag(path)
    except Exception as error:
        # rosbags names most of what broken bytes lead to, not all.
        files = _storage_files(path)
        if not files:
            raise SourceError(
                f'{path}: expected a readable rosbag2, got one that cannot be opened ({error}). '
                f'Run `ros2 bag reindex {path}`, or record it again.'
            ) from error
    return DamagedBag(files)


class IndexedBag:
    """A whole recording, read with its index."""

    damage: SourceError | None = None

    def __init__(self, path: Path) -> None:
        """Open the recording; whatever rosbags raises comes through."""
        self._path = path
        self._reader = Reader(path)
        self._reader.open()

    @property
    def duration_ns(self) -> int:
        """Time from the first to the last message."""
        # rosbags counts to the nanosecond after the last message.
        return max(self._reader.duration - 1, 0)

    def topics(self) -> list[BagTopic]:
        """Give the topics that hold messages."""
        topics = []
        for connection in self._reader.connections:
            for message in self._read([connection]):
                name, type_name = connection.topic, connection.msgtype
                topics.append(BagTopic(name, type_name, connection.msgcount, message.data))
                break
        return topics

    def messages(self, topics: Collection[str]) -> Iterator[BagMessage]:
        """Give the messages of some topics in order of recording."""
        return self._read([one for one in self._reader.connections if one.topic in topics])

    def close(self) -> None:
        """Close the files."""
        if self._reader.is_open:
            self._reader.close()

    def _read(self, connections: list[Connection]) -> Iterator[BagMessage]:
        count = 0
        try:
            for connection, stamp_ns, data in self._reader.messages(connections):
                yield BagMessage(connection.topic, connection.msgtype, stamp_ns, _plain(data))
                count += 1
        except Exception as error:
            raise damage(self._path, count, error) from error


class DamagedBag:
    """A recording of which at least one file was cut short."""

    def __init__(self, files: list[Path]) -> None:
        """Read all that is left once, to know what there is."""
        self._files = files
        self._topics: dict[str, BagTopic] = {}
        stamps_ns = []
        try:
            for message in self._all():
                known = self._topics.get(message.topic)
                self._topics[message.topic] = BagTopic(
                    message.topic,
                    message.type_name,
                    1 if known is None else known.message_count + 1,
                    message.data if known is None else known.first,
                )
                stamps_ns.append(message.stamp_ns)
        except SourceError as error:
            if not stamps_ns:
                raise
            self.damage: SourceError | None = error
        self.duration_ns = max(stamps_ns) - min(stamps_ns)

    def topics(self) -> list[BagTopic]:
        """Give the topics that hold messages."""
        return list(self._topics.values())

    def messages(self, topics: Collection[str]) -> Iterator[BagMessage]:
        """Give what is left of some topics in the order it was written, then raise."""
        return (message for message in self._all() if message.topic in topics)

    def close(self) -> None:
        """Nothing stays open."""

    def _all(self) -> Iterator[BagMessage]:
        problems: list[SourceError] = []
        for path in self._files:
            yield from _readable_messages(path, problems)
        if problems:
            raise problems[-1]


def _readable_messages(path: Path, problems: list[SourceError]) -> Iterator[BagMessage]:
    try:
        yield from _file_messages(path)
    except SourceError as error:
        problems.append(error)


def _file_messages(path: Path) -> Iterator[BagMessage]:
    try:
        whole = IndexedBag(path)
    except Exception:  # noqa: BLE001 - the same broad door as in open_bag()
        for message in salvage(path):
            yield message._replace(data=_plain(message.data))
        return
    try:
        yield from whole.messages([topic.name for topic in whole.topics()])
    finally:
        whole.close()


def _storage_files(path: Path) -> list[Path]:
    """Bag files that can be salvaged, in the order they were recorded."""
    files = [path] if path.is_file() else list(path.iterdir())
    return sorted((one for one in files if one.suffix in BAG_SUFFIXES), key=_part_number)


def _part_number(path: Path) -> tuple[int, str]:
    """Sort ``bag_10.mcap`` after ``bag_9.mcap``."""
    number = re.search(r'(\d+)$', path.stem)
    return (int(number[1]) if number else -1, path.name)


def _plain(data: bytes) -> bytes:
    """Undo the compression of single messages; no serialized message begins like it."""
    return zstd.decompress(data) if data.startswith(_ZSTD_MAGIC) else data
