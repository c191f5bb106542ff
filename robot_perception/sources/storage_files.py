"""Opening the files of a bag by their content, whatever their names, compressed or not."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from robot_perception.core import DamagedBagError
from robot_perception.sources.compression import inflate, ZSTD_MAGIC
from robot_perception.sources.mcap_file import MCAP_MAGIC, McapFile
from robot_perception.sources.sqlite_file import open_sqlite
from robot_perception.sources.sqlite_salvage import SQLITE_MAGIC
from robot_perception.sources.storage import damage, StorageFile

BAG_SUFFIXES = ('.mcap', '.db3')
_ZSTD_SUFFIXES = ('.zstd', '.zst')


def is_storage_name(path: Path) -> bool:
    """Return whether a name is one of a file of a bag, such as ``a.mcap`` or ``A.DB3.zstd``."""
    return Path(inflated_name(path.name)).suffix.lower() in BAG_SUFFIXES


def inflated_name(name: str) -> str:
    """Return the name of a file without compression."""
    path = Path(name)
    return path.stem if path.suffix.lower() in _ZSTD_SUFFIXES else name


def open_storage(path: Path, stack: ExitStack) -> tuple[StorageFile, DamagedBagError | None]:
    """Open a file of a bag; ``stack`` closes it.

    Returns:
        The file, and what of it is lost because the compressed file was cut.

    Raises:
        DamagedBagError: no message is left in it.
    """
    try:
        with path.open('rb') as stream:
            head = stream.read(len(SQLITE_MAGIC))
    except OSError as error:
        raise DamagedBagError(
            'cannot_read', f'{path}: cannot be read ({error.strerror}). Check its permissions.'
        ) from error
    if not head.startswith(ZSTD_MAGIC):
        return _open_plain(path, path, head, stack), None
    inflated = Path(stack.enter_context(TemporaryDirectory()), inflated_name(path.name))
    with path.open('rb') as packed, inflated.open('w+b') as plain:
        problem = inflate(packed, plain)
        plain.seek(0)
        head = plain.read(len(SQLITE_MAGIC))
    opened = _open_plain(inflated, path, head, stack)
    lost = None if problem is None else damage(path, _message_count(opened), problem)
    return opened, lost


def _open_plain(path: Path, called: Path, head: bytes, stack: ExitStack) -> StorageFile:
    opened: StorageFile
    if head.startswith(MCAP_MAGIC):
        opened = McapFile(path, called)
    elif head.startswith(SQLITE_MAGIC):
        opened = open_sqlite(path, called)
    else:
        raise damage(called, 0, 'it begins as neither mcap nor sqlite3 does')
    stack.callback(opened.close)
    return opened


def _message_count(file: StorageFile) -> int:
    return sum(topic.message_count for topic in file.topics)
