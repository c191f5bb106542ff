"""Shared memory of Fast DDS: large enough for a whole image, and freed after a crash."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
import re
import time

_PROFILES = 'FASTDDS_DEFAULT_PROFILES_FILE'
# The name in Fast DDS 2; later versions warn about it.
_OLD_PROFILES = 'FASTRTPS_DEFAULT_PROFILES_FILE'
_OLD_DISTRIBUTIONS = ('humble', 'iron', 'jazzy')
# The user has chosen a transport by setting one of these.
_CHOICES = (_PROFILES, _OLD_PROFILES, 'FASTDDS_BUILTIN_TRANSPORTS')
SHARED_MEMORY = Path('/dev/shm')  # noqa: S108 - where Fast DDS puts its segments
# Lock files of segments and ports, of Fast DDS 3 and 2.
_LOCK = re.compile(r'(?:fastdds|fastrtps)_(?:[0-9a-z]{16}|port\d{1,5})_[es]l')
_YOUNG_S = 2.0
# Enough for the segments of several processes; containers have 64 MiB by default.
SHARED_MEMORY_BYTES = 512 * 1024 * 1024


def enlarge_shared_memory() -> None:
    """Select our transport profile for new participants, unless the user selected one.

    Other middlewares ignore it. If shared memory is small, as in a container without
    ``--shm-size``, nothing changes.
    """
    if (
        any(choice in os.environ for choice in _CHOICES)
        or _shared_memory_bytes() < SHARED_MEMORY_BYTES
    ):
        return
    old = os.environ.get('ROS_DISTRO') in _OLD_DISTRIBUTIONS
    variable = _OLD_PROFILES if old else _PROFILES
    os.environ[variable] = str(Path(__file__).with_name('fastdds.xml'))


def remove_stale_segments(folder: Path = SHARED_MEMORY) -> int:
    """Remove shared memory that killed processes left behind; returns the number of segments.

    A process with a 64 MiB segment that is killed leaves it in memory for ever. As
    ``fastdds shm clean`` does, this takes the lock that the owner of a segment holds while it
    lives.
    """
    return sum(_is_stale(lock, remove=True) for lock in _locks(folder))


def find_stale_segments(folder: Path = SHARED_MEMORY) -> list[Path]:
    """Return the segments that `remove_stale_segments` would remove."""
    return [_segment(lock) for lock in _locks(folder) if _is_stale(lock, remove=False)]


def _locks(folder: Path) -> list[Path]:
    try:
        return sorted(one for one in folder.iterdir() if _LOCK.fullmatch(one.name))
    except OSError:
        return []


def _segment(lock: Path) -> Path:
    return lock.with_name(lock.name[: -len('_el')])


def _is_stale(lock: Path, *, remove: bool) -> bool:
    """Return whether the owner of a segment is gone; if it is, remove the segment if asked."""
    segment = _segment(lock)
    try:
        # A younger one may be on its way to being locked.
        if time.time() - lock.stat().st_mtime < _YOUNG_S:
            return False
        with lock.open('ab') as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if remove:
                for stale in (segment, lock, lock.with_name(f'sem.{segment.name}_mutex')):
                    stale.unlink(missing_ok=True)
    except OSError:
        # In use, or of another user.
        return False
    return True


def _shared_memory_bytes() -> int:
    try:
        space = os.statvfs(SHARED_MEMORY)
    except OSError:
        return 0
    return space.f_bavail * space.f_frsize
