"""The version of Fast DDS that is loaded, and whether its known security holes are closed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
import re

from robot_perception.nodes.doctor_causes import Cause

_MAPS = Path('/proc/self/maps')
_LIBRARY = re.compile(r'(/\S*/libfast(?:dds|rtps)\.so\.\d+\.\d+)(\.\d+)?$', re.MULTILINE)
# Branch of a distribution -> first patch version with all published fixes, by the release notes of
# Fast DDS at the end of 2026: Humble, Jazzy, Kilted, Lyrical. Other branches below the newest of
# these get no fixes anymore.
_LAST_FASTRTPS = 2
_FIXED = {(2, 6): 12, (2, 14): 7, (3, 2): 5, (3, 6): 2}


def loaded_fastdds(maps: Path = _MAPS) -> tuple[int, int, int] | None:
    """Return the version of the Fast DDS that this process has loaded, None without one."""
    try:
        found = _LIBRARY.search(maps.read_text())
    except OSError:
        return None
    if found is None:
        return None
    name = Path(found[0])
    # Wheels have a copy of the library where a distribution has a link.
    names = [name] if found[2] else sorted(name.parent.glob(f'{name.name}.*'))
    numbers = [re.findall(r'\d+', one.name.partition('.so.')[2]) for one in names]
    versions = [(int(one[0]), int(one[1]), int(one[2])) for one in numbers]
    return versions[-1] if versions else None


def judge_fastdds(version: tuple[int, int, int] | None, distribution: str) -> Iterator[Cause]:
    """Yield a cause if a version of Fast DDS has known holes.

    Args:
        version: the version, None if another middleware is used.
        distribution: name of the installed distribution of ROS, empty if it is not known.
    """
    if version is None:
        return
    branch, patch = version[:2], version[2]
    fixed = _FIXED.get(branch)
    if branch > max(_FIXED) or (fixed is not None and patch >= fixed):
        return
    # Its name since version 3.
    package = 'fastdds' if version[0] > _LAST_FASTRTPS else 'fastrtps'
    wanted = ', '.join(f'{major}.{minor}.{patch}' for (major, minor), patch in _FIXED.items())
    yield Cause(
        'vulnerable_middleware',
        'Fast DDS',
        f'version {".".join(map(str, version))}: a malformed packet from the network crashes the '
        f'process (CVE-2025-62799 and others), fixed in {wanted}.',
        'Upgrade it. Until then let a firewall drop UDP from other machines: '
        'ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST does not close the ports.',
        f'sudo apt install --only-upgrade ros-{distribution}-{package}' if distribution else '',
    )
