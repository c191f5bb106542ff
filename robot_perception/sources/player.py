"""When each sample is published. Knows time, not ROS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import math
import time

from robot_perception.core import NANOSECONDS_PER_SECOND, SourceError
from robot_perception.sources.sample import Sample, Source

CLOCK_PERIOD_NS = 10_000_000


@dataclass(frozen=True, slots=True)
class PlayReport:
    """What was played.

    Attributes:
        samples: samples published, over all passes.
        passes: passes begun.
        error: what could not be read, None when everything could.
    """

    samples: int
    passes: int
    error: SourceError | None = None


@dataclass(frozen=True, slots=True)
class Timekeeper:
    """The time and the ways to spend it; replaced in tests.

    Attributes:
        now_ns: monotonic time in nanoseconds.
        sleep: waits for some seconds, or less when playing is to stop.
        stopped: whether playing is to stop.
    """

    now_ns: Callable[[], int] = time.monotonic_ns
    sleep: Callable[[float], object] = time.sleep
    stopped: Callable[[], bool] = lambda: False


def play(
    source: Source,
    publish: Callable[[Sample], None],
    *,
    rate: float = 1.0,
    loop: bool = False,
    clock: Callable[[int], None] | None = None,
    on_damage: Callable[[SourceError], None] | None = None,
    timekeeper: Timekeeper | None = None,
) -> PlayReport:
    """Publish a source at the times it was recorded.

    The times are those of the first sample plus their recorded offsets, divided by `rate`; a
    sample that is late is published at once, and lateness does not add up. A live source is
    published as it comes.

    Args:
        source: what to play.
        publish: called for every sample.
        rate: how many times faster than recorded; must be 1 for a live source.
        loop: whether to begin again at the end; stamps then jump back, as with
            ``ros2 bag play --loop``.
        clock: called with the recorded time in nanoseconds, at every sample and every 10 ms of
            waiting between samples.
        on_damage: called once when a part of the source cannot be read; playing goes on.
        timekeeper: where time comes from and when to stop.

    Raises:
        SourceError: bad rate, or nothing at all could be read.
    """
    check_rate(rate, live=source.live)
    timekeeper = timekeeper or Timekeeper()
    pacer = _Pacer(rate, clock, timekeeper, source.live)
    samples = passes = 0
    error = None
    while not timekeeper.stopped() and (loop or passes == 0):
        passes += 1
        count = 0
        try:
            for sample in source:
                pacer.wait_for(sample.stamp_ns)
                if timekeeper.stopped():
                    break
                publish(sample)
                count += 1
        except SourceError as problem:
            if samples + count == 0:
                raise
            if error is None and on_damage is not None:
                on_damage(problem)
            error = problem
        samples += count
        if count == 0 or source.live:
            break
        if loop:
            pacer.end_pass(source.duration_ns)
    return PlayReport(samples, passes, error)


def check_rate(rate: float, *, live: bool = False) -> None:
    """Refuse a rate that cannot be played.

    Raises:
        SourceError: not a finite number above 0, or not 1 for a live source.
    """
    if not (math.isfinite(rate) and rate > 0):
        raise SourceError(
            'out_of_range',
            f'rate: expected a number above 0, got {rate}. Pass 1 for the speed of the recording.',
        )
    if live and rate != 1:
        raise SourceError(
            'out_of_range',
            f'rate: expected 1 for a camera, got {rate}. A camera gives pictures at its own rate.',
        )


@dataclass(slots=True)
class _Pacer:
    """Maps recorded time to now, one pass after the other."""

    rate: float
    clock: Callable[[int], None] | None
    time: Timekeeper
    live: bool
    _begin_ns: int | None = None
    _first_stamp_ns: int | None = None
    _last_stamp_ns: int = 0

    def wait_for(self, stamp_ns: int) -> None:
        if self._first_stamp_ns is None:
            self._first_stamp_ns = self._last_stamp_ns = stamp_ns
            if self._begin_ns is None:
                self._begin_ns = self.time.now_ns()
        # A recording may hold samples out of order; its clock must not run backwards.
        self._last_stamp_ns = max(self._last_stamp_ns, stamp_ns)
        if not self.live:
            self._wait_until(self._due_ns(stamp_ns))
        if self.clock is not None and not self.time.stopped():
            self.clock(self._last_stamp_ns)

    def end_pass(self, duration_ns: int | None) -> None:
        """Wait until the recording is over; the next sample begins it again."""
        first_ns = self._first_stamp_ns or 0
        # One message has no length of its own: it is repeated every second.
        length_ns = duration_ns or self._last_stamp_ns - first_ns or NANOSECONDS_PER_SECOND
        self._last_stamp_ns = max(self._last_stamp_ns, first_ns + length_ns)
        due_ns = self._due_ns(first_ns + length_ns)
        self._wait_until(due_ns)
        self._begin_ns = max(due_ns, self.time.now_ns())
        self._first_stamp_ns = None

    def _due_ns(self, stamp_ns: int) -> int:
        return (self._begin_ns or 0) + round((stamp_ns - (self._first_stamp_ns or 0)) / self.rate)

    def _wait_until(self, due_ns: int) -> None:
        while not self.time.stopped() and (left_ns := due_ns - self.time.now_ns()) > 0:
            if self.clock is None:
                self.time.sleep(left_ns / NANOSECONDS_PER_SECOND)
                continue
            self.time.sleep(min(left_ns, CLOCK_PERIOD_NS) / NANOSECONDS_PER_SECOND)
            passed_ns = self.time.now_ns() - (self._begin_ns or 0)
            recorded_ns = (self._first_stamp_ns or 0) + round(passed_ns * self.rate)
            self.clock(min(recorded_ns, self._last_stamp_ns))
