"""Reading a rosbag2 recording, whole or damaged, message by message."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
import re
from typing import NamedTuple

from robot_perception.core import DamagedBagError, MissingLibraryError, SourceError
from robot_perception.sources.bag_metadata import Metadata, METADATA_NAME, read_metadata
from robot_perception.sources.compressed_video import is_video, VideoDecoder
from robot_perception.sources.compression import plain
from robot_perception.sources.foxglove import is_foxglove, ros_message
from robot_perception.sources.storage import (
    BagMessage,
    damage,
    Definition,
    Part,
    StorageFile,
)
from robot_perception.sources.storage_files import (
    BAG_SUFFIXES,
    inflated_name,
    is_storage_name,
    open_storage,
)

_NAMED_AT_MOST = 5


class BagTopic(NamedTuple):
    """A topic that holds messages, with the first of them."""

    name: str
    type_name: str
    message_count: int
    first: bytes


def is_bag(path: Path) -> bool:
    """Whether an existing path is a rosbag2, a folder or a single file."""
    if path.is_dir():
        return (path / METADATA_NAME).is_file() or bool(_storage_files(path))
    return path.is_file() and is_storage_name(path)


def open_bag(path: Path) -> BagFile:
    """Open the folder of a bag or a single bag file, damaged or not.

    Raises:
        SourceError: not a bag, or nothing in it can be read.
    """
    if path.is_file():
        if not is_storage_name(path):
            raise SourceError(
                'not_a_bag',
                f'{path}: expected a bag, got a file that ends with neither '
                f'{" nor ".join(sorted(BAG_SUFFIXES))}. Pass the folder of a rosbag2, or one of '
                'its files; for a .bag of ROS 1 run `rosbags-convert` first.',
            )
        return BagFile(path, [path], None)
    if not path.is_dir():
        got = 'a device or a pipe' if path.exists() else 'nothing there'
        raise SourceError(
            'missing_file', f'{path}: expected a bag, got {got}. Pass its folder or file.'
        )
    files = _storage_files(path)
    if not files and not (path / METADATA_NAME).is_file():
        raise SourceError(
            'not_a_bag',
            f'{path}: expected metadata.yaml or files that end with '
            f'{" or ".join(BAG_SUFFIXES)}, got neither. '
            f'Run `ros2 bag reindex {path}`, or name the folder of the bag.',
        )
    metadata = read_metadata(path)
    if metadata is None and not files:
        raise SourceError(
            'damaged',
            f'{path}: expected a readable rosbag2, got a {METADATA_NAME} that cannot be read and '
            'no other file. Copy the recording again, or record it again.',
        )
    return BagFile(path, files, metadata)


class BagFile:
    """A recording. Its files decide what is read; metadata.yaml lists which files there are.

    Attributes:
        damage: what is known to be lost before reading.
        notes: sentences about what a user may want to know.
        begin_ns: time of recording of the first message; 0 without any.
        duration_ns: time from the first to the last message.
    """

    def __init__(self, path: Path, found: Sequence[Path], metadata: Metadata | None) -> None:
        """Open the files.

        Args:
            path: the bag, for messages.
            found: its files.
            metadata: what metadata.yaml lists; None without one.

        Raises:
            SourceError: nothing can be read.
        """
        self._path = path
        self._metadata = metadata
        self._lost: list[DamagedBagError] = []
        self.notes: tuple[str, ...] = ()
        files = list(found) if metadata is None else self._listed(metadata, found)
        if metadata is None and (path / METADATA_NAME).exists():
            self._note(f'{METADATA_NAME} cannot be read; the files are read without it.')
        with ExitStack() as stack:
            self._files = list(self._opened(files, stack))
            if not self._files:
                raise self._lost[0]
            self._stack = stack.pop_all()
        self.damage = _joined([*self._lost, *(one.damage for one in self._files if one.damage)])
        times_ns = [one.times_ns for one in self._files if one.times_ns is not None]
        self.begin_ns = min((begin_ns for begin_ns, _ in times_ns), default=0)
        self.duration_ns = max((end_ns for _, end_ns in times_ns), default=0) - self.begin_ns
        self._types, self._counts = self._merged_topics()
        if metadata is not None and self.damage is None:
            self._compare_counts(metadata)
        self._topics: list[BagTopic] | None = None

    def topics(self) -> list[BagTopic]:
        """Return the topics that hold messages; their first messages are read once."""
        if self._topics is None:
            self._topics = list(self._inspected())
        return self._topics

    def definition(self, topic: str) -> Definition | None:
        """Return the definition of a topic's messages; None if the bag has none."""
        metadata = self._metadata
        listed = None if metadata is None else metadata.definitions.get(topic)
        for file in self._files:
            for one in file.topics:
                is_chosen = (one.name, one.type_name) == (topic, self._types.get(topic))
                if is_chosen and one.definition.text and not _is_converted(one.type_name):
                    return Definition(
                        one.definition.text,
                        (listed and listed.digest) or one.definition.digest,
                        (listed and listed.qos) or one.definition.qos,
                    )
        return None

    def messages(
        self, topics: Collection[str], begin_ns: int | None = None, end_ns: int | None = None
    ) -> Iterator[BagMessage]:
        """Yield the messages of some topics in order of recording, file by file.

        Args:
            topics: full names.
            begin_ns: time of recording of the first; None from the beginning.
            end_ns: time of recording that is not given any more; None to the end.

        Raises:
            DamagedBagError: after the last message that could be read, when something is lost.
        """
        types = {name: type_name for name, type_name in self._types.items() if name in topics}
        part = Part(types, begin_ns, end_ns)
        yield from self._messages(part, VideoDecoder())

    def _messages(self, part: Part, decoder: VideoDecoder) -> Iterator[BagMessage]:
        problems = [*self._lost]
        begin_ns = part.begin_ns
        if any(is_video(type_name) for type_name in part.types.values()):
            # A picture of a video depends on those before it.
            part = part._replace(begin_ns=None)
        for file in self._files:
            try:
                for message in self._of_file(file, part, decoder):
                    if begin_ns is None or message.stamp_ns >= begin_ns:
                        yield message
            except DamagedBagError as error:  # noqa: PERF203 - the other files are read too
                problems.append(error)
        lost = _joined(problems)
        if lost is not None:
            raise lost

    def close(self) -> None:
        """Close the files."""
        self._stack.close()

    def _opened(self, files: Sequence[Path], stack: ExitStack) -> Iterator[StorageFile]:
        """Open files; keep what is lost of them."""
        for path in files:
            try:
                opened, lost = open_storage(path, stack)
            except DamagedBagError as error:  # noqa: PERF203 - the other files are read too
                self._lost.append(error)
            else:
                self._lost += [lost] if lost else []
                yield opened

    def _of_file(
        self, file: StorageFile, part: Part, decoder: VideoDecoder
    ) -> Iterator[BagMessage]:
        count = 0
        problem: Exception | None = None
        for message in file.messages(part):
            try:
                made = decoder.ros_message(ros_message(message._replace(data=plain(message.data))))
            except ValueError as error:
                problem = error
                continue
            if made is not None:
                yield made
            count += 1
        if problem is not None:
            raise damage(self._path, count, problem)

    def _inspected(self) -> Iterator[BagTopic]:
        """Yield the topics that hold messages, with the first of each."""
        for name, type_name in self._types.items():
            decoder = VideoDecoder()
            first = None
            try:
                # The pass over all messages reports damage.
                with suppress(SourceError):
                    first = next(self._messages(Part({name: type_name}), decoder), None)
            except MissingLibraryError as error:
                self._note(f'{name} is video, which is not read: {error}')
                first = BagMessage(name, type_name, 0, b'')
            if decoder.skipped[name]:
                self._note(
                    f'{name}: {decoder.skipped[name]} pictures before the first key frame of the '
                    'video cannot be decoded.'
                )
            if first is not None:
                yield BagTopic(name, first.type_name, self._counts[name], first.data)

    def _note(self, text: str) -> None:
        self.notes += (f'{self._path}: {text}',)

    def _listed(self, metadata: Metadata, found: Sequence[Path]) -> list[Path]:
        """Return the files that belong to the bag; keep what is missing."""
        left = {inflated_name(one.name): one for one in found}
        names = list(dict.fromkeys(inflated_name(name) for name in metadata.files))
        listed = [left.pop(name) for name in names if name in left]
        missing = [name for name in names if name not in {*map(_plain_name, listed)}]
        others = list(left.values())
        if missing and len(others) >= len(missing):
            # Files were renamed.
            self._note(
                f'{METADATA_NAME} names {_few(missing)}; '
                f'{_few([one.name for one in others])} is read instead.'
            )
            return sorted([*listed, *others], key=_part_number) if listed else others
        if missing:
            self._lost.append(
                DamagedBagError(
                    'missing_file',
                    f'{self._path}: expected {len(names)} files, got {len(listed)}: '
                    f'{_few(missing)} missing. What is there is used; copy the others too.',
                )
            )
            return sorted([*listed, *others], key=_part_number)
        if others:
            self._note(
                f'{_few([one.name for one in others])} is not read, as '
                f'{METADATA_NAME} does not name it. Pass it by its name.'
            )
        return listed

    def _merged_topics(self) -> tuple[dict[str, str], Counter[str]]:
        """Return type and number of messages by topic; one topic may be in several channels."""
        counts: Counter[tuple[str, str]] = Counter()
        for file in self._files:
            for one in file.topics:
                counts[one.name, one.type_name] += one.message_count
        types: dict[str, str] = {}
        for (name, type_name), count in counts.items():
            if name not in types or count > counts[name, types[name]]:
                types[name] = type_name
        for name, type_name in counts:
            if types[name] != type_name and counts[name, type_name]:
                self._note(f'{name} has messages of two types; those of {type_name} are not read.')
        return types, Counter({name: counts[name, kind] for name, kind in types.items()})

    def _compare_counts(self, metadata: Metadata) -> None:
        different = [
            f'{name} ({count} there, {self._counts[name]} in the files)'
            for name, count in metadata.counts.items()
            if count != self._counts[name]
        ]
        if different:
            self._note(
                f'{METADATA_NAME} has other numbers of messages than the files: '
                f'{_few(different)}. The files are read.'
            )


def _is_converted(type_name: str) -> bool:
    return is_foxglove(type_name) or is_video(type_name)


def _joined(problems: Sequence[DamagedBagError]) -> DamagedBagError | None:
    """Return one error for all problems; None without any."""
    if not problems:
        return None
    return DamagedBagError(problems[0].reason, ' '.join(map(str, problems)))


def _few(names: Sequence[str]) -> str:
    rest = len(names) - _NAMED_AT_MOST
    return ', '.join(names[:_NAMED_AT_MOST]) + (f' and {rest} others' if rest > 0 else '')


def _plain_name(path: Path) -> str:
    return inflated_name(path.name)


def _storage_files(folder: Path) -> list[Path]:
    """Bag files of a folder in the order they were recorded; a pipe is none."""
    files = (one for one in folder.iterdir() if is_storage_name(one) and one.is_file())
    return sorted(files, key=_part_number)


def _part_number(path: Path) -> tuple[int, str]:
    """Sort ``bag_10.mcap`` after ``bag_9.mcap``."""
    number = re.search(r'(\d+)$', Path(_plain_name(path)).stem)
    return (int(number[1]) if number else -1, path.name)
