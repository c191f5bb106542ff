"""Atomic writes: after each of them the old file or folder is there, or the whole new one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import ctypes
import fcntl
import logging
import os
from pathlib import Path
import re
import secrets
import shutil

from robot_perception.core.errors import OutputError

_LOG = logging.getLogger(__name__)
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@contextmanager
def replacing_file(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Yield a temporary name to write a file to, and rename it to ``path`` at the end.

    The temporary file lies in the same folder and has the same suffix. When the block raises, it
    is removed, and a file that was at ``path`` before stays as it was.

    Args:
        path: file to make or replace; its folder must exist.
        durable: flush the file and its name to the disk, so that they survive a power failure.

    Raises:
        OutputError: the operating system refused.
    """
    part = _temporary(path, path.suffix)
    try:
        yield part
        if durable:
            flush(part)
        part.replace(path)
        if durable:
            flush(path.parent)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield the name of a folder to make, and move it to ``path`` at the end.

    That name lies in a temporary folder beside ``path`` and ends like it. When the block raises,
    it is removed, and a folder that was at ``path`` before stays as it was. The folder above
    ``path`` must exist. What a killed process left of the same output is removed, with a warning.

    Raises:
        OutputError: another process writes the same output, or the operating system refused.
    """
    _remove_leftovers(path)
    scratch = _temporary(path)
    new = scratch / path.name
    try:
        scratch.mkdir()
        with _locked(scratch):
            yield new
            replace_folder(new, path)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _remove_leftovers(path: Path) -> None:
    """Remove temporary folders of killed processes; raise OutputError if a process uses one."""
    pattern = re.compile(re.escape(f'.{path.name[:80]}.') + r'[0-9a-f]{8}\.part')
    try:
        found = [one for one in path.parent.iterdir() if pattern.fullmatch(one.name)]
    except OSError:
        # The folder above is missing or cannot be read, which is named when it is written to.
        return
    for leftover in found:
        try:
            with _locked(leftover):
                shutil.rmtree(leftover, ignore_errors=True)
        except BlockingIOError:
            raise OutputError(
                'in_use',
                f'{path}: expected an output of its own, got one that another process is writing. '
                'Wait until it ends, or choose another.',
            ) from None
        except OSError:
            continue
        _LOG.warning('%s: removed %s, which an interrupted run left', path, leftover.name)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock a folder, until its process ends at the latest; raise BlockingIOError if it is."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def write_bytes(path: Path, data: bytes, *, durable: bool = False) -> None:
    """Write a file atomically; see `replacing_file`.

    Raises:
        OutputError: the operating system refused.
    """
    with replacing_file(path, durable=durable) as part:
        part.write_bytes(data)


def make_folder(folder: Path) -> None:
    """Make a folder and its missing parents.

    Raises:
        OutputError: the operating system refused.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(folder, error) from error


def replace_folder(new: Path, target: Path) -> None:
    """Move the folder ``new`` to ``target``; what was there is at ``new`` afterwards.

    Raises:
        OSError: the operating system refused.
    """
    if not target.exists():
        new.rename(target)
    elif not _swap(new, target):
        # A file system that cannot exchange: for a moment neither is there, both on the disk.
        aside = new.with_name(f'{new.name}.before')
        target.rename(aside)
        new.rename(target)
        aside.rename(new)
    flush(target.parent)


def flush(path: Path) -> None:
    """Flush a file, or the names in a folder, to the disk.

    Raises:
        OSError: the operating system refused.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_error(path: Path, error: Exception) -> OutputError:
    """Return the error to raise when ``path`` cannot be written, with its cause."""
    cause = getattr(error, 'strerror', None) or error
    return OutputError(
        'cannot_write',
        f'{path}: cannot be written: {cause}. '
        'Check the folder, its permissions and the free space.',
    )


def _temporary(path: Path, suffix: str = '') -> Path:
    name = path.name.removesuffix(suffix)[:80]
    return path.with_name(f'.{name}.{secrets.token_hex(4)}.part{suffix}')


def _swap(first: Path, second: Path) -> bool:
    """Swap two names in one step, where system and file system know how (Linux: renameat2)."""
    rename = getattr(ctypes.CDLL(None), 'renameat2', None)
    if rename is None:
        return False
    names = os.fsencode(first), os.fsencode(second)
    return bool(rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0)
