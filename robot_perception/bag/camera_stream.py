"""The images of a recording in order, each with the calibration and depth that belong to it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
import struct

from robot_perception.pipeline import DepthHistory
from robot_perception.sources import BagMessage, Role

_NANOSECONDS = 1_000_000_000
_STAMP = {0: struct.Struct('>iI'), 1: struct.Struct('<iI')}
_HEAD_SIZE = 4
IMAGES = (Role.IMAGE, Role.COMPRESSED_IMAGE)


@dataclass(frozen=True, slots=True)
class CameraFrame:
    """One image, serialized as it was recorded, with what belongs to it.

    Attributes:
        image: with the time it was recorded.
        info: the newest CameraInfo before it; None without one.
        depth: the sensor's depth nearest to its stamp; None without one near enough.

    """

    image: BagMessage
    info: bytes | None
    depth: bytes | None


def camera_frames(
    messages: Iterable[BagMessage],
    roles: Mapping[str, Role],
    *,
    first_info: bytes | None,
    max_offset_s: float,
    max_wait_s: float,
    tf_wait_s: float,
) -> Iterator[CameraFrame | BagMessage]:
    """Join images with what belongs to them, as a node that hears them would.

    An image waits for the depth that follows it, ``max_wait_s`` of recorded time at most, and until
    ``tf_wait_s`` later where transforms are among the topics, so that those of its stamp have come.

    Args:
        messages: in the order they were recorded.
        roles: topics of the camera; depth counts where it is among them.
        first_info: calibration of images before the first CameraInfo.
        max_offset_s: largest difference between the stamps of an image and of its depth.
        max_wait_s: how much later than the image its depth may have been recorded.
        tf_wait_s: how much later its transforms.

    Yields:
        Frames in the order of their images, and every message as it comes.

    Raises:
        SourceError: whatever ``messages`` raises, after the last frame.

    """
    stream = _Joiner(
        roles,
        first_info,
        max_offset_s,
        max_wait_ns=round(max_wait_s * _NANOSECONDS),
        tf_wait_ns=round(tf_wait_s * _NANOSECONDS),
    )
    try:
        for message in messages:
            yield from stream.take(message)
            yield message
    except Exception:
        yield from stream.rest()
        raise
    yield from stream.rest()


class _Joiner:
    def __init__(
        self,
        roles: Mapping[str, Role],
        info: bytes | None,
        max_offset_s: float,
        *,
        max_wait_ns: int,
        tf_wait_ns: int,
    ) -> None:
        self._roles = roles
        self._info = info
        self._max_offset_s = max_offset_s
        self._max_wait_ns = max_wait_ns
        self._tf_wait_ns = tf_wait_ns if Role.TF in roles.values() else -1
        self._with_depth = Role.DEPTH in roles.values()
        self._depths = DepthHistory()
        self._waiting: deque[tuple[BagMessage, bytes | None]] = deque()

    def take(self, message: BagMessage) -> Iterator[CameraFrame]:
        role = self._roles.get(message.topic)
        if role is Role.CAMERA_INFO:
            self._info = message.data
        elif role is Role.DEPTH:
            stamp_ns = stamp_of(message.data)
            if stamp_ns is not None:
                # Who waits too long is not to have it; who found a better one keeps that.
                yield from self._ready(message.stamp_ns)
                self._depths.put(stamp_ns, message.data)
        elif role in IMAGES:
            self._waiting.append((message, self._info))
        yield from self._ready(message.stamp_ns)

    def rest(self) -> Iterator[CameraFrame]:
        """Give the images that still wait."""
        while self._waiting:
            yield self._next()

    def _ready(self, now_ns: int) -> Iterator[CameraFrame]:
        while self._waiting and self._is_settled(self._waiting[0][0], now_ns):
            yield self._next()

    def _is_settled(self, image: BagMessage, now_ns: int) -> bool:
        passed_ns = now_ns - image.stamp_ns
        if passed_ns <= self._tf_wait_ns:
            return False
        if not self._with_depth or passed_ns > self._max_wait_ns:
            return True
        stamp_ns = stamp_of(image.data)
        return stamp_ns is None or self._depths.settled(stamp_ns)

    def _next(self) -> CameraFrame:
        image, info = self._waiting.popleft()
        stamp_ns = stamp_of(image.data)
        if not self._with_depth or stamp_ns is None:
            return CameraFrame(image, info, None)
        return CameraFrame(image, info, self._depths.nearest(stamp_ns, self._max_offset_s))


def stamp_of(cdr: bytes) -> int | None:
    """Read the stamp at the head of a serialized message, nanoseconds; None for broken bytes."""
    if len(cdr) < _HEAD_SIZE + 8 or cdr[1] not in _STAMP:
        return None
    seconds, nanoseconds = _STAMP[cdr[1]].unpack_from(cdr, _HEAD_SIZE)
    return int(seconds * _NANOSECONDS + nanoseconds)
