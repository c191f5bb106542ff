"""An mcap file for rosbags whose large messages are copied once less often.

What rosbags writes passes through four buffers on its way to the file. For the clouds and images
of a camera that costs more than all else, so a chunk is a list of pieces here.
"""

from __future__ import annotations

from collections import defaultdict
from io import BytesIO
from pathlib import Path
import struct
from typing import cast

from rosbags.interfaces import Connection
from rosbags.rosbag2 import CompressionMode, StoragePlugin, Writer
from rosbags.rosbag2.storage_mcap import McapWriter, PendingChunk

_CHUNK_SIZE = 2**20
_CHUNK, _INDEX, _MESSAGE = 0x06, 0x07, 0x05
_RECORD = struct.Struct('<BQ')
_MESSAGE_HEAD = struct.Struct('<BQHIQQ')
_CHUNK_HEAD = struct.Struct('<QQQI')
_SIZE, _SHORT_SIZE, _KEY = struct.Struct('<Q'), struct.Struct('<I'), struct.Struct('<HI')
_FIRST, _LAST = 2**63 - 1, 0


class _Pieces:
    """Takes the place of a BytesIO: keeps what is written instead of copying it."""

    def __init__(self) -> None:
        self.pieces: list[bytes | memoryview] = []
        self._size = 0

    def write(self, data: bytes | memoryview) -> int:
        self.pieces.append(data)
        self._size += len(data)
        return len(data)

    def tell(self) -> int:
        return self._size


class _McapStorage(McapWriter):
    """Writes the same records as its base. Messages must not change after they were written."""

    def __init__(self, path: Path, compression: CompressionMode) -> None:
        super().__init__(path, compression)
        self._begin_chunk()

    def _begin_chunk(self) -> None:
        self._pieces = _Pieces()
        self.chunk = PendingChunk(_FIRST, _LAST, cast('BytesIO', self._pieces), defaultdict(list))

    def write(self, connection: Connection, timestamp: int, data: bytes | memoryview) -> None:
        chunk, key = self.chunk, connection.id
        self.message_start_time = min(timestamp, self.message_start_time)
        self.message_end_time = max(timestamp, self.message_end_time)
        self.channel_stats[key] += 1
        chunk.message_start_time = min(timestamp, chunk.message_start_time)
        chunk.message_end_time = max(timestamp, chunk.message_end_time)
        chunk.msgs[key].append((timestamp, self._pieces.tell()))
        size = _MESSAGE_HEAD.size - _RECORD.size + len(data)
        self._pieces.write(_MESSAGE_HEAD.pack(_MESSAGE, size, key, 0, timestamp, timestamp))
        self._pieces.write(data)
        if self._pieces.tell() > _CHUNK_SIZE:
            self.close_chunk()

    def close_chunk(self) -> None:
        chunk, size = self.chunk, self._pieces.tell()
        pieces = self._pieces.pieces
        if self.compression:
            pieces = [self.compressor(b''.join(pieces))]
        packed = sum(map(len, pieces))
        name = self.compression.encode()
        times = chunk.message_start_time, chunk.message_end_time
        head = _CHUNK_HEAD.pack(*times, size, 0) + _string(name) + _SIZE.pack(packed)
        begin = self.bio.tell()
        self.bio.write(_RECORD.pack(_CHUNK, len(head) + packed) + head)
        self.bio.writelines(pieces)
        end = self.bio.tell()
        offsets = []
        for key, messages in chunk.msgs.items():
            offsets.append((key, self.bio.tell()))
            rows = b''.join(struct.pack('<QQ', *row) for row in messages)
            record = _KEY.pack(key, len(rows)) + rows
            self.bio.write(_RECORD.pack(_INDEX, len(record)) + record)
        rows = b''.join(struct.pack('<HQ', *row) for row in offsets)
        summary = BytesIO()
        summary.write(struct.pack('<QQQQ', *times, begin, end - begin))
        summary.write(_SHORT_SIZE.pack(len(rows)) + rows)
        summary.write(_SIZE.pack(self.bio.tell() - end) + _string(name))
        summary.write(struct.pack('<QQ', packed, size))
        self.chunks.append(summary)
        self._begin_chunk()


def _string(text: bytes) -> bytes:
    return _SHORT_SIZE.pack(len(text)) + text


class QuickWriter(Writer):
    """A rosbag2 writer with that storage."""

    STORAGE_PLUGINS = {**Writer.STORAGE_PLUGINS, StoragePlugin.MCAP: _McapStorage}  # noqa: RUF012
