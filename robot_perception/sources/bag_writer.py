"""Writing a rosbag2 with the definitions of its messages inside."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Literal, TYPE_CHECKING

from rosbags.interfaces import Connection
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.rosbag2.errors import WriterError
from rosbags.typesys.store import Typestore

from robot_perception.core.errors import OutputError
from robot_perception.sources.messages import standard_types

if TYPE_CHECKING:
    from typing_extensions import Self

Storage = Literal['mcap', 'sqlite3']
Compression = Literal['none', 'file', 'message', 'storage']


class BagWriter:
    """A new bag. Closing it writes the index: use it in a with statement."""

    def __init__(
        self,
        path: Path,
        *,
        storage: Storage = 'mcap',
        compression: Compression = 'none',
        types: Typestore | None = None,
    ) -> None:
        """Make the folder of the bag.

        Args:
            path: folder to make; must not exist.
            storage: kind of file in it.
            compression: what zstd is applied to; 'storage' is known to mcap only.
            types: definitions of the messages to come; None knows the standard ones.

        Raises:
            OutputError: the folder exists or cannot be made.

        """
        self._types = types or standard_types()
        self._connections: dict[str, Connection] = {}
        try:
            self._writer = Writer(path, version=9, storage_plugin=StoragePlugin[storage.upper()])
            mode = CompressionMode[compression.upper()]
            self._writer.set_compression(mode, CompressionFormat.ZSTD)
            self._writer.open()
        except (OSError, WriterError) as error:
            raise OutputError(
                f'{path}: expected a folder that can be made, got: {error} '
                'Choose a new name, or remove the old bag.'
            ) from error

    def write(self, topic: str, type_name: str, message: object, stamp_ns: int) -> None:
        """Append a message.

        Args:
            topic: full name.
            type_name: ROS type, the same for all messages of the topic.
            message: serialized bytes, or an object with the fields of the type.
            stamp_ns: time of recording, nanoseconds.

        """
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(
                topic, type_name, typestore=self._types
            )
        if not isinstance(message, bytes):
            message = bytes(self._types.serialize_cdr(message, type_name))
        self._writer.write(self._connections[topic], stamp_ns, message)

    def close(self) -> None:
        """Write what is pending and the index."""
        self._writer.close()

    def __enter__(self) -> Self:
        """Use the bag in a with statement."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish the bag, or leave it without an index after an error."""
        if kind is None:
            self.close()
        else:
            self._writer.abort()
