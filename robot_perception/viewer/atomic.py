"""Files that are there whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
import secrets

from robot_perception.core import OutputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a name to write to, and move what was written to ``path`` at the end.

    The name lies in the same folder and has the same suffix. When the block raises, what was
    written is removed, and a file that was at ``path`` before stays as it was.

    Args:
        path: file to make or replace; its folder must exist.

    Raises:
        OutputError: the operating system refused.

    """
    part = path.with_name(f'.{path.stem[:80]}.{secrets.token_hex(4)}.part{path.suffix}')
    try:
        yield part
        part.replace(path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        part.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        OutputError: the operating system refused.

    """
    with replacing(path) as part:
        part.write_bytes(data)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it where they are missing.

    Raises:
        OutputError: the operating system refused.

    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error


def unwritable(path: Path, error: OSError) -> OutputError:
    """Say that the operating system refused to write ``path``, and why."""
    return OutputError(
        f'{path}: cannot be written: {error.strerror or error}. '
        'Check the folder, its permissions and the free space.'
    )
