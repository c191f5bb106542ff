"""Conversion of stage timings to robot_perception/msg/Timing."""

from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np

from robot_perception.conversions import ros
from robot_perception.conversions.messages import MessageFactory
from robot_perception.core import ShapeError


@dataclass(frozen=True, slots=True)
class FrameTiming:
    """Durations of the stages in this frame and over a window of frames.

    Attributes:
        stages: names; ``pipeline`` is the elapsed time from features to lifting, during which
            stages may run concurrently.
        last_s: seconds that this frame took, one value for each stage.
        p50_s, p95_s, p99_s: percentiles over the window in seconds, one value for each stage.
        window: number of frames in the window.
        age_s: seconds of ROS time from the image's stamp to publishing; NaN = unknown.
    """

    stages: tuple[str, ...]
    last_s: tuple[float, ...]
    p50_s: tuple[float, ...]
    p95_s: tuple[float, ...]
    p99_s: tuple[float, ...]
    window: int
    age_s: float

    def __post_init__(self) -> None:
        for name in ('last_s', 'p50_s', 'p95_s', 'p99_s'):
            if len(getattr(self, name)) != len(self.stages):
                raise ShapeError(
                    'count_mismatch',
                    f'{name}: expected one value for each of {len(self.stages)} stages, '
                    f'got {len(getattr(self, name))}.',
                )

    @classmethod
    def unknown(cls) -> FrameTiming:
        """Return the timing of a frame without measurements."""
        return cls((), (), (), (), (), window=0, age_s=math.nan)

    def with_name(self, name: str) -> FrameTiming:
        """Return the timing with one more row, which has a name and no times: NaN."""
        unknown = (math.nan,)
        return FrameTiming(
            (*self.stages, name),
            self.last_s + unknown,
            self.p50_s + unknown,
            self.p95_s + unknown,
            self.p99_s + unknown,
            self.window,
            self.age_s,
        )


def timing_message(factory: MessageFactory, header: ros.Header, timing: FrameTiming) -> ros.Timing:
    """Build a robot_perception/msg/Timing."""
    last, p50, p95, p99 = (
        factory.sequence(np.array(seconds, np.float32))
        for seconds in (timing.last_s, timing.p50_s, timing.p95_s, timing.p99_s)
    )
    return factory(
        ros.Timing,
        header=header,
        stages=list(timing.stages),
        window=timing.window,
        age=float(timing.age_s),
        last=last,
        p50=p50,
        p95=p95,
        p99=p99,
    )
