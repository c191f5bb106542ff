"""Marks the time in which networks do what takes up to minutes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
import threading

_LOCK = threading.Lock()
_RUNNING: list[str] = []


def compiling() -> AbstractContextManager[None]:
    """Mark the body of a ``with`` statement as the compilation of a network."""
    return _marked('its first run takes longer')


def generating() -> AbstractContextManager[None]:
    """Mark the body of a ``with`` statement as text that a network writes, of any length."""
    return _marked('its network writes text, which takes longer the more there is to write')


@contextmanager
def _marked(why: str) -> Iterator[None]:
    with _LOCK:
        _RUNNING.append(why)
    try:
        yield
    finally:
        with _LOCK:
            _RUNNING.remove(why)


def long_work() -> str:
    """Return why a network may take up to minutes at this time; empty if none may."""
    with _LOCK:
        return _RUNNING[-1] if _RUNNING else ''
