"""Ctrl-C and the processes that a program starts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
import signal


@contextmanager
def blocking_interrupts() -> Iterator[None]:
    """Block Ctrl-C on this thread until the block ends; processes started in it go on so."""
    # With the first process Python starts one that tracks resources, and unblocks Ctrl-C.
    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
