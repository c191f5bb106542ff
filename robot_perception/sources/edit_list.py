"""Edit lists of mp4 and mov files: the part of the recorded frames that a player shows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
import struct

_MAX_MOVIE_BYTES = 2**26
_SIZE_IN_64_BITS = 1
# An entry of an edit list that shows nothing.
_EMPTY = -1


def shown_part(path: Path) -> float:
    """Return the part of its frames that a video shows, above 0; 1 without an edit list.

    Trimming without new compression, as telephones and ffmpeg do it, keeps frames before the
    first one shown, and states so in an edit list.
    """
    try:
        movie = _movie(path)
        (scale,) = struct.unpack_from('>I', _time_header(dict(_boxes(movie))[b'mvhd']))
        for name, track in _boxes(movie):
            if name == b'trak' and b'vide' in track:
                return _shown_of_track(dict(_boxes(track)), scale)
    except (struct.error, KeyError, ValueError, ZeroDivisionError, OSError):
        pass
    return 1.0


def _shown_of_track(track: dict[bytes, bytes], movie_scale: int) -> float:
    media = dict(_boxes(track[b'mdia']))
    scale, duration = struct.unpack_from('>II', _time_header(media[b'mdhd']))
    entries = dict(_boxes(track[b'edts']))[b'elst']
    version, count = entries[0], int.from_bytes(entries[4:8], 'big')
    entry = struct.Struct('>QqI' if version else '>IiI')
    shown = 0
    for index in range(count):
        length, begin, _ = entry.unpack_from(entries, 8 + index * entry.size)
        shown += length if begin != _EMPTY else 0
    part = shown / movie_scale / (duration / scale)
    return part if 0 < part < 1 else 1.0


def _time_header(box: bytes) -> bytes:
    """Return scale and duration, 32 bits each, of the header of a movie or of media."""
    if box[0]:
        return box[20:24] + min(int.from_bytes(box[24:32], 'big'), 2**32 - 1).to_bytes(4, 'big')
    return box[12:20]


def _movie(path: Path) -> bytes:
    with path.open('rb') as stream:
        while head := stream.read(8):
            size, name = struct.unpack('>I4s', head)
            size -= len(head)
            if size == _SIZE_IN_64_BITS - len(head):
                size = int.from_bytes(stream.read(8), 'big') - 16
            if name == b'moov' and 0 <= size <= _MAX_MOVIE_BYTES:
                return stream.read(size)
            if size < 0:
                break
            stream.seek(size, 1)
    raise ValueError('no movie')


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 0
    while position + 8 <= len(data):
        size, name = struct.unpack_from('>I4s', data, position)
        if size < 8:  # noqa: PLR2004 - of size and name
            return
        yield name, data[position + 8 : position + size]
        position += size
