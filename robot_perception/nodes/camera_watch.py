"""Recognizes a camera that is silent, slow or stuck from the arrival of its images."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
import time
import zlib

import numpy as np

from robot_perception.conversions import Message

# Silence is this multiple of the usual interval, and more than the period of the reports.
_SILENT_INTERVALS, _SILENT_S = 3.0, 1.0
# After a single image nothing is known about its camera.
_UNKNOWN_INTERVAL_S = 10.0
_INTERVALS = 10
# Seconds whose rates are kept; the last few are compared with the others.
_KEPT, _RECENT, _NEEDED = 120, 2, 8
_SLOW, _SLOWEST_HZ = 0.6, 2.0
_USUAL_PERCENTILE = 75
_STUCK_S, _STUCK_IMAGES = 1.0, 3
# Parts of an image that are compared before the whole of it is.
_PARTS, _PART_BYTES = 16, 256


@dataclass(frozen=True, slots=True)
class CameraReport:
    """State of a camera.

    Attributes:
        is_silent: whether an image is overdue.
        problem: what is wrong with its images, empty if nothing is.
    """

    is_silent: bool
    problem: str = ''


class CameraWatch:
    """Observes images as they arrive; for one thread."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        """Start without images; ``now_s`` is the clock, in seconds."""
        self._now_s = now_s
        self._last_s: float | None = None
        self._intervals_s: deque[float] = deque(maxlen=_INTERVALS)
        self._arrived = 0
        self._reported_s = now_s()
        self._rates_hz: deque[float] = deque(maxlen=_KEPT)
        self._sum = 0
        self._data: Message = None
        self._changed_s = 0.0
        self._repeated = 0

    def add(self, image: Message) -> None:
        """Observe an Image or CompressedImage, which takes about 10 microseconds."""
        now_s = self._now_s()
        if self._last_s is not None:
            self._intervals_s.append(now_s - self._last_s)
        self._last_s = now_s
        self._arrived += 1
        checksum = _checksum(image.data)
        if checksum == self._sum and image.data == self._data:
            self._repeated += 1
        else:
            self._sum, self._data = checksum, image.data
            self._changed_s, self._repeated = now_s, 0

    def report(self) -> CameraReport:
        """Return the state of the camera; call once a second."""
        now_s = self._now_s()
        self._rates_hz.append(self._arrived / max(now_s - self._reported_s, 1e-3))
        self._arrived, self._reported_s = 0, now_s
        if self._last_s is None or now_s - self._last_s > self._longest_interval_s():
            self._rates_hz.clear()
            return CameraReport(is_silent=True)
        return CameraReport(is_silent=False, problem=self._stuck(now_s) or self._slow())

    def _longest_interval_s(self) -> float:
        if not self._intervals_s:
            return _UNKNOWN_INTERVAL_S
        return max(_SILENT_S, _SILENT_INTERVALS * float(np.median(self._intervals_s)))

    def _stuck(self, now_s: float) -> str:
        seconds = now_s - self._changed_s
        if self._repeated < _STUCK_IMAGES or seconds < _STUCK_S:
            return ''
        return (
            f'the camera is stuck: the same image, byte for byte, for {seconds:.0f} s. '
            'Restart its driver; only rendered images and stills may repeat'
        )

    def _slow(self) -> str:
        rates = list(self._rates_hz)
        if len(rates) < _NEEDED + _RECENT:
            return ''
        usual_hz = float(np.percentile(rates[:-_RECENT], _USUAL_PERCENTILE))
        recent_hz = float(np.mean(rates[-_RECENT:]))
        if usual_hz < _SLOWEST_HZ or recent_hz >= _SLOW * usual_hz:
            return ''
        return (
            f'the camera is slow: {recent_hz:.1f} images per second, usually {usual_hz:.1f}. '
            'Check its exposure time, its cable and the load of its computer'
        )


def _checksum(data: Message) -> int:
    """Return a checksum of the length and of parts of the bytes."""
    view = memoryview(data)
    step = max(len(view) // _PARTS, 1)
    checksum = len(view)
    for start in range(0, len(view), step):
        checksum = zlib.crc32(view[start : start + _PART_BYTES], checksum)
    return checksum
