"""Capture of the lines that image decoders print.

libjpeg and libpng print a line about each damaged image, which floods a log at 30 images a second.
They print to the variable ``stderr`` of the C library, which is replaced during a call. File
descriptor 2 and ``sys.stderr`` stay as they are, so that crash reports, child processes and other
threads are not affected.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import ctypes
from functools import cache
import os
import re
import tempfile
import threading

import cv2

_STDERR = 2
_KEPT_BYTES = 4096
# Lines of other threads, such as those of the ROS logger in brackets, are passed on.
_OF_DECODERS = re.compile(rb'(?!\[).*(libpng|JPEG|JFIF|Adobe|progression|SOS parameters)')
_lock = threading.Lock()


@contextmanager
def captured_output() -> Iterator[list[str]]:
    """Capture what decoders print in the block; the list has the lines after the block.

    Without a C library that has the variable, nothing is captured.
    """
    lines: list[str] = []
    stream = _capture_stream()
    with _lock:
        level = _set_log_level(0)
        previous = None
        if stream is not None:
            previous, stream.variable.value = stream.variable.value, stream.file
        try:
            yield lines
        finally:
            _set_log_level(level)
            if stream is not None:
                stream.variable.value = previous
                lines += stream.take()


class _Stream:
    """A temporary file, open as a stream of the C library without a buffer."""

    def __init__(self) -> None:
        library = ctypes.CDLL(None)
        self.variable = ctypes.c_void_p.in_dll(library, 'stderr')
        library.fdopen.restype = ctypes.c_void_p
        library.setbuf.argtypes = (ctypes.c_void_p, ctypes.c_void_p)
        # The stream is never closed: another thread may be about to print to it.
        with tempfile.TemporaryFile() as file:
            self._descriptor = os.dup(file.fileno())
        self.file: int | None = library.fdopen(self._descriptor, b'w')
        library.setbuf(self.file, None)

    def take(self) -> Iterator[str]:
        """Return the lines of decoders that were printed, and print all others."""
        if not os.lseek(self._descriptor, 0, os.SEEK_CUR):
            return
        text = os.pread(self._descriptor, _KEPT_BYTES, 0)
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        for line in text.splitlines(keepends=True):
            if _OF_DECODERS.match(line):
                yield line.decode(errors='replace').strip()
            else:
                os.write(_STDERR, line)


@cache
def _capture_stream() -> _Stream | None:
    try:
        return _Stream()
    except (AttributeError, OSError, ValueError):
        return None


def _set_log_level(level: int) -> int:
    """Set OpenCV's level of messages, 0 = none, and return the previous one."""
    try:
        return int(cv2.utils.logging.setLogLevel(level))
    except AttributeError:  # before OpenCV 4.8
        return int(cv2.setLogLevel(level))  # type: ignore[attr-defined]
