"""Moving folders so that at any moment the old one or the new one is there."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def flush(path: Path) -> None:
    """Let a file, or the names in a folder, reach the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def put_in_place(new: Path, place: Path) -> None:
    """Move the folder ``new`` to ``place``; what was there is at ``new`` afterwards."""
    if not place.exists():
        new.rename(place)
    elif not _exchange(new, place):
        # A file system that cannot exchange: for a moment neither is there, both on the disk.
        aside = new.with_name(f'{new.name}.before')
        place.rename(aside)
        new.rename(place)
        aside.rename(new)
    flush(place.parent)


def _exchange(first: Path, second: Path) -> bool:
    """Swap two names in one step, where system and file system know how (Linux: renameat2)."""
    rename = getattr(ctypes.CDLL(None), 'renameat2', None)
    if rename is None:
        return False
    names = os.fsencode(first), os.fsencode(second)
    return bool(rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0)
