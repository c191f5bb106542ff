"""Parsing of the records of mcap files (https://mcap.dev/spec)."""

from __future__ import annotations

from collections.abc import Iterator
import struct
from typing import NamedTuple
from zlib import crc32

from robot_perception.sources.compression import check_size, unpack

RECORD = struct.Struct('<BQ')
KEY_AND_NUMBER = struct.Struct('<HQ')
_MESSAGE_HEAD = struct.Struct('<HIQQ')
_CHUNK_HEAD = struct.Struct('<QQQI')
_CHUNK_INDEX_HEAD = struct.Struct('<QQQQI')


class Block(NamedTuple):
    """A chunk, or a message outside of chunks.

    Attributes:
        begin_ns, end_ns: times of recording of its first and last message.
        offset: of its record in the file.
        channels: numbers of the channels with messages in it.
    """

    begin_ns: int
    end_ns: int
    offset: int
    channels: frozenset[int]


def records(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield code and content of each record; raise for one that is cut."""
    position = 0
    while position < len(data):
        code, size = RECORD.unpack_from(data, position)
        position += RECORD.size
        if position + size > len(data):
            raise ValueError('a record is cut')
        yield code, data[position : position + size]
        position += size


def message(record: memoryview) -> tuple[int, int, memoryview]:
    """Return channel, time of recording and data of a message."""
    key, _, stamp_ns, _ = _MESSAGE_HEAD.unpack_from(record)
    return key, stamp_ns, record[_MESSAGE_HEAD.size :]


def indexed_block(body: memoryview) -> Block:
    """Return what the index of a chunk states."""
    begin_ns, end_ns, offset, _, size = _CHUNK_INDEX_HEAD.unpack_from(body)
    rows = body[_CHUNK_INDEX_HEAD.size :][:size]
    channels = frozenset(key for key, _ in KEY_AND_NUMBER.iter_unpack(rows))
    return Block(begin_ns, end_ns, offset, channels)


def chunk_content(body: memoryview, *, is_cut: bool) -> memoryview:
    """Return the records of a chunk: all of them, or those that a cut left readable."""
    _, _, size, checksum = _CHUNK_HEAD.unpack_from(body)
    (compression,), end = strings(body, _CHUNK_HEAD.size, 1)
    packed = body[end + 8 :]
    if is_cut:
        # Half a compressed chunk has no checksum to trust.
        return memoryview(b'') if compression else packed
    check_size(size, 'a chunk')
    content = unpack(bytes(packed), compression) if compression else packed
    if len(content) != size or (checksum and crc32(content) != checksum):
        raise ValueError('a chunk is damaged')
    return memoryview(content)


def strings(body: memoryview, begin: int, count: int) -> tuple[list[str], int]:
    """Read strings with their lengths before them; also return where they end."""
    found = []
    for _ in range(count):
        (size,) = struct.unpack_from('<I', body, begin)
        end = begin + 4 + size
        if end > len(body):
            raise ValueError('a string is cut')
        found.append(bytes(body[begin + 4 : end]).decode())
        begin = end
    return found, begin
