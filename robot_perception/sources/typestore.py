"""Definitions of messages that rosbags does not bring along."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import os
from pathlib import Path
import sys

from rosbags.typesys import get_types_from_msg, get_typestore, Stores
from rosbags.typesys.store import Typestore

from robot_perception.core import SourceError

__all__ = ['PACKAGE', 'Typestore', 'definitions_folder', 'message_store']

PACKAGE = 'robot_perception'
_HERE = Path(__file__).resolve().parents[1]


def message_store(packages: Sequence[str] = ('vision_msgs', PACKAGE)) -> Typestore:
    """Types of a ROS 2 distribution and of some packages beside it.

    Args:
        packages: packages whose .msg files are registered, those they depend on first.

    Raises:
        SourceError: the definitions of a package are nowhere.

    """
    types = get_typestore(Stores.ROS2_KILTED)
    for package in packages:
        for path in sorted(definitions_folder(package).glob('*.msg')):
            types.register(get_types_from_msg(path.read_text(), f'{package}/msg/{path.stem}'))
    return types


def definitions_folder(package: str) -> Path:
    """Return the folder with the .msg files of a package.

    It is looked for in the ROS installation (every prefix of ``AMENT_PREFIX_PATH``, and the
    environment of this Python), in the installed package and in the source tree, in this order.

    Raises:
        SourceError: in none of them.

    """
    tried = list(_candidates(package))
    for folder in tried:
        if any(folder.glob('*.msg')):
            return folder
    raise SourceError(
        f'{package}: expected its .msg files, got none in {", ".join(map(str, tried))}. '
        f'Source a ROS workspace that holds {package}.'
    )


def _candidates(package: str) -> Iterator[Path]:
    prefixes = os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)
    for prefix in filter(None, (*prefixes, sys.prefix)):
        yield Path(prefix, 'share', package, 'msg')
    yield _HERE / 'definitions' / package
    yield _HERE.parent / ('msg' if package == PACKAGE else f'workspace/{package}/msg')
