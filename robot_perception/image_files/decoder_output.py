"""Capture of the lines that image decoders print."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import re
import threading

import cv2

from robot_perception.core import captured_output

_OF_DECODERS = re.compile(rb'(?!\[).*(libpng|JPEG|JFIF|Adobe|progression|SOS parameters)')
_lock = threading.Lock()


@contextmanager
def captured_decoder_output() -> Iterator[list[str]]:
    """Capture what decoders print in the block; the list has the lines after the block.

    Lines of other threads, such as those of the ROS logger in brackets, are passed on.
    """
    with _lock:
        level = _set_log_level(0)
        try:
            with captured_output(_OF_DECODERS) as lines:
                yield lines
        finally:
            _set_log_level(level)


def _set_log_level(level: int) -> int:
    """Set OpenCV's level of messages, 0 = none, and return the previous one."""
    try:
        return int(cv2.utils.logging.setLogLevel(level))
    except AttributeError:  # before OpenCV 4.8
        return int(cv2.setLogLevel(level))  # type: ignore[attr-defined]
