"""Marks the time in which networks are compiled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import threading

_LOCK = threading.Lock()
_RUNNING = [0]


@contextmanager
def compiling() -> Iterator[None]:
    """Mark the body of a ``with`` statement as the compilation of a network."""
    with _LOCK:
        _RUNNING[0] += 1
    try:
        yield
    finally:
        with _LOCK:
            _RUNNING[0] -= 1


def is_compiling() -> bool:
    """Return whether a network is being compiled, which takes up to minutes."""
    return _RUNNING[0] > 0
