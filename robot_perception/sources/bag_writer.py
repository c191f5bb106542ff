"""Writing a rosbag2 with the definitions of its messages inside."""

from __future__ import annotations

from contextlib import suppress
import os
from pathlib import Path
import sqlite3
from typing import Literal, TYPE_CHECKING

from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin
from rosbags.rosbag2.errors import WriterError
from rosbags.typesys import get_types_from_idl, get_types_from_msg
from rosbags.typesys.store import Typestore

from robot_perception.core import OutputError
from robot_perception.sources.bag_metadata import METADATA_NAME
from robot_perception.sources.mcap_storage import QuickWriter
from robot_perception.sources.messages import standard_types
from robot_perception.sources.storage import Definition
from robot_perception.sources.storage_files import is_storage_name
from robot_perception.sources.typestore import extended_store

if TYPE_CHECKING:
    from typing_extensions import Self

Storage = Literal['mcap', 'sqlite3']
Compression = Literal['none', 'file', 'message', 'storage']

# How ROS writes an infinite duration.
_NEVER = QosTime(9223372036, 854775807)
_IDL = '=' * 80 + '\nIDL: '


def _offered(latched: bool) -> tuple[Qos, ...]:  # noqa: FBT001 - the one thing that differs
    """Return the quality of service of what this package publishes."""
    return (
        Qos(
            history=QosHistory.KEEP_LAST,
            depth=1 if latched else 5,
            reliability=QosReliability.RELIABLE,
            durability=QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
            deadline=_NEVER,
            lifespan=_NEVER,
            liveliness=QosLiveliness.AUTOMATIC,
            liveliness_lease_duration=_NEVER,
            avoid_ros_namespace_conventions=False,
        ),
    )


def check_new_bag(path: Path, *, force: bool) -> None:
    """Raise OutputError unless a bag can be made, or with ``force`` one that is there replaced."""
    if not os.path.lexists(path):
        return
    if not force:
        raise OutputError(
            'exists',
            f'{path}: expected a new name, got one that exists. Choose another, or replace a bag '
            'with --force.',
        )
    found = sorted(path.iterdir()) if path.is_dir() else [path]
    others = [
        one.name
        for one in found
        if not one.is_file() or not (one.name == METADATA_NAME or is_storage_name(one))
    ]
    if others or not path.is_dir():
        raise OutputError(
            'not_a_bag',
            f'{path}: expected the folder of a bag, got {", ".join(others) or "a file"}. --force '
            'replaces bags only. Choose another name.',
        )


class BagWriter:
    """A new bag. Closing it writes the index: use it in a with statement."""

    def __init__(
        self,
        path: Path,
        *,
        storage: Storage = 'mcap',
        compression: Compression = 'none',
        types: Typestore | None = None,
        called: Path | None = None,
    ) -> None:
        """Make the folder of the bag.

        Args:
            path: folder to make; must not exist.
            storage: kind of file in it.
            compression: what zstd is applied to; 'storage' is known to mcap only.
            types: definitions of the messages to come; None knows the standard ones.
            called: what errors name, where the folder is moved when the bag is whole.

        Raises:
            OutputError: the folder exists or cannot be made.
        """
        self._called = called or path
        self._types = types or standard_types()
        self._connections: dict[str, Connection] = {}
        try:
            # Humble cannot open version 9, and every later distribution reads 8.
            self._writer = QuickWriter(
                path, version=8, storage_plugin=StoragePlugin[storage.upper()]
            )
            mode = CompressionMode[compression.upper()]
            self._writer.set_compression(mode, CompressionFormat.ZSTD)
            self._writer.open()
        except (OSError, WriterError) as error:
            raise OutputError(
                'cannot_write',
                f'{self._called}: expected a folder that can be made, got: {error} '
                'Choose a new name, or remove the old bag.',
            ) from error
        except sqlite3.Error as error:
            raise self._refused(error) from error

    def write(self, topic: str, type_name: str, message: object, stamp_ns: int) -> None:
        """Append a message: serialized bytes, or an object with the fields of the type.

        All messages of a topic have one type. ``stamp_ns`` is the time of recording, nanoseconds.
        """
        if topic not in self._connections:
            self.declare(topic, type_name)
        if not isinstance(message, bytes | memoryview):
            message = self._types.serialize_cdr(message, type_name)
        try:
            self._writer.write(self._connections[topic], stamp_ns, message)
        except (OSError, sqlite3.Error) as error:
            raise self._refused(error) from error

    def declare(
        self,
        topic: str,
        type_name: str,
        *,
        latched: bool = False,
        definition: Definition | None = None,
    ) -> None:
        """Declare a topic before its first message.

        Args:
            topic: full name.
            type_name: ROS type.
            latched: whether players should offer the last message to late subscribers.
            definition: of a type that is recorded elsewhere; None takes that of the typestore.

        Raises:
            OutputError: ``'unknown_type'``, the type has no definition; or it cannot be written.
        """
        if topic in self._connections:
            return
        qos = _offered(latched) if definition is None else definition.qos
        if definition is not None and not definition.digest:
            self._learn(type_name, definition.text)
            definition = None
        if definition is None and type_name not in self._types.types:
            raise OutputError(
                'unknown_type',
                f'{topic}: expected a message type with a definition, got {type_name}, which '
                'neither the recording nor this package defines. Leave the topic out.',
            )
        try:
            self._connections[topic] = self._writer.add_connection(
                topic,
                type_name,
                typestore=self._types,
                msgdef=None if definition is None else definition.text,
                rihs01=None if definition is None else definition.digest,
                offered_qos_profiles=qos,
            )
        except (OSError, sqlite3.Error) as error:
            raise self._refused(error) from error

    def _learn(self, type_name: str, text: str) -> None:
        """Take the definition of a type from a recording that has no hash of it."""
        known = self._types.types
        if type_name not in known:
            idl = text.startswith(_IDL)
            found = get_types_from_idl(text) if idl else get_types_from_msg(text, type_name)
            # In a store of this bag alone: another recording may define the type differently.
            new = {name: found[name] for name in found if name not in known}
            self._types = extended_store(self._types, new)

    def close(self) -> None:
        """Write what is pending and the index; the file is closed in any case.

        Raises:
            OutputError: the operating system refused.
        """
        try:
            self._writer.close()
        except (OSError, sqlite3.Error) as error:
            self.abort()
            raise self._refused(error) from error

    def abort(self) -> None:
        """Leave the bag as it is, without an index."""
        # What is still pending would be written now; a full disk refuses it once more.
        with suppress(OSError, sqlite3.Error):
            self._writer.abort()

    def _refused(self, error: Exception) -> OutputError:
        return OutputError(
            'cannot_write',
            f'{self._called}: cannot be written: {getattr(error, "strerror", None) or error}. '
            'Check the free space and the permissions.',
        )

    def __enter__(self) -> Self:
        """Use the bag in a with statement."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Finish the bag, or leave it without an index after an error."""
        if kind is None:
            self.close()
        else:
            self.abort()
