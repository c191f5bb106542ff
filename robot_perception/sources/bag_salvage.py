"""What is left of a bag file that was cut short: a full disk, a lost power supply.

An index stands at the end of an mcap file and all over an sqlite3 one, so a cut takes it away
and a normal reader refuses the file. Here the messages are read one after the other until the
cut, without any index.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress
from io import BytesIO, SEEK_CUR
from pathlib import Path
import sqlite3
import struct
from typing import BinaryIO, NamedTuple

from rosbags.rosbag2.storage_mcap import decompress

from robot_perception.core import DamagedBagError

_MCAP_MAGIC = b'\x89MCAP0\r\n'
_SQLITE_MAGIC, _PAGE_SIZE_AT = b'SQLite format 3\0', 16
# The first byte of a page of rows, and of one that a long row goes on in.
_ROWS, _OVERFLOW, _FIRST_CELL_AT, _ROW_HEAD = b'\x0d', b'\0', 8, 64
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
    """Yield the whole messages of a damaged file, in the order they were written.

    Raises:
        DamagedBagError: always, at the end, with the damage.
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


def damage(path: Path, count: int, problem: object) -> DamagedBagError:
    """Return the error for a file of which only the first ``count`` messages could be read."""
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


def _salvage_sqlite3(path: Path) -> Iterator[BagMessage]:
    with closing(sqlite3.connect(f'{path.resolve().as_uri()}?immutable=1', uri=True)) as database:
        # Lets a database be opened that is shorter than its header states.
        database.execute('PRAGMA writable_schema=ON')
        topics = {
            key: (name, type_name)
            for key, name, type_name in database.execute('SELECT id, name, type FROM topics')
        }
        page_size = cut_page(path)
        page = _last_page(path, page_size) if page_size else b''
        # NOT INDEXED: scan the table itself, as the index may be lost.
        rows = database.execute(
            'SELECT topic_id, timestamp, data FROM messages NOT INDEXED WHERE id != ? ORDER BY id',
            (_first_row(page) if page[:1] == _ROWS else -1,),
        )
        messages = (_to_message(row, topics) for row in rows)
        yield from _sound(messages, page_size) if page[:1] == _OVERFLOW else messages


def _to_message(row: tuple[int, int, bytes], topics: dict[int, tuple[str, str]]) -> BagMessage:
    key, stamp_ns, data = row
    # What lies beyond the end of the file reads as zeros, and a row of zeros as nulls.
    if key not in topics or not isinstance(data, bytes):
        raise ValueError('a row is cut')
    return BagMessage(*topics[key], stamp_ns, data)


def cut_page(path: Path) -> int:
    """Return the page size of an sqlite3 file that ends within one, else 0."""
    with path.open('rb') as stream:
        head = stream.read(_PAGE_SIZE_AT + 2)
    if not head.startswith(_SQLITE_MAGIC) or len(head) < _PAGE_SIZE_AT + 2:
        return 0
    size = int.from_bytes(head[_PAGE_SIZE_AT:], 'big')
    # 1 stands for 65536, which two bytes cannot hold.
    size = 65536 if size == 1 else size
    return size if size and path.stat().st_size % size else 0


def _last_page(path: Path, page_size: int) -> bytes:
    """Read what there is of the page that a file ends within."""
    size = path.stat().st_size
    with path.open('rb') as stream:
        stream.seek(size - size % page_size)
        return stream.read()


def _first_row(page: bytes) -> int:
    """Return the id of the first row of a page, whose end is that of the page; -1 if it is lost.

    Of a row whose beginning is lost as well sqlite3 reads nulls, so no other one needs care.
    """
    position = int.from_bytes(page[_FIRST_CELL_AT : _FIRST_CELL_AT + 2], 'big')
    _, position = _varint(page, position)
    key, end = _varint(page, position)
    return key if end <= len(page) else -1


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """Read a number of sqlite3 of at most eight bytes, and the position after it."""
    value = 0
    for byte in data[position : position + 8]:
        position += 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:  # noqa: PLR2004 - the bit that marks a continuation
            return value, position
    return value, len(data) + 1


def _sound(messages: Iterator[BagMessage], page_size: int) -> Iterator[BagMessage]:
    """Leave out the message that goes on in the last page, if its end may be lost.

    It is the last that is larger than a page, for pages are taken in the order of rows. What is
    lost reads as zeros.
    """
    held: list[BagMessage] = []
    problem: Exception = ValueError('a page is cut')
    try:
        for message in messages:
            if len(message.data) > page_size - _ROW_HEAD:
                yield from held
                held = []
            held.append(message)
    except (ValueError, sqlite3.Error) as error:
        problem = error
    if held and held[0].data.endswith(b'\0'):
        del held[0]
    yield from held
    raise problem


def _salvage_mcap(path: Path) -> Iterator[BagMessage]:
    with path.open('rb') as stream:
        if stream.read(len(_MCAP_MAGIC)) != _MCAP_MAGIC:
            raise ValueError('not an mcap file')
        scan = _McapScan()
        # The first chunk alone may hold the definitions otherwise; a parser raises anything.
        with suppress(Exception):
            scan.read_definitions(stream)
        stream.seek(len(_MCAP_MAGIC))
        yield from scan.all_messages(stream)


class _McapScan:
    """Reads records in order and keeps the channels that they define.

    A chunk that is damaged loses its own messages only.
    """

    def __init__(self) -> None:
        self._schemas: dict[int, str] = {}
        self._channels: dict[int, tuple[str, str]] = {}
        self._problem: Exception | None = None

    def all_messages(self, stream: BinaryIO) -> Iterator[BagMessage]:
        """Yield the messages of a file after its magic number; raise if some are damaged."""
        yield from self.messages(stream)
        if self._problem is not None:
            raise self._problem

    def read_definitions(self, stream: BinaryIO) -> None:
        """Read the channels outside of chunks, such as those in the summary at the end."""
        while len(head := stream.read(_RECORD.size)) == _RECORD.size:
            code, size = _RECORD.unpack(head)
            if code in (_SCHEMA, _CHANNEL):
                self._define(code, stream.read(size))
            else:
                stream.seek(size, SEEK_CUR)

    def _define(self, code: int, body: bytes) -> None:
        """Keep a schema or a channel."""
        if code == _SCHEMA:
            self._schemas[int.from_bytes(body[:2], 'little')] = _string(body, 2)
        elif code == _CHANNEL:
            key, schema = struct.unpack_from('<HH', body)
            self._channels[key] = (_string(body, 4), self._schemas[schema])

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
            try:
                yield from self.messages(BytesIO(_chunk_content(body, cut=cut)))
            except Exception as error:  # noqa: BLE001 - a parser of broken bytes raises anything
                self._problem = error
        if cut:
            raise ValueError('a record is cut')
        self._define(code, body)
        if code == _MESSAGE:
            key, _, stamp_ns, _ = _MESSAGE_HEAD.unpack_from(body)
            yield BagMessage(*self._channels[key], stamp_ns, body[_MESSAGE_HEAD.size :])


def _chunk_content(body: bytes, *, cut: bool) -> bytes:
    """Return the records of a chunk: all of them, or those that a cut left readable."""
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
