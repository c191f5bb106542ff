"""Gives Fast DDS shared memory that a whole image fits into."""

from __future__ import annotations

import os
from pathlib import Path

_PROFILES = 'FASTDDS_DEFAULT_PROFILES_FILE'
# The name that Fast DDS 2 knows; later ones complain of it.
_OLD_PROFILES = 'FASTRTPS_DEFAULT_PROFILES_FILE'
_OLD_DISTRIBUTIONS = ('humble', 'iron', 'jazzy')
# Whoever has set one of these has made up their mind.
_CHOICES = (_PROFILES, _OLD_PROFILES, 'FASTDDS_BUILTIN_TRANSPORTS')
# Room for the segments of a handful of processes; containers have 64 MiB unless told otherwise.
_NEEDED_BYTES = 512 * 1024 * 1024


def make_room_for_images() -> None:
    """Choose our transport profile for participants made from now on, unless the user chose one.

    Other middlewares do not look at it. Where shared memory is small, as in a container without
    ``--shm-size``, everything stays as it is.
    """
    if any(choice in os.environ for choice in _CHOICES) or _shared_memory_bytes() < _NEEDED_BYTES:
        return
    old = os.environ.get('ROS_DISTRO') in _OLD_DISTRIBUTIONS
    variable = _OLD_PROFILES if old else _PROFILES
    os.environ[variable] = str(Path(__file__).with_name('fastdds.xml'))


def _shared_memory_bytes() -> int:
    try:
        space = os.statvfs('/dev/shm')  # noqa: S108 - where Fast DDS puts its segments
    except OSError:
        return 0
    return space.f_bavail * space.f_frsize
