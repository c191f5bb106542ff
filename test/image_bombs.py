"""Image files that would take long or much memory to decode."""

import struct
import zlib

PNG_SIGNATURE = b'\x89PNG\r\n\x1a\n'


def make_jpeg(side, count):
    """Return a progressive JPEG whose scans after the first change nothing."""
    table = b'\xff\xc4\0\x14%c\1' + bytes(15) + b'%c'
    scan = b'\xff\xda\0\x08\1\1\0%c%c\0'
    parts = [
        b'\xff\xd8\xff\xdb\0\x43\0' + b'\1' * 64,
        b'\xff\xc2\0\x0b\x08' + struct.pack('>HH', side, side) + b'\1\1\x11\0',
        table % (0, 0) + table % (0x10, 0xE0),
        scan % (0, 0) + bytes(side * side // 512 + 16),
        (scan % (1, 63) + bytes(2)) * count,
    ]
    return b''.join([*parts, b'\xff\xd9'])


def png_chunk(name, body):
    return struct.pack('>I', len(body)) + name + body + struct.pack('>I', zlib.crc32(name + body))


def make_png(raw, *extra, size=(16, 16), bits=8, kind=2):
    header = struct.pack('>IIBBBBB', *size, bits, kind, 0, 0, 0)
    chunks = [(b'IHDR', header), *extra, (b'IDAT', zlib.compress(raw, 9)), (b'IEND', b'')]
    return PNG_SIGNATURE + b''.join(png_chunk(*chunk) for chunk in chunks)
