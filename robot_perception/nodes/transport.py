"""Gives Fast DDS shared memory that a whole image fits into."""

from __future__ import annotations

import os
from pathlib import Path

_PROFILES = 'FASTDDS_DEFAULT_PROFILES_FILE'
# Whoever has set one of these has made up their mind.
_CHOICES = (_PROFILES, 'FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_BUILTIN_TRANSPORTS')


def make_room_for_images() -> None:
    """Choose our transport profile for participants made from now on, unless the user chose one.

    Other middlewares do not look at it.
    """
    if not any(choice in os.environ for choice in _CHOICES):
        os.environ[_PROFILES] = str(Path(__file__).with_name('fastdds.xml'))
