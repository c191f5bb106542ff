"""Lines that native libraries print, captured or throttled.

Image decoders and Fast CDR print a line about each damaged image or message, which floods a log at
30 of them a second. They print to the variable ``stderr`` of the C library, which is replaced
during a call. File descriptor 2 and ``sys.stderr`` stay as they are, so that crash reports and
child processes are not affected, and what other threads print meanwhile is passed on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import ctypes
from functools import cache
import os
import re
import tempfile
import threading
import time

_STDERR = 2
# Of one call that prints more, the rest is left out.
_MAX_BYTES = 65536
_PERIOD_S = 10.0
# Different lines that are kept.
_MAX_LINES = 64


@contextmanager
def throttled_output() -> Iterator[None]:
    """Print each line that native code prints in the block at most once in ten seconds.

    The next one after that states how many were left out. Without a C library that has the
    variable ``stderr``, nothing is left out.
    """
    stream = _redirection()
    if stream is None:
        yield
        return
    stream.begin()
    try:
        yield
    finally:
        stream.end()


@contextmanager
def captured_output(pattern: re.Pattern[bytes]) -> Iterator[list[str]]:
    """Capture the lines that match from the block; the list has them after the block.

    Blocks of two threads must not capture at once. Other lines are printed, throttled.
    """
    lines: list[str] = []
    stream = _redirection()
    if stream is None:
        yield lines
        return
    stream.begin()
    try:
        yield lines
    finally:
        lines += stream.end(pattern)


class LineThrottle:
    """Leaves out lines that were printed a short time ago, and counts them."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        """Start without lines; ``now_s`` is the clock, in seconds."""
        self._now_s = now_s
        # Line -> when it was printed, and how often it was left out since.
        self._lines: dict[bytes, tuple[float, int]] = {}

    def add(self, line: bytes) -> bytes:
        """Return what to print for a line: it, with the number left out, or nothing."""
        now_s = self._now_s()
        printed_s, left_out = self._lines.get(line, (-_PERIOD_S, 0))
        if now_s - printed_s < _PERIOD_S:
            self._lines[line] = (printed_s, left_out + 1)
            return b''
        self._lines.pop(line, None)
        if len(self._lines) >= _MAX_LINES:
            del self._lines[next(iter(self._lines))]
        self._lines[line] = (now_s, 0)
        return _counted(line, left_out)

    def take_overdue(self) -> bytes:
        """Return what to print for lines that do not come any more and were left out."""
        now_s = self._now_s()
        overdue = [
            line
            for line, (printed_s, left_out) in self._lines.items()
            if left_out and now_s - printed_s >= _PERIOD_S
        ]
        return b''.join(_counted(line, self._lines.pop(line)[1]) for line in overdue)


def _counted(line: bytes, left_out: int) -> bytes:
    text = line.rstrip(b'\n')
    return text + (b' (left out before: %d)\n' % left_out if left_out else b'\n')


class _Redirection:
    """A temporary file, open as a stream of the C library without a buffer."""

    def __init__(self) -> None:
        library = ctypes.CDLL(None)
        self._variable = ctypes.c_void_p.in_dll(library, 'stderr')
        library.fdopen.restype = ctypes.c_void_p
        library.setbuf.argtypes = (ctypes.c_void_p, ctypes.c_void_p)
        # The stream is never closed: another thread may be about to print to it.
        with tempfile.TemporaryFile() as file:
            self._descriptor = os.dup(file.fileno())
        self._file: int | None = library.fdopen(self._descriptor, b'w')
        library.setbuf(self._file, None)
        self._lock = threading.Lock()
        self._users = 0
        self._previous: int | None = None
        self._read_bytes = 0
        self._throttle = LineThrottle()

    def begin(self) -> None:
        """Start to redirect, unless another thread has."""
        with self._lock:
            if not self._users:
                self._previous, self._variable.value = self._variable.value, self._file
            self._users += 1

    def end(self, pattern: re.Pattern[bytes] | None = None) -> list[str]:
        """Stop redirecting if no other thread does; return lines that match, print others."""
        with self._lock:
            self._users -= 1
            if not self._users:
                self._variable.value = self._previous
            elif pattern is None:
                # The other thread may capture what is there.
                return []
            kept, printed = [], b''
            for line in self._take().splitlines(keepends=True):
                if pattern is not None and pattern.match(line):
                    kept.append(line.decode(errors='replace').strip())
                else:
                    printed += self._throttle.add(line)
            printed += self._throttle.take_overdue()
        if printed:
            os.write(_STDERR, printed)
        return kept

    def _take(self) -> bytes:
        """Return what was printed since the last call."""
        end = os.lseek(self._descriptor, 0, os.SEEK_CUR)
        start, self._read_bytes = self._read_bytes, end
        text = os.pread(self._descriptor, min(end - start, _MAX_BYTES), start)
        if end and not self._users:
            os.ftruncate(self._descriptor, 0)
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            self._read_bytes = 0
        return text


@cache
def _redirection() -> _Redirection | None:
    try:
        return _Redirection()
    except (AttributeError, OSError, ValueError):
        return None
