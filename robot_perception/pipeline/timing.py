"""Timing of the stages of a pipeline."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
import threading
import time
from typing import TypeVar

from robot_perception.core import PerceptionError, Stage

_Result = TypeVar('_Result')

# Names of timed stages in execution order, and of their total.
STAGES = (*(stage.value for stage in Stage), 'lifting')
PIPELINE = 'pipeline'


def pipeline_seconds(timing_s: Mapping[str, float]) -> float:
    """Return the total time; results of earlier versions have only that of the stages."""
    if PIPELINE in timing_s:
        return timing_s[PIPELINE]
    return sum(timing_s.get(stage, 0.0) for stage in STAGES)


class Stopwatch:
    """Measures named stages of one frame; two threads may time different ones."""

    def __init__(self, on_change: Callable[[Collection[str]], None] | None = None) -> None:
        """Start without times.

        Args:
            on_change: called with the innermost stage of each thread whenever one begins or ends,
                and with none when the frame is cancelled; must be quick.
        """
        self._lock = threading.Lock()
        self._on_change = on_change
        self._seconds: dict[str, float] = {}
        # Thread -> its stages that have begun, outermost first, each with its start.
        self._running: dict[int, list[tuple[str, float]]] = {}
        self._cancelled = False

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the body of a ``with`` statement; times of the same stage add up.

        Raises:
            PerceptionError: the frame was cancelled.
        """
        with self._lock:
            if self._cancelled:
                raise PerceptionError('cancelled', f'{name}: the frame was given up.')
            running = self._running.setdefault(threading.get_ident(), [])
            running.append((name, time.perf_counter()))
            self._show()
        try:
            yield
        finally:
            end = time.perf_counter()
            with self._lock:
                _, start = running.pop()
                self._seconds[name] = self._seconds.get(name, 0.0) + end - start
                self._show()

    def running(self) -> Mapping[str, float]:
        """Return the innermost stage that each thread is in -> seconds since it began."""
        now = time.perf_counter()
        with self._lock:
            innermost = [stages[-1] for stages in self._running.values() if stages]
        return {name: now - start for name, start in innermost}

    def exclude(self, seconds: float) -> None:
        """Do not count the last ``seconds``, in which the whole process was stopped."""
        with self._lock:
            for stages in self._running.values():
                stages[:] = [(name, start + seconds) for name, start in stages]

    def cancel(self) -> None:
        """Let every further stage of this frame raise an error."""
        with self._lock:
            self._cancelled = True
            self._show()

    @property
    def is_cancelled(self) -> bool:
        """Whether the frame was given up."""
        return self._cancelled

    def _show(self) -> None:
        if self._on_change is not None:
            running = () if self._cancelled else self._running.values()
            names = {stages[-1][0] for stages in running if stages}
            # Outside of its stages the pipeline only waits, perhaps for one on another thread.
            self._on_change(sorted(names - {PIPELINE} or names))

    def timed(self, name: str, work: Callable[[], _Result]) -> Callable[[], _Result]:
        """Return ``work`` wrapped so that its call is timed as a stage."""

        def run() -> _Result:
            with self.stage(name):
                return work()

        return run

    @property
    def seconds(self) -> Mapping[str, float]:
        """Stage -> seconds."""
        return dict(self._seconds)


@dataclass(frozen=True, slots=True)
class StageTiming:
    """Latest time and percentiles of one stage, all in seconds."""

    stage: str
    last_s: float
    p50_s: float
    p95_s: float
    p99_s: float


class TimingWindow:
    """Percentiles of each stage over the latest frames that ran it; thread-safe."""

    def __init__(self, frames: int) -> None:
        """Keep at most ``frames`` values for each stage."""
        self._frames = frames
        self._lock = threading.Lock()
        self._values: dict[str, deque[float]] = {}

    def add(self, timing_s: Mapping[str, float]) -> tuple[StageTiming, ...]:
        """Add the times of one frame and return the timings of its stages."""
        self.record(timing_s)
        with self._lock:
            return tuple(self._describe(stage) for stage in timing_s if stage in self._values)

    def record(self, timing_s: Mapping[str, float]) -> None:
        """Add the times of one frame without computing percentiles."""
        with self._lock:
            for stage, seconds in timing_s.items():
                self._values.setdefault(stage, deque(maxlen=self._frames)).append(seconds)

    def p99_s(self, stage: str) -> float | None:
        """Return the 99th percentile of the seconds of a stage, None before its first time."""
        with self._lock:
            return self._describe(stage).p99_s if stage in self._values else None

    def summary(self) -> tuple[StageTiming, ...]:
        """Return the timings of every stage so far."""
        with self._lock:
            return tuple(self._describe(stage) for stage in self._values)

    def clear(self) -> None:
        """Drop all values, as after a jump in time."""
        with self._lock:
            self._values.clear()

    def __len__(self) -> int:
        """Return the number of frames in the longest window."""
        with self._lock:
            return max((len(values) for values in self._values.values()), default=0)

    def _describe(self, stage: str) -> StageTiming:
        values = self._values[stage]
        p50_s, p95_s, p99_s = _percentiles(sorted(values), (50, 95, 99))
        return StageTiming(stage, values[-1], p50_s, p95_s, p99_s)


def _percentiles(ordered: Sequence[float], percents: Iterable[float]) -> Iterator[float]:
    """Yield percentiles as `numpy.percentile`, which takes 0.1 ms a call for any length."""
    for percent in percents:
        position = percent / 100 * (len(ordered) - 1)
        index = int(position)
        low, high = ordered[index], ordered[min(index + 1, len(ordered) - 1)]
        yield low + (position - index) * (high - low)
