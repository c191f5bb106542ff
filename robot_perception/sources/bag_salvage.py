"""What is left of a bag file that was cut short: a full disk, a lost power supply.

An index stands at the end of an mcap file and all over an sqlite3 one, so a cut takes it away
and a normal reader refuses the file. Here the messages are read one after the other until the
cut, without any index.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path
import sqlite3
import struct
from typing import BinaryIO, NamedTuple

from rosbags.rosbag2.storage_mcap import decompress

from robot_perception.core.errors import SourceError

_MCAP_MAGIC = b'\x89MCAP0\r\n'
_SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _DATA_END = 0x03, 0x04, 0x05, 0x06, 0x0F
_RECORD = struct.Struct('<BQ')
_MESSAGE_HEAD = struct.Struct('<HIQQ')
_CHUNK_HEAD = struct.Struct('<QQQI')


class BagMessage(NamedTuple):
    """A message of a bag, serialized as it was recorded."""

    topic: str
    type_name: str
    stamp_ns: int
    data: bytes


def salvage(path: Path) -> Iterator[BagMessage]:
    """Give the whole messages of a damaged file, in the order they were written.

    Raises:
        SourceError: always, at the end: says what the damage is.

    """
    count = 0
    problem: object = 'it has no index'
    try:
        for message in _MCAP_OR_SQLITE[path.suffix](path):
            count += 1
            yield message
    except Exception as error:  # noqa: BLE001 - a parser of broken bytes raises anything
        problem = error
    raise damage(path, count, problem)


def damage(path: Path, count: int, problem: object) -> SourceError:
    """Say that only the first ``count`` messages of a file could be read."""
    if count == 0:
        return SourceError(
            f'{path}: expected a bag file, got one without a whole message ({problem}). '
            'Pass a rosbag2 recording (sqlite3 or mcap).'
        )
    return SourceError(
        f'{path}: expected a whole bag file, got one that breaks off after {count} messages '
        f'({problem}). Those are used; record again to have the rest.'
    )


def _salvage_sqlite3(path: Path) -> Iterator[BagMessage]:
    with closing(sqlite3.connect(f'{path.resolve().as_uri()}?immutable=1', uri=True)) as database:
        # Lets a database be opened that is shorter than its header says.
        database.execute('PRAGMA writable_schema=ON')
        topics = {
            key: (name, type_name)
            for key, name, type_name in database.execute('SELECT id, name, type FROM topics')
        }
        # NOT INDEXED: walk the table itself, as the index may be lost.
        rows = database.execute(
            'SELECT topic_id, timestamp, data FROM messages NOT INDEXED ORDER BY id'
        )
        for key, stamp_ns, data in rows:
            yield BagMessage(*topics[key], stamp_ns, data)


def _salvage_mcap(path: Path) -> Iterator[BagMessage]:
    with path.open('rb') as stream:
        if stream.read(len(_MCAP_MAGIC)) != _MCAP_MAGIC:
            raise ValueError('not an mcap file')
        yield from _McapScan().messages(stream)


class _McapScan:
    """Reads records one after the other and remembers what channels are."""

    def __init__(self) -> None:
        self._schemas: dict[int, str] = {}
        self._channels: dict[int, tuple[str, str]] = {}

    def messages(self, stream: BinaryIO) -> Iterator[BagMessage]:
        while head := stream.read(_RECORD.size):
            if len(head) < _RECORD.size:
                raise ValueError('a record is cut')
            code, size = _RECORD.unpack(head)
            if code == _DATA_END:
                return
            yield from self._record(code, stream, size)

    def _record(self, code: int, stream: BinaryIO, size: int) -> Iterator[BagMessage]:
        body = stream.read(size)
        cut = len(body) < size
        if code == _CHUNK:
            yield from self.messages(BytesIO(_chunk_content(body, cut=cut)))
        if cut:
            raise ValueError('a record is cut')
        if code == _SCHEMA:
            self._schemas[int.from_bytes(body[:2], 'little')] = _string(body, 2)
        elif code == _CHANNEL:
            key, schema = struct.unpack_from('<HH', body)
            self._channels[key] = (_string(body, 4), self._schemas[schema])
        elif code == _MESSAGE:
            key, _, stamp_ns, _ = _MESSAGE_HEAD.unpack_from(body)
            yield BagMessage(*self._channels[key], stamp_ns, body[_MESSAGE_HEAD.size :])


def _chunk_content(body: bytes, *, cut: bool) -> bytes:
    """Give the records of a chunk: all of them, or those that a cut left readable."""
    _, _, size, checksum = _CHUNK_HEAD.unpack_from(body)
    compression = _string(body, _CHUNK_HEAD.size)
    begin = _CHUNK_HEAD.size + 4 + len(compression) + 8
    if not cut:
        return decompress(body[begin:], compression, size, checksum)
    # Half a compressed chunk has no checksum to trust.
    return b'' if compression else body[begin:]


def _string(body: bytes, begin: int) -> str:
    (length,) = struct.unpack_from('<I', body, begin)
    return body[begin + 4 : begin + 4 + length].decode()


_MCAP_OR_SQLITE = {'.mcap': _salvage_mcap, '.db3': _salvage_sqlite3}
