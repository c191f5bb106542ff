"""Writes the fields of protobuf messages, byte by byte."""

import struct


def varint(value):
    data = bytearray()
    while value > 0x7F:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*data, value))


def sized(number, data):
    data = data if isinstance(data, bytes) else data.encode()
    return varint(number << 3 | 2) + varint(len(data)) + data


def fixed32(number, value):
    return varint(number << 3 | 5) + struct.pack('<I', value)


def doubles(number, values):
    return sized(number, struct.pack(f'<{len(values)}d', *values))


def double(number, value):
    return varint(number << 3 | 1) + struct.pack('<d', value)


def timestamp(stamp_ns):
    """Return field 1 of Foxglove's messages."""
    seconds, nanoseconds = divmod(stamp_ns, 10**9)
    return sized(1, varint(1 << 3) + varint(seconds) + varint(2 << 3) + varint(nanoseconds))
