"""Keep the recent depth messages of a sensor, and find the one nearest to an image."""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import NamedTuple
from weakref import WeakSet

from robot_perception.conversions import Message
from robot_perception.core import is_restart, NANOSECONDS_PER_SECOND
from robot_perception.pipeline import DepthConfig
from robot_perception.stream.message_time import MessageTime, StampSequence

# An image may arrive this much later than its depth, as when color is encoded or sent by radio.
_IMAGE_DELAY_S = 1.0
# Bounds the memory if neither stamps nor receipts advance, as with a paused /clock.
_MAX_RATE_HZ = 100


class _Entry(NamedTuple):
    """A depth message, and by how much its stamp was behind the newest when it arrived."""

    time: MessageTime
    message: Message
    lateness_ns: int


class _Order(NamedTuple):
    """Order of arrival of the messages that are kept; times in nanoseconds.

    Attributes:
        newest_ns: the newest stamp.
        received_ns: the last receipt.
        lateness_ns: by how much stamps have stepped back; 0 in order.
        spacing_ns: the least difference of two stamps, 0 if unknown; only out of order.
    """

    newest_ns: int
    received_ns: int
    lateness_ns: int = 0
    spacing_ns: int = 0


class DepthRequest:
    """A request for the depth of one image.

    It keeps the nearest message even when that has left the history in the meantime.

    Attributes:
        is_settled: whether no later message can be nearer.
    """

    def __init__(self, time: MessageTime) -> None:
        """Start without a message; ``time`` is that of the image."""
        self.is_settled = False
        self._time = time
        self._nearest: tuple[int, Message] | None = None

    def offer(self, entry: _Entry) -> None:
        """Keep a message if it is nearer than those before: by stamp, or else by receipt."""
        if self._time.fault or entry.time.fault:
            # Of equally near ones the later: receipts may not advance.
            offset_ns = abs(entry.time.received_ns - self._time.received_ns)
            is_nearer = self._nearest is None or offset_ns <= self._nearest[0]
        else:
            offset_ns = abs(entry.time.stamp_ns - self._time.stamp_ns)
            is_nearer = self._nearest is None or offset_ns < self._nearest[0]
        if is_nearer:
            self._nearest = (offset_ns, entry.message)

    def settle(self, order: _Order, *, by_receipt: bool) -> None:
        """Decide whether a later message can be nearer.

        While stamps step back, later messages have stamps from the newest less the largest step on
        (a watermark). None is nearer if that is as far from the image as the nearest, or if it
        would be closer to the nearest than any two stamps have been.
        """
        if by_receipt or self._time.fault:
            self.is_settled = order.received_ns >= self._time.received_ns
            return
        passed_ns = order.newest_ns - self._time.stamp_ns
        offset_ns = 0 if self._nearest is None else self._nearest[0]
        self.is_settled = passed_ns - order.lateness_ns >= offset_ns or (
            passed_ns >= 0 and 2 * offset_ns <= order.spacing_ns
        )

    def clear(self) -> None:
        """Drop the message unless the request is settled."""
        if not self.is_settled:
            self._nearest = None

    def nearest(self, max_offset_s: float) -> Message | None:
        """Return the nearest message so far, None if it is not within ``max_offset_s``."""
        if self._nearest is None:
            return None
        offset_ns, message = self._nearest
        return message if offset_ns <= max_offset_s * NANOSECONDS_PER_SECOND else None


class DepthHistory:
    """Keeps messages as long as an image can still ask for them; for one thread at a time."""

    def __init__(self) -> None:
        """Start without messages."""
        self._stamps = StampSequence()
        self._last_fault = ''
        self._newest_ns = 0
        self._entries: deque[_Entry] = deque()
        self._requests: WeakSet[DepthRequest] = WeakSet()
        self._keep_s = _IMAGE_DELAY_S

    def put(self, stamp_ns: int, received_ns: int, message: Message) -> None:
        """Add a message; a restart (see `is_restart`) drops all earlier ones."""
        time = self._stamps.add(stamp_ns, received_ns)
        is_duplicate = time.fault == 'repeated_stamp' and not self._last_fault
        self._last_fault = time.fault
        if is_duplicate:
            # A stream whose stamps advance has sent this picture before.
            return
        if is_restart(time.sequence_ns, self._newest_ns):
            self._drop()
            self._newest_ns = time.sequence_ns
        self._newest_ns = max(time.sequence_ns, self._newest_ns)
        entry = _Entry(time, message, self._newest_ns - time.sequence_ns)
        self._entries.append(entry)
        self._drop_old()
        waiting = [request for request in self._requests if not request.is_settled]
        if waiting:
            order = self._order()
            for request in waiting:
                request.offer(entry)
                request.settle(order, by_receipt=bool(time.fault))

    def clear(self) -> None:
        """Drop all messages, as after a time jump."""
        self._stamps.reset()
        self._last_fault = ''
        self._drop()

    def request(self, time: MessageTime, config: DepthConfig) -> DepthRequest:
        """Return a request that is offered all messages here, and new ones while referenced.

        Args:
            time: time of the image.
            config: the longest wait and the largest offset: how long messages are kept.
        """
        self._keep_s = max(_IMAGE_DELAY_S, config.max_wait_s) + config.max_offset_s
        request = DepthRequest(time)
        for entry in self._entries:
            request.offer(entry)
        if self._entries:
            request.settle(self._order(), by_receipt=bool(self._entries[-1].time.fault))
        self._requests.add(request)
        return request

    def _drop(self) -> None:
        self._newest_ns = 0
        self._entries.clear()
        for request in self._requests:
            request.clear()

    def _drop_old(self) -> None:
        oldest_ns = self._newest_ns - self._keep_s * NANOSECONDS_PER_SECOND
        while (
            self._entries[0].time.sequence_ns < oldest_ns
            or len(self._entries) > self._keep_s * _MAX_RATE_HZ
        ):
            self._entries.popleft()

    def _order(self) -> _Order:
        received_ns = self._entries[-1].time.received_ns
        lateness_ns = max(entry.lateness_ns for entry in self._entries)
        if not lateness_ns:
            return _Order(self._newest_ns, received_ns)
        stamps_ns = sorted(entry.time.sequence_ns for entry in self._entries)
        spacing_ns = min((later - one for one, later in pairwise(stamps_ns)), default=0)
        return _Order(self._newest_ns, received_ns, lateness_ns, spacing_ns)
