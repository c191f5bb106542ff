"""Where the time goes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
import threading
import time
from typing import TypeVar

import numpy as np

from robot_perception.core import Stage

_Result = TypeVar('_Result')

# Names of timed stages in execution order, and of their total.
STAGES = (*(stage.value for stage in Stage), 'lifting')
PIPELINE = 'pipeline'


def seconds_of_pipeline(timing_s: Mapping[str, float]) -> float:
    """Tell how long all stages took together; results of earlier versions know the parts alone."""
    if PIPELINE in timing_s:
        return timing_s[PIPELINE]
    return sum(timing_s.get(stage, 0.0) for stage in STAGES)


class Stopwatch:
    """Seconds of named stages of one frame; two threads may time different ones."""

    def __init__(self) -> None:
        """Start empty."""
        self._seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what happens inside; a stage entered twice adds up."""
        start = time.perf_counter()
        try:
            yield
        finally:
            elapsed = time.perf_counter() - start
            self._seconds[name] = self._seconds.get(name, 0.0) + elapsed

    def timing(self, name: str, work: Callable[[], _Result]) -> Callable[[], _Result]:
        """Give ``work`` that is timed as a stage when it is done."""

        def timed() -> _Result:
            with self.stage(name):
                return work()

        return timed

    @property
    def seconds(self) -> Mapping[str, float]:
        """Stage -> seconds."""
        return dict(self._seconds)


@dataclass(frozen=True, slots=True)
class StageTiming:
    """One stage over the last frames, all in seconds."""

    stage: str
    last_s: float
    p50_s: float
    p95_s: float
    p99_s: float


class TimingWindow:
    """Percentiles of each stage over the last frames that ran it; for use from any thread."""

    def __init__(self, frames: int) -> None:
        """Remember at most ``frames`` values for each stage."""
        self._frames = frames
        self._lock = threading.Lock()
        self._values: dict[str, deque[float]] = {}

    def add(self, timing_s: Mapping[str, float]) -> tuple[StageTiming, ...]:
        """Take one frame and describe the stages it ran."""
        with self._lock:
            for stage, seconds in timing_s.items():
                self._values.setdefault(stage, deque(maxlen=self._frames)).append(seconds)
            return tuple(self._describe(stage) for stage in timing_s)

    def summary(self) -> tuple[StageTiming, ...]:
        """Describe every stage seen so far."""
        with self._lock:
            return tuple(self._describe(stage) for stage in self._values)

    def clear(self) -> None:
        """Forget everything, as after a jump of time."""
        with self._lock:
            self._values.clear()

    def __len__(self) -> int:
        """Frames in the fullest window."""
        with self._lock:
            return max((len(values) for values in self._values.values()), default=0)

    def _describe(self, stage: str) -> StageTiming:
        values = self._values[stage]
        p50, p95, p99 = np.percentile(values, (50, 95, 99))
        return StageTiming(stage, values[-1], float(p50), float(p95), float(p99))
