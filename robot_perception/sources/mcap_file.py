"""Reading of mcap files: of any writer, with or without an index, whole or damaged.

An index stands at the end of a file, where a cut takes it away, and writers may leave it out.
Such a file is scanned once, which finds the same: where each message is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from heapq import heappop, heappush
from pathlib import Path
import struct
from typing import NamedTuple

from robot_perception.sources.compression import check_size, MAX_BYTES
from robot_perception.sources.mcap_records import (
    Block,
    chunk_content,
    indexed_block,
    KEY_AND_NUMBER,
    message,
    RECORD,
    records,
    strings,
)
from robot_perception.sources.storage import (
    BagMessage,
    damage,
    Definition,
    offered_qos,
    Part,
    ros_type,
    StorageFile,
    StoredTopic,
)

MCAP_MAGIC = b'\x89MCAP0\r\n'
_FOOTER, _SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _CHUNK_INDEX = 0x02, 0x03, 0x04, 0x05, 0x06, 0x08
_STATISTICS = 0x0B
_STATISTICS_HEAD = struct.Struct('<QHIIIIQQI')
_FOOTER_SIZE = RECORD.size + 20 + len(MCAP_MAGIC)


class _Schema(NamedTuple):
    name: str
    encoding: str
    text: str


class _Channel(NamedTuple):
    schema: int
    topic: str
    encoding: str
    metadata: dict[str, str]


class McapFile(StorageFile):
    """An mcap file. A chunk that is damaged loses its own messages only."""

    def __init__(self, path: Path, called: Path) -> None:
        """Read the index of a file, or scan it; errors name ``called``.

        Raises:
            DamagedBagError: it is damaged, and no message is left in it.
        """
        self._called = called
        self._stream = path.open('rb')
        self._size = path.stat().st_size
        self._schemas: dict[int, _Schema] = {}
        self._channels: dict[int, _Channel] = {}
        self._blocks: list[Block] = []
        try:
            has_end, counts = self._read_summary()
            if counts is None:
                counts = self._scan(has_end=has_end)
        except BaseException:
            self.close()
            raise
        self.times_ns = None
        if self._blocks:
            self.times_ns = (
                min(block.begin_ns for block in self._blocks),
                max(block.end_ns for block in self._blocks),
            )
        self.topics = [
            self._topic(one, counts[key])
            for key, one in self._channels.items()
            if self._is_known(one)
        ]

    def messages(self, part: Part) -> Iterator[BagMessage]:
        """Yield the messages of a part in order of recording, then raise if some are damaged."""
        wanted = {
            key: (one.topic, self._type_name(one))
            for key, one in self._channels.items()
            if self._is_known(one) and part.types.get(one.topic) == self._type_name(one)
        }
        heap: list[tuple[int, int, int, int, memoryview]] = []
        count = 0
        problem: Exception | None = None
        for number, block in enumerate(sorted(self._blocks)):
            if not any(key in wanted for key in block.channels) or _lies_outside(block, part):
                continue
            # What the following blocks hold is not earlier.
            while heap and heap[0][0] < block.begin_ns:
                yield _popped(heap, wanted)
                count += 1
            try:
                for index, (key, stamp_ns, data) in enumerate(self._content(block.offset)):
                    if key in wanted and part.has_time(stamp_ns):
                        heappush(heap, (stamp_ns, number, index, key, data))
            except Exception as error:  # noqa: BLE001 - a parser of broken bytes raises anything
                problem = problem or error
        while heap:
            yield _popped(heap, wanted)
            count += 1
        if problem is not None and self.damage is None:
            raise damage(self._called, count, problem)
        if self.damage is not None:
            raise self.damage

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _is_known(self, channel: _Channel | None) -> bool:
        """Return whether a channel is defined, and its schema; number 0 is no schema."""
        return channel is not None and (channel.schema == 0 or channel.schema in self._schemas)

    def _type_name(self, channel: _Channel) -> str:
        schema = self._schemas.get(channel.schema, _Schema('', '', ''))
        return ros_type(schema.name, channel.encoding)

    def _topic(self, channel: _Channel, count: int) -> StoredTopic:
        definition = Definition(
            self._schemas[channel.schema].text if channel.schema else '',
            channel.metadata.get('topic_type_hash', ''),
            offered_qos(channel.metadata.get('offered_qos_profiles', '')),
        )
        return StoredTopic(channel.topic, self._type_name(channel), count, definition)

    def _read_summary(self) -> tuple[bool, Counter[int] | None]:
        """Read the summary.

        Returns:
            Whether the end of the file is there, and the number of messages by channel; None if
            the summary does not state where all of them are.
        """
        stream = self._stream
        stream.seek(max(self._size - _FOOTER_SIZE, len(MCAP_MAGIC)))
        footer = stream.read()
        if len(footer) < _FOOTER_SIZE or not footer.endswith(MCAP_MAGIC) or footer[0] != _FOOTER:
            return False, None
        begin = int.from_bytes(footer[RECORD.size : RECORD.size + 8], 'little')
        size = self._size - _FOOTER_SIZE - begin
        if begin == 0 or not 0 <= size <= MAX_BYTES:
            return True, None
        stream.seek(begin)
        statistics, chunk_count = None, 0
        try:
            for code, body in records(memoryview(stream.read(size))):
                self._define(code, body)
                if code == _CHUNK_INDEX:
                    self._blocks.append(indexed_block(body))
                elif code == _STATISTICS:
                    head = _STATISTICS_HEAD.unpack_from(body)
                    chunk_count = head[5]
                    rows = body[_STATISTICS_HEAD.size :][: head[-1]]
                    statistics = Counter(dict(KEY_AND_NUMBER.iter_unpack(rows)))
        except Exception:  # noqa: BLE001 - a parser of broken bytes raises anything
            statistics = None
        is_complete = (
            statistics is not None
            and len({block.offset for block in self._blocks}) == chunk_count
            and all(block.channels for block in self._blocks)
            and all(self._is_known(self._channels.get(key)) for key in statistics)
            and bool(self._blocks or not statistics.total())
        )
        if not is_complete:
            self._blocks.clear()
        return True, statistics if is_complete else None

    def _scan(self, *, has_end: bool) -> Counter[int]:
        """Find all messages; return their number by channel."""
        counts: Counter[int] = Counter()
        problem: object = None if has_end else 'it has no index'
        offset = len(MCAP_MAGIC)
        while offset < self._size:
            self._stream.seek(offset)
            head = self._stream.read(RECORD.size).ljust(RECORD.size, b'\0')
            code, size = RECORD.unpack(head)
            if code == _FOOTER:
                break
            try:
                if code in {_MESSAGE, _CHUNK}:
                    self._scan_block(offset, counts)
                elif code in {_SCHEMA, _CHANNEL}:
                    self._define(code, self._record(offset)[1])
            except Exception as error:  # noqa: BLE001 - a parser of broken bytes raises anything
                problem = error
            offset += RECORD.size + size
        if offset > self._size:
            problem = 'a record is cut'
        if any(not self._is_known(self._channels.get(key)) for key in counts):
            problem = 'the topic of some is not defined'
        if problem is not None:
            self.damage = damage(self._called, counts.total(), problem)
            if not counts:
                raise self.damage
        return counts

    def _scan_block(self, offset: int, counts: Counter[int]) -> None:
        channels: Counter[int] = Counter()
        begin_ns, end_ns = 2**64, 0
        try:
            for key, stamp_ns, _ in self._content(offset):
                channels[key] += 1
                begin_ns, end_ns = min(begin_ns, stamp_ns), max(end_ns, stamp_ns)
        finally:
            # What comes before the damage counts.
            if channels:
                self._blocks.append(Block(begin_ns, end_ns, offset, frozenset(channels)))
                counts += channels

    def _content(self, offset: int) -> Iterator[tuple[int, int, memoryview]]:
        """Yield channel, time and data of the messages of a block, then raise if it is damaged."""
        code, body, is_cut = self._record(offset)
        if code == _CHUNK:
            for inner, record in records(chunk_content(body, is_cut=is_cut)):
                if inner == _MESSAGE:
                    yield message(record)
                else:
                    self._define(inner, record)
        elif not is_cut:
            yield message(body)
        if is_cut:
            raise ValueError('a record is cut')

    def _record(self, offset: int) -> tuple[int, memoryview, bool]:
        """Return code and content of a record, and whether the file ends within it."""
        self._stream.seek(offset)
        code, size = RECORD.unpack(self._stream.read(RECORD.size))
        left = self._size - offset - RECORD.size
        check_size(min(size, left), 'a record')
        return code, memoryview(self._stream.read(min(size, left))), size > left

    def _define(self, code: int, body: memoryview) -> None:
        """Keep a schema or a channel."""
        if code == _SCHEMA:
            (name, encoding), end = strings(body, 2, 2)
            size = int.from_bytes(body[end : end + 4], 'little')
            text = bytes(body[end + 4 : end + 4 + size]).decode(errors='replace')
            self._schemas[int.from_bytes(body[:2], 'little')] = _Schema(name, encoding, text)
        elif code == _CHANNEL:
            key, schema = struct.unpack_from('<HH', body)
            (topic, encoding), end = strings(body, 4, 2)
            texts: list[str] = []
            position = end + 4
            while position < end + 4 + int.from_bytes(body[end : end + 4], 'little'):
                pair, position = strings(body, position, 2)
                texts += pair
            metadata = dict(zip(texts[::2], texts[1::2], strict=True))
            self._channels[key] = _Channel(schema, topic, encoding, metadata)


def _popped(
    heap: list[tuple[int, int, int, int, memoryview]], wanted: dict[int, tuple[str, str]]
) -> BagMessage:
    stamp_ns, _, _, key, data = heappop(heap)
    return BagMessage(*wanted[key], stamp_ns, bytes(data))


def _lies_outside(block: Block, part: Part) -> bool:
    return (part.begin_ns is not None and block.end_ns < part.begin_ns) or (
        part.end_ns is not None and block.begin_ns >= part.end_ns
    )
