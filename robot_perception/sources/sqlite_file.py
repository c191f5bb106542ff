"""Reading of sqlite3 files, whole or damaged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
import json
from pathlib import Path
import sqlite3

from robot_perception.core import DamagedBagError
from robot_perception.sources.sqlite_salvage import connect, cut_page, salvage, to_message
from robot_perception.sources.storage import (
    BagMessage,
    damage,
    Definition,
    offered_qos,
    Part,
    ros_type,
    StorageFile,
    StoredTopic,
)

_FIRST_NS, _LAST_NS = -(2**63), 2**63 - 1


def open_sqlite(path: Path, called: Path) -> StorageFile:
    """Open an sqlite3 file; errors name ``called``.

    Raises:
        DamagedBagError: it is damaged, and no message is left in it.
    """
    # sqlite3 reads zeros beyond the end, without an error.
    if not cut_page(path):
        with suppress(sqlite3.Error, ValueError):
            return SqliteFile(path, called)
    return DamagedSqliteFile(path, called)


class SqliteFile(StorageFile):
    """An sqlite3 file that can be opened. Beyond damage in it, rows are read without index."""

    def __init__(self, path: Path, called: Path) -> None:
        """Read the topics.

        Raises:
            sqlite3.Error, ValueError: the file is damaged.
        """
        self._path = path
        self._called = called
        self._database = connect(path)
        try:
            self._read_topics()
        except BaseException:
            self.close()
            raise

    def _read_topics(self) -> None:
        query = 'SELECT topic_id, COUNT(*), MIN(timestamp), MAX(timestamp) FROM messages'
        rows = self._database.execute(f'{query} GROUP BY topic_id').fetchall()
        counts = {key: count for key, count, _, _ in rows}
        begins, ends = [row[2] for row in rows], [row[3] for row in rows]
        self.times_ns = (min(begins), max(ends)) if rows else None
        texts: dict[str, str] = {}
        # Earlier versions have no definitions, quality of service or hash of types.
        with suppress(sqlite3.Error):
            query = 'SELECT topic_type, encoded_message_definition FROM message_definitions'
            texts = dict(self._database.execute(query))
        cursor = self._database.execute('SELECT * FROM topics ORDER BY id')
        columns = [one[0] for one in cursor.description]
        self._topics: dict[int, tuple[str, str]] = {}
        self.topics = []
        for row in cursor:
            values = dict(zip(columns, row, strict=True))
            name, type_name = values['name'], values['type']
            if not (isinstance(name, str) and isinstance(type_name, str)):
                raise ValueError('a topic without name or type')  # noqa: TRY004 - not a bug
            definition = Definition(
                texts.get(type_name, ''),
                values.get('type_description_hash', ''),
                offered_qos(values.get('offered_qos_profiles', '')),
            )
            type_name = ros_type(type_name, values.get('serialization_format', ''))
            self._topics[values['id']] = name, type_name
            count = counts.get(values['id'], 0)
            self.topics.append(StoredTopic(name, type_name, count, definition))

    def messages(self, part: Part) -> Iterator[BagMessage]:
        """Yield the messages of a part in order of recording, then raise if some are damaged."""
        count = repeated = 0
        last_ns: int | None = None
        problem: Exception | None = None
        try:
            for row in self._rows(part):
                yield (message := to_message(row, self._topics))
                count += 1
                repeated = repeated + 1 if message.stamp_ns == last_ns else 1
                last_ns = message.stamp_ns
        except (sqlite3.Error, ValueError) as error:
            problem = error
        if problem is not None:
            for message in self._after(part, last_ns, repeated):
                yield message
                count += 1
            raise damage(self._called, count, problem)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _rows(self, part: Part) -> Iterator[tuple[int, int, bytes]]:
        keys = [key for key, (name, kind) in self._topics.items() if part.types.get(name) == kind]
        query = (
            'SELECT topic_id, timestamp, data FROM messages '
            'WHERE topic_id IN (SELECT value FROM json_each(?)) AND timestamp BETWEEN ? AND ? '
            'ORDER BY timestamp, id'
        )
        first_ns = _FIRST_NS if part.begin_ns is None else part.begin_ns
        last_ns = _LAST_NS if part.end_ns is None else part.end_ns - 1
        yield from self._database.execute(query, (json.dumps(keys), first_ns, last_ns))

    def _after(self, part: Part, last_ns: int | None, repeated: int) -> Iterator[BagMessage]:
        """Yield what is whole after the last message, of ``repeated`` with its time."""
        # The damage is known already.
        with suppress(DamagedBagError):
            for message in salvage(self._path, self._called):
                if not part.has(message):
                    continue
                is_new = last_ns is None or message.stamp_ns > last_ns
                if message.stamp_ns == last_ns:
                    repeated -= 1
                    is_new = repeated < 0
                if is_new:
                    yield message


class DamagedSqliteFile(StorageFile):
    """What is left of an sqlite3 file that cannot be opened."""

    damage: DamagedBagError

    def __init__(self, path: Path, called: Path) -> None:
        """Read all that is left once, to know what there is.

        Raises:
            DamagedBagError: no message is left.
        """
        self._path = path
        self._called = called
        counts: Counter[tuple[str, str]] = Counter()
        begin_ns, end_ns = 2**63, 0
        try:
            for message in salvage(path, called):
                counts[message.topic, message.type_name] += 1
                begin_ns = min(begin_ns, message.stamp_ns)
                end_ns = max(end_ns, message.stamp_ns)
        except DamagedBagError as error:
            if not counts:
                raise
            self.damage = error
        self.times_ns = begin_ns, end_ns
        nothing = Definition('', '', ())
        self.topics = [StoredTopic(*key, count, nothing) for key, count in counts.items()]

    def messages(self, part: Part) -> Iterator[BagMessage]:
        """Yield the messages of a part in the order of writing, then raise."""
        yield from filter(part.has, salvage(self._path, self._called))

    def close(self) -> None:
        """Nothing stays open."""
