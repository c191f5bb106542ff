"""Measure the timing of each frame that is published."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
import math

from robot_perception.conversions import FrameTiming
from robot_perception.core import NANOSECONDS_PER_SECOND
from robot_perception.pipeline import StageTiming, TimingWindow


class FrameTimer:
    """Keeps stage times of the last frames and computes their percentiles."""

    def __init__(self, frames: int, now_ns: Callable[[], int] | None = None) -> None:
        """Start without frames.

        Args:
            frames: size of the window.
            now_ns: clock to compute ages with; without one ages are NaN.
        """
        self._window = TimingWindow(frames)
        self._now_ns = now_ns

    def add(
        self, seconds: Mapping[str, float], stamp_ns: int, before: FrameTiming | None = None
    ) -> FrameTiming:
        """Add stages of a frame and return their timing, appended to ``before`` if given."""
        rows = self._window.add(seconds)
        timing = FrameTiming(
            stages=tuple(row.stage for row in rows),
            last_s=tuple(row.last_s for row in rows),
            p50_s=tuple(row.p50_s for row in rows),
            p95_s=tuple(row.p95_s for row in rows),
            p99_s=tuple(row.p99_s for row in rows),
            window=len(self._window),
            age_s=self.age_s(stamp_ns),
        )
        if before is None:
            return timing
        return replace(
            timing,
            stages=before.stages + timing.stages,
            last_s=before.last_s + timing.last_s,
            p50_s=before.p50_s + timing.p50_s,
            p95_s=before.p95_s + timing.p95_s,
            p99_s=before.p99_s + timing.p99_s,
        )

    def age_s(self, stamp_ns: int) -> float:
        """Return the age of an image now, in seconds; NaN without a clock."""
        return (
            math.nan
            if self._now_ns is None
            else (self._now_ns() - stamp_ns) / NANOSECONDS_PER_SECOND
        )

    def summary(self) -> tuple[StageTiming, ...]:
        """Return the timing of every stage so far."""
        return self._window.summary()

    def clear(self) -> None:
        """Drop all frames, as after a time jump."""
        self._window.clear()
