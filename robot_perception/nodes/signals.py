"""SIGINT and SIGTERM from the first moment of a program, whatever it is busy with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import os
import signal
import sys
import threading

_LIMIT_S = 2.0
_interruptible = threading.Event()


class SignalExit:
    """Ends the process with 0 at SIGINT or SIGTERM.

    Until `ros_started` it ends at once. From then on rclpy shuts down, `interruptible` work is
    interrupted, and what has not ended within seconds is ended.

    Attributes:
        exit_code: returns the exit code of a process that has not ended in time.
    """

    def __init__(self) -> None:
        """Handle the signals from now on."""
        self.exit_code: Callable[[], int] = lambda: 0
        self._ros_runs = False
        self._ends = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle)

    def ros_started(self) -> None:
        """Leave it to rclpy to end the program."""
        self._ros_runs = True

    def program_ended(self) -> None:
        """Ignore signals from now on: while Python ends, one more would kill the process."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)

    def _handle(self, *_: object) -> None:
        if not self._ros_runs:
            end_process(0)
        if not self._ends:
            self._ends = True
            end_within(_LIMIT_S, self.exit_code)
            if _interruptible.is_set():
                raise KeyboardInterrupt


@contextmanager
def interruptible() -> Iterator[None]:
    """Let `SignalExit` raise KeyboardInterrupt in the body, which runs in the main thread."""
    _interruptible.set()
    try:
        yield
    finally:
        _interruptible.clear()


def end_within(seconds: float, code: Callable[[], int]) -> None:
    """End the process with an exit code when the time is over, if it is not over before."""
    timer = threading.Timer(seconds, lambda: end_process(code()))
    timer.daemon = True
    timer.start()


def end_process(code: int) -> None:
    """End the process at once, without waiting for any thread."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
