"""Configures Fast DDS with shared memory large enough for a whole image."""

from __future__ import annotations

import os
from pathlib import Path

_PROFILES = 'FASTDDS_DEFAULT_PROFILES_FILE'
# The name in Fast DDS 2; later versions warn about it.
_OLD_PROFILES = 'FASTRTPS_DEFAULT_PROFILES_FILE'
_OLD_DISTRIBUTIONS = ('humble', 'iron', 'jazzy')
# The user has chosen a transport by setting one of these.
_CHOICES = (_PROFILES, _OLD_PROFILES, 'FASTDDS_BUILTIN_TRANSPORTS')
# Enough for the segments of several processes; containers have 64 MiB by default.
_NEEDED_BYTES = 512 * 1024 * 1024


def enlarge_shared_memory() -> None:
    """Select our transport profile for new participants, unless the user selected one.

    Other middlewares ignore it. If shared memory is small, as in a container without
    ``--shm-size``, nothing changes.
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
