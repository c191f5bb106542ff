"""What is left of an sqlite3 file that was cut short: a full disk, a lost power supply.

An index lies all over the file, so that sqlite3 refuses it. The rows are read one after the other
until the cut, without any index.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
import sqlite3

from robot_perception.sources.compression import check_size
from robot_perception.sources.storage import BagMessage, damage, ros_type

SQLITE_MAGIC, _PAGE_SIZE_AT = b'SQLite format 3\0', 16
_WITHOUT_LOCKS = 'mode=ro&vfs=unix-none'
# The first byte of a page of rows, and of one that a long row goes on in.
_ROWS, _OVERFLOW, _FIRST_CELL_AT, _ROW_HEAD = b'\x0d', b'\0', 8, 64


def salvage(path: Path, called: Path) -> Iterator[BagMessage]:
    """Yield the whole messages of a damaged file, in the order they were written.

    Raises:
        DamagedBagError: always, at the end; names ``called``.
    """
    count = 0
    problem: object = 'it has no index'
    try:
        for message in _rows(path):
            count += 1
            yield message
    except (sqlite3.Error, ValueError, OverflowError) as error:
        problem = error
    raise damage(called, count, problem)


def connect(path: Path) -> sqlite3.Connection:
    """Open a database for reading, also one that is shorter than its header states.

    Raises:
        sqlite3.Error: it is no database, or its beginning is damaged.
        ValueError: it has not the tables of a bag. Views in their place may have no end.
    """
    database = sqlite3.connect(f'{path.resolve().as_uri()}?{_mode(path)}', uri=True)
    try:
        if _mode(path) == _WITHOUT_LOCKS:
            # The index of the log stays in memory.
            database.execute('PRAGMA locking_mode=EXCLUSIVE')
        database.execute('PRAGMA writable_schema=ON')
        database.execute('PRAGMA trusted_schema=OFF')
        _check_tables(database)
    except BaseException:
        database.close()
        raise
    return database


def _mode(path: Path) -> str:
    """Return how to open a database so that nothing is written beside it."""
    log, index = (Path(f'{path.resolve()}{suffix}') for suffix in ('-wal', '-shm'))
    if not (log.is_file() and log.stat().st_size > 0):
        # Of an immutable database SQLite reads no log, where the newest rows may be.
        return 'immutable=1'
    # A writer of a log keeps its index on the disk.
    return 'mode=ro' if index.exists() else _WITHOUT_LOCKS


def _check_tables(database: sqlite3.Connection) -> None:
    query = "SELECT name FROM sqlite_master WHERE type = 'table'"
    if not {'topics', 'messages'} <= {name for (name,) in database.execute(query)}:
        raise ValueError('it has not the tables of a bag')


def _rows(path: Path) -> Iterator[BagMessage]:
    with closing(connect(path)) as database:
        topics = {
            key: (name, ros_type(type_name, 'cdr'))
            for key, name, type_name in database.execute(
                # What lies beyond the end of the file is null.
                "SELECT id, name, type FROM topics WHERE typeof(name || type) = 'text'"
            )
        }
        page_size = cut_page(path)
        page = _last_page(path, page_size) if page_size else b''
        # NOT INDEXED: scan the table itself, as the index may be lost.
        rows = database.execute(
            'SELECT topic_id, timestamp, data FROM messages NOT INDEXED WHERE id != ? ORDER BY id',
            (_first_row(page) if page[:1] == _ROWS else -1,),
        )
        messages = (to_message(row, topics) for row in rows)
        yield from _sound(messages, page_size) if page[:1] == _OVERFLOW else messages


def to_message(row: tuple[int, int, bytes], topics: Mapping[int, tuple[str, str]]) -> BagMessage:
    """Return a row of messages; raise ValueError for one that is cut or too large."""
    key, stamp_ns, data = row
    # What lies beyond the end of the file reads as zeros, and a row of zeros as nulls.
    if key not in topics or not isinstance(data, bytes):
        raise ValueError('a row is cut')
    check_size(len(data), 'a message')
    return BagMessage(*topics[key], stamp_ns, data)


def cut_page(path: Path) -> int:
    """Return the page size of an sqlite3 file that ends within one, else 0."""
    with path.open('rb') as stream:
        head = stream.read(_PAGE_SIZE_AT + 2)
    if not head.startswith(SQLITE_MAGIC) or len(head) < _PAGE_SIZE_AT + 2:
        return 0
    size = int.from_bytes(head[_PAGE_SIZE_AT:], 'big')
    # 1 stands for 65536, which two bytes cannot hold.
    size = 65536 if size == 1 else size
    return size if size and path.stat().st_size % size else 0


def _last_page(path: Path, page_size: int) -> bytes:
    """Read what there is of the page that a file ends within."""
    size = path.stat().st_size
    with path.open('rb') as stream:
        stream.seek(size - size % page_size)
        return stream.read()


def _first_row(page: bytes) -> int:
    """Return the id of the first row of a page, whose end is that of the page; -1 if it is lost.

    Of a row whose beginning is lost as well sqlite3 reads nulls, so no other one needs care.
    """
    position = int.from_bytes(page[_FIRST_CELL_AT : _FIRST_CELL_AT + 2], 'big')
    _, position = _varint(page, position)
    key, end = _varint(page, position)
    return key if end <= len(page) else -1


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """Read a number of sqlite3 of at most eight bytes, and the position after it."""
    value = 0
    for byte in data[position : position + 8]:
        position += 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:  # noqa: PLR2004 - the bit that marks a continuation
            return value, position
    return value, len(data) + 1


def _sound(messages: Iterator[BagMessage], page_size: int) -> Iterator[BagMessage]:
    """Leave out the message that goes on in the last page, if its end may be lost.

    It is the last that is larger than a page, for pages are taken in the order of rows. What is
    lost reads as zeros.
    """
    held: list[BagMessage] = []
    problem: Exception = ValueError('a page is cut')
    try:
        for message in messages:
            if len(message.data) > page_size - _ROW_HEAD:
                yield from held
                held = []
            held.append(message)
    except (ValueError, sqlite3.Error) as error:
        problem = error
    if held and held[0].data.endswith(b'\0'):
        del held[0]
    yield from held
    raise problem
