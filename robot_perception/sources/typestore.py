"""Definitions of messages, and the decoding of serialized ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
import os
from pathlib import Path
import struct
import sys
from typing import Any, TYPE_CHECKING

from rosbags.typesys import get_types_from_msg, get_typestore, Stores, TypesysError
from rosbags.typesys.store import Typestore

from robot_perception.core import NANOSECONDS_PER_SECOND, SourceError

if TYPE_CHECKING:
    from rosbags.interfaces.typing import Typesdict

PACKAGE = 'robot_perception'
# Messages gain fields with its releases: bags are written with the fields of the definitions here.
_FOXGLOVE = 'foxglove_msgs'
_HERE = Path(__file__).resolve().parents[1]
# Byte order of a CDR message by the second byte of its encapsulation header.
_STAMP = {0: struct.Struct('>iI'), 1: struct.Struct('<iI')}
_ENCAPSULATION_BYTES = 4


def message_store(packages: Sequence[str] = (_FOXGLOVE, 'vision_msgs', PACKAGE)) -> Typestore:
    """Return types of a ROS 2 distribution and of .msg files of packages.

    Packages that others depend on come first. The store is shared and must not be changed; see
    `extended_store`.

    Raises:
        SourceError: the definitions of a package are nowhere.
    """
    return _read_store(tuple((package, definitions_folder(package)) for package in packages))


# Parsing takes tens of milliseconds, and a store compiles the code of each type at its first use.
@lru_cache(maxsize=4)
def _read_store(folders: tuple[tuple[str, Path], ...]) -> Typestore:
    types = get_typestore(Stores.ROS2_KILTED)
    for package, folder in folders:
        for path in sorted(folder.glob('*.msg')):
            types.register(get_types_from_msg(path.read_text(), f'{package}/msg/{path.stem}'))
    return types


def extended_store(types: Typestore, more: Typesdict) -> Typestore:
    """Return a copy of a store with more types, as rosbags parses them."""
    extended = Typestore()
    extended.types.update(types.types)
    extended.fielddefs.update(types.fielddefs)
    extended.register(more)
    return extended


@lru_cache(maxsize=16)
def recorded_store(definition: str, type_name: str) -> Typestore | None:
    """Return the types of a message as its recording defines them; None if that is unreadable.

    The store is shared and must not be changed.

    Args:
        definition: text of the .msg file and of those that it needs, as a bag has them.
        type_name: type of the message.
    """
    types = get_typestore(Stores.EMPTY)
    try:
        types.register(get_types_from_msg(definition, type_name))
    except TypesysError:
        return None
    return types


def decode(types: Typestore, cdr: bytes, type_name: str, origin: str = '') -> Any:  # noqa: ANN401
    """Deserialize ``cdr``, a message of ``type_name`` with its encapsulation header.

    The error begins with ``origin``, where the message comes from, such as a topic.

    Raises:
        SourceError: with reason ``'broken_message'``: the bytes are no such message.
    """
    try:
        return types.deserialize_cdr(cdr, type_name)
    except Exception as error:
        # The deserializer raises any type of error for broken bytes.
        where = f'{origin}: ' if origin else ''
        raise SourceError(
            'broken_message',
            f'{where}expected {type_name}, got {len(cdr)} bytes that cannot be read ({error}). '
            'Record it again.',
        ) from error


def message_stamp_ns(cdr: bytes) -> int | None:
    """Read the stamp of a serialized message that begins with a header; None for broken bytes."""
    if len(cdr) < _ENCAPSULATION_BYTES + 8 or cdr[1] not in _STAMP:
        return None
    seconds, nanoseconds = _STAMP[cdr[1]].unpack_from(cdr, _ENCAPSULATION_BYTES)
    return int(seconds * NANOSECONDS_PER_SECOND + nanoseconds)


def definitions_folder(package: str) -> Path:
    """Return the folder with the .msg files of a package.

    It is looked for in the ROS installation (every prefix of ``AMENT_PREFIX_PATH``, and the
    environment of this Python), in the installed package and in the source tree, in this order;
    foxglove_msgs is looked for in the ROS installation last.

    Raises:
        SourceError: in none of them.
    """
    tried = list(_candidates(package))
    for folder in tried:
        if any(folder.glob('*.msg')):
            return folder
    raise SourceError(
        'missing_definitions',
        f'{package}: expected its .msg files, got none in {", ".join(map(str, tried))}. '
        f'Source a ROS workspace that holds {package}.',
    )


def _candidates(package: str) -> Iterator[Path]:
    variable = os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)
    shares = [Path(prefix, 'share') for prefix in (*filter(None, variable), sys.prefix)]
    released = [share / package / 'msg' for share in shares]
    if package != _FOXGLOVE:
        yield from released
    yield _HERE / 'definitions' / package
    yield _HERE.parent / ('msg' if package == PACKAGE else f'workspace/{package}/msg')
    if package == _FOXGLOVE:
        yield from (share / PACKAGE / 'definitions' / package / 'msg' for share in shares)
        yield from released
