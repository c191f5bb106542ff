"""What killed downloads have left in the cache of the Hugging Face Hub."""

from __future__ import annotations

import fcntl
import logging
import os
from pathlib import Path
import re

from robot_perception.models.pull_record import repository_folder

_LOG = logging.getLogger(__name__)
# A new name in each run of the Hub's client: such a file is never continued.
_TEMPORARY = re.compile(r'(?P<etag>[^.]+)\.[0-9a-f]{8}\.incomplete')
_MEGABYTE = 1e6


def remove_leftovers(cache: Path, model: str) -> None:
    """Remove files of downloads of a model that were killed, and log how much they were.

    What another process downloads now is left alone: it holds the lock of the Hub's client.
    """
    repository = repository_folder(cache, model)
    sizes: list[int] = []
    for path in repository.glob('blobs/*.incomplete'):
        found = _TEMPORARY.fullmatch(path.name)
        if found is not None:
            lock = cache / '.locks' / repository.name / f'{found["etag"]}.lock'
            sizes += _remove(path, lock)
    if sizes:
        _LOG.warning(
            '%s: removed %.1f MB that an interrupted download left',
            model,
            sum(sizes) / _MEGABYTE,
        )


def _remove(path: Path, lock: Path) -> list[int]:
    """Remove a file that no process locks; return its size, nothing if it stays."""
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(lock, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            size = path.stat().st_size
            path.unlink()
        finally:
            os.close(handle)
    except OSError:
        # Locked, removed meanwhile, or not ours to remove.
        return []
    return [size]
