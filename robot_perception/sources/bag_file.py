"""Reading a rosbag2 recording, whole or damaged, message by message."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
import re
import sys
from typing import NamedTuple

from rosbags.interfaces import Connection, Qos
from rosbags.interfaces import ConnectionExtRosbag2 as Rosbag2
from rosbags.rosbag2 import Reader

from robot_perception.core import DamagedBagError, SourceError
from robot_perception.sources.bag_salvage import BagMessage, cut_page, damage, salvage

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


class Definition(NamedTuple):
    """Definition of the messages of a topic, as the bag records it.

    Attributes:
        text: the .msg or .idl file with those it depends on.
        digest: hash of the type (RIHS01), empty when unknown.
        qos: quality of service that was offered.
    """

    text: str
    digest: str
    qos: tuple[Qos, ...]


def open_bag(path: Path) -> BagFile:
    """Open the folder of a bag or a single bag file, damaged or not.

    Raises:
        SourceError: not a bag, or nothing in it can be read.
    """
    if not (path.is_file() or path.is_dir()):
        got = 'what is neither' if path.exists() else 'nothing there'
        raise SourceError(
            'missing_file', f'{path}: expected a bag, got {got}. Pass its folder or file.'
        )
    if path.is_dir() and not (path / 'metadata.yaml').exists():
        files = _storage_files(path)
        if not files:
            raise SourceError(
                'not_a_bag',
                f'{path}: expected metadata.yaml or files that end with '
                f'{" or ".join(BAG_SUFFIXES)}, got neither. '
                f'Run `ros2 bag reindex {path}`, or name the folder of the bag.',
            )
        return ScannedBag(files)
    if path.is_file() and not set(BAG_SUFFIXES) & set(path.suffixes):
        raise SourceError(
            'not_a_bag',
            f'{path}: expected a bag, got a file that ends with neither '
            f'{" nor ".join(sorted(BAG_SUFFIXES))}. Pass the folder of a rosbag2, or one of its '
            'files; for a .bag of ROS 1 run `rosbags-convert` first.',
        )
    try:
        return IndexedBag(path)
    except Exception as error:
        # rosbags names most of what broken bytes lead to, not all.
        files = _storage_files(path)
        if not files:
            raise SourceError(
                'damaged',
                f'{path}: expected a readable rosbag2, got one that cannot be opened ({error}). '
                f'Run `ros2 bag reindex {path}`, or record it again.',
            ) from error
    return ScannedBag(files)


class Part(NamedTuple):
    """A part of a recording: topics, and times of recording; None for no limit."""

    topics: Collection[str]
    begin_ns: int | None
    end_ns: int | None

    def has(self, message: BagMessage) -> bool:
        """Return whether a message belongs to it."""
        return (
            message.topic in self.topics
            and (self.begin_ns is None or message.stamp_ns >= self.begin_ns)
            and (self.end_ns is None or message.stamp_ns < self.end_ns)
        )


class IndexedBag:
    """A whole recording, read with its index.

    Attributes:
        damage: nothing is known to be lost before reading.
    """

    damage: SourceError | None = None

    def __init__(self, path: Path) -> None:
        """Open the recording; whatever rosbags raises comes through."""
        self._path = path
        for file in _storage_files(path):
            # sqlite3 reads zeros beyond the end, without an error.
            if cut_page(file):
                raise DamagedBagError('damaged', f'{file} ends within a page')
        self._topics: list[BagTopic] | None = None
        self._reader = Reader(path)
        self._reader.open()

    @property
    def duration_ns(self) -> int:
        """Time from the first to the last message."""
        # rosbags counts to the nanosecond after the last message.
        return max(self._reader.duration - 1, 0)

    @property
    def begin_ns(self) -> int:
        """Time of the first message; 0 without any."""
        return self._reader.start_time if self._reader.message_count else 0

    @property
    def names(self) -> list[str]:
        """Names of all topics, also of those without messages."""
        return [one.topic for one in self._reader.connections]

    def topics(self) -> list[BagTopic]:
        """Return the topics that hold messages; their first messages are read once."""
        if self._topics is None:
            self._topics = [
                BagTopic(first.topic, first.type_name, one.msgcount, first.data)
                for one in self._reader.connections
                for first in self._read_first(one)
            ]
        return self._topics

    def _read_first(self, connection: Connection) -> list[BagMessage]:
        """Read the first message of a topic, none if all of them are lost."""
        try:
            return list(islice(self._read([connection]), 1))
        except DamagedBagError:
            return []

    def definition(self, topic: str) -> Definition | None:
        """Return the definition of a topic's messages; None if the bag has none."""
        for one in self._reader.connections:
            if one.topic == topic and one.msgdef.data and isinstance(one.ext, Rosbag2):
                return Definition(one.msgdef.data, one.digest, tuple(one.ext.offered_qos_profiles))
        return None

    def messages(
        self, topics: Collection[str], begin_ns: int | None = None, end_ns: int | None = None
    ) -> Iterator[BagMessage]:
        """Yield the messages of some topics in order; raise SourceError where reading ends.

        Args:
            topics: full names.
            begin_ns: time of recording of the first; None from the beginning.
            end_ns: time of recording that is not given any more; None to the end.
        """
        chosen = [one for one in self._reader.connections if one.topic in topics]
        # To rosbags no connections are all of them.
        return self._read(chosen, begin_ns, end_ns) if chosen else iter(())

    def close(self) -> None:
        """Close the files."""
        if self._reader.is_open:
            self._reader.close()

    def _read(
        self,
        connections: list[Connection],
        begin_ns: int | None = None,
        end_ns: int | None = None,
    ) -> Iterator[BagMessage]:
        count = repeated = 0
        last_ns: int | None = None
        try:
            for connection, stamp_ns, data in self._reader.messages(connections, begin_ns, end_ns):
                yield BagMessage(connection.topic, connection.msgtype, stamp_ns, _plain(data))
                count += 1
                repeated = repeated + 1 if stamp_ns == last_ns else 1
                last_ns = stamp_ns
        except Exception as error:
            wanted = Part({one.topic for one in connections}, begin_ns, end_ns)
            for message in self._rest(wanted, last_ns, repeated):
                yield message
                count += 1
            raise damage(self._path, count, error) from error

    def _rest(self, wanted: Part, last_ns: int | None, repeated: int) -> Iterator[BagMessage]:
        """Yield what is whole beyond the damage: after the last message, without its index."""
        for path in _storage_files(self._path):
            # The damage is known already.
            with suppress(SourceError):
                for message in _salvage_plain(path):
                    is_new = last_ns is None or message.stamp_ns > last_ns
                    if message.stamp_ns == last_ns and wanted.has(message):
                        repeated -= 1
                        is_new = repeated < 0
                    if is_new and wanted.has(message):
                        yield message


class ScannedBag:
    """A recording whose index or metadata is lost, such as one that was cut short.

    Attributes:
        damage: what is known to be lost before reading.
        begin_ns: time of the first message; 0 without any.
        duration_ns: time from the first to the last message.
    """

    def __init__(self, files: list[Path]) -> None:
        """Read all that is left once, to know what there is."""
        self._files = files
        self.damage: SourceError | None = None
        self._definitions: dict[str, Definition] = {}
        first: dict[str, BagMessage] = {}
        counts: Counter[str] = Counter()
        stamps_ns = []
        try:
            for message in self._all():
                first.setdefault(message.topic, message)
                counts[message.topic] += 1
                stamps_ns.append(message.stamp_ns)
        except SourceError as error:
            if not stamps_ns:
                raise
            self.damage = error
        self._topics = [
            BagTopic(name, one.type_name, counts[name], one.data) for name, one in first.items()
        ]
        self.begin_ns = min(stamps_ns, default=0)
        self.duration_ns = max(stamps_ns, default=0) - self.begin_ns

    def topics(self) -> list[BagTopic]:
        """Return the topics that hold messages."""
        return self._topics

    def definition(self, topic: str) -> Definition | None:
        """Return the definition of a topic's messages; None if the files have none."""
        return self._definitions.get(topic)

    def messages(
        self, topics: Collection[str], begin_ns: int | None = None, end_ns: int | None = None
    ) -> Iterator[BagMessage]:
        """Yield the readable messages of some topics in the order of writing, then raise."""
        yield from filter(Part(topics, begin_ns, end_ns).has, self._all())

    def close(self) -> None:
        """Nothing stays open."""

    def _all(self) -> Iterator[BagMessage]:
        problems: list[SourceError] = []
        for path in self._files:
            try:
                yield from self._of_file(path)
            except SourceError as error:  # noqa: PERF203 - the other files are read all the same
                problems.append(error)
        if problems:
            raise problems[-1]

    def _of_file(self, path: Path) -> Iterator[BagMessage]:
        try:
            whole = IndexedBag(path)
        except Exception:  # noqa: BLE001 - as broad as in open_bag()
            yield from _salvage_plain(path)
            return
        try:
            for name in whole.names:
                definition = whole.definition(name)
                if definition is not None:
                    self._definitions.setdefault(name, definition)
            yield from whole.messages(whole.names)
        finally:
            whole.close()


BagFile = IndexedBag | ScannedBag


def _salvage_plain(path: Path) -> Iterator[BagMessage]:
    """Yield the whole messages of a damaged file without their compression, then raise."""
    for count, message in enumerate(salvage(path)):
        try:
            data = _plain(message.data)
        except zstd.ZstdError as error:
            raise damage(path, count, error) from error
        yield message._replace(data=data)


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
