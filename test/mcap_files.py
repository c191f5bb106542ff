"""Writes mcap files as writers other than rosbag2 do, byte by byte (https://mcap.dev/spec)."""

from __future__ import annotations

from itertools import groupby
import struct
from typing import NamedTuple
from zlib import crc32

from backports import zstd
import lz4.frame

MAGIC = b'\x89MCAP0\r\n'
COMPRESS = {'': bytes, 'zstd': zstd.compress, 'lz4': lz4.frame.compress}


class Channel(NamedTuple):
    topic: str
    type_name: str
    encoding: str = 'cdr'
    schema_encoding: str = 'ros2msg'


def record(code, body):
    return struct.pack('<BQ', code, len(body)) + body


def text(value):
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack('<I', len(data)) + data


def message_record(key, stamp_ns, data):
    return record(5, struct.pack('<HIQQ', key, 0, stamp_ns, stamp_ns) + data)


def definition_records(key, channel):
    schema = text(channel.type_name) + text(channel.schema_encoding) + text('')
    names = text(channel.topic) + text(channel.encoding)
    return record(3, struct.pack('<H', key) + schema) + record(
        4, struct.pack('<HH', key, key) + names + text('')
    )


def write_mcap(
    path, channels, messages, *, profile='', chunk=2, compression='', index=True, checksum=True
):
    """Write messages, (channel number, stamp, bytes), in this order.

    Args:
        path: file to make.
        channels: their numbers are 1, 2, ...
        messages: in the order of writing.
        profile: as the header states it.
        chunk: messages in each chunk; 0 writes them without chunks.
        compression: of chunks.
        index: whether there are message indexes, and a summary.
        checksum: whether chunks have one.
    """
    definitions = b''.join(
        definition_records(key, channel) for key, channel in enumerate(channels, 1)
    )
    data = bytearray(MAGIC + record(1, text(profile) + text('test')))
    summary = bytearray(definitions)
    pieces = [messages[at : at + chunk] for at in range(0, len(messages), chunk)] if chunk else []
    if not chunk:
        data += definitions
        for one in messages:
            data += message_record(*one)
    for number, piece in enumerate(pieces):
        content, offsets = bytearray(definitions if number == 0 else b''), []
        for one in piece:
            offsets.append((one[0], one[1], len(content)))
            content += message_record(*one)
        stamps = [one[1] for one in piece]
        packed = COMPRESS[compression](bytes(content))
        crc = crc32(content) if checksum else 0
        head = struct.pack('<QQQI', min(stamps), max(stamps), len(content), crc)
        begin = len(data)
        data += record(6, head + text(compression) + struct.pack('<Q', len(packed)) + packed)
        end, where = len(data), b''
        if not index:
            continue
        for key, rows in groupby(sorted(offsets), lambda row: row[0]):
            where += struct.pack('<HQ', key, len(data))
            entries = b''.join(struct.pack('<QQ', *row[1:]) for row in rows)
            data += record(7, struct.pack('<H', key) + text(entries))
        body = struct.pack('<QQQQ', min(stamps), max(stamps), begin, end - begin) + text(where)
        body += struct.pack('<Q', len(data) - end) + text(compression)
        summary += record(8, body + struct.pack('<QQ', len(packed), len(content)))
    data += record(15, struct.pack('<I', 0))
    begin = 0
    if index:
        stamps = [one[1] for one in messages]
        counts = b''.join(
            struct.pack('<HQ', key, sum(one[0] == key for one in messages))
            for key in range(1, len(channels) + 1)
        )
        sizes = len(messages), len(channels), len(channels), 0, 0, len(pieces)
        summary += record(
            11, struct.pack('<QHIIIIQQ', *sizes, min(stamps), max(stamps)) + text(counts)
        )
        begin = len(data)
        data += summary
    data += record(2, struct.pack('<QQI', begin, 0, 0)) + MAGIC
    path.write_bytes(data)
