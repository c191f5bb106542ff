"""Verdict on a long run: memory, threads, files and delays of the node, by its second half."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robot_perception.core import Float64Array, PerceptionError, ProcessUse
from robot_perception.faults.observation import Counts

MAX_GROWTH_MIB = 20.0
MAX_SLOPE_MIB_PER_MIN = 0.3
MAX_VIDEO_GROWTH = 0.01
MAX_DELAY_RATIO = 1.1
# Imports, first allocations and discovery are no growth.
WARM_UP_S = 10.0
# Bounds the number of pairs of samples.
_MAX_SLOPE_SAMPLES = 1000
_MIN_SAMPLES = 8
_SECONDS_PER_MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Sample:
    """State of the process of the node.

    Attributes:
        seconds: since the first image.
        use: what it uses of the machine.
        cpu_s: processor time so far, all threads.
        video_mib: memory in use on the GPU; None without one.
    """

    seconds: float
    use: ProcessUse
    cpu_s: float
    video_mib: float | None = None


@dataclass(frozen=True, slots=True)
class Delay:
    """Time from publishing an image to the arrival of its last output.

    Attributes:
        seconds: of the arrival, since the first image.
        delay_s: the time.
    """

    seconds: float
    delay_s: float


@dataclass(frozen=True, slots=True)
class Check:
    """One measured value and its limit.

    Attributes:
        name: what was measured, with its unit.
        value: the value.
        limit: largest value allowed.
        passed: whether the value is within the limit.
    """

    name: str
    value: float
    limit: float
    passed: bool


@dataclass(frozen=True, slots=True)
class SoakReport:
    """Figures of a long run.

    Attributes:
        minutes: duration.
        rate_hz: images published by the camera per second.
        published_hz: frames published by the node per second.
        sent: images published by the camera; the middleware may lose some.
        counts: what became of the images that were received.
        memory_mib: memory that is not shared, at the start of the second half and at the end.
        delay_p50_s: median delay in the first and second half.
        delay_p99_s: 99th percentile of the delay in the first and second half.
        cpu_s_per_frame: processor time of the node per published frame in the first and second
            half; unlike delays, it hardly depends on other processes of the machine.
        checks: the values that are judged.
    """

    minutes: float
    rate_hz: float
    published_hz: float
    sent: int
    counts: Counts
    memory_mib: tuple[float, float]
    delay_p50_s: tuple[float, float]
    delay_p99_s: tuple[float, float]
    cpu_s_per_frame: tuple[float, float]
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether every value is within its limit."""
        return all(check.passed for check in self.checks)

    @property
    def found_leak(self) -> bool:
        """Whether the memory alone is beyond a limit."""
        return not all(check.passed for check in self.checks if check.name.startswith('memory'))


def judge(
    samples: Sequence[Sample], delays: Sequence[Delay], sent: int, counts: Counts
) -> SoakReport:
    """Judge a run.

    Args:
        samples: at regular intervals, in order.
        delays: one for each published frame, in order.
        sent: images published by the camera.
        counts: what became of the images, after the last one.

    Raises:
        PerceptionError: reason ``'too_short'``: there are too few samples or delays to judge.
    """
    end_s = samples[-1].seconds if samples else 0.0
    middle_s = (WARM_UP_S + end_s) / 2
    first = [one for one in samples if WARM_UP_S <= one.seconds < middle_s]
    second = [one for one in samples if one.seconds >= middle_s]
    times = np.array([(one.seconds, one.delay_s) for one in delays]).reshape(-1, 2)
    early = times[(times[:, 0] >= WARM_UP_S) & (times[:, 0] < middle_s), 1]
    late = times[times[:, 0] >= middle_s, 1]
    if min(len(first), len(second), len(early), len(late)) < _MIN_SAMPLES:
        raise PerceptionError(
            'too_short',
            f'expected at least {_MIN_SAMPLES} samples and frames in each half after '
            f'{WARM_UP_S:.0f} s, got {len(first)} and {len(second)} samples, {len(early)} and '
            f'{len(late)} frames. Raise --minutes.',
        )
    p50 = float(np.median(early)), float(np.median(late))
    p99 = float(np.percentile(early, 99)), float(np.percentile(late, 99))
    memory = np.array([one.use.private_mib for one in second])
    start_mib, end_mib = _ends(memory)
    threads = _spread([one.use.threads for one in second])
    files = _spread([one.use.files for one in second])
    checks = [
        _check('memory growth of the second half/MiB', end_mib - start_mib, MAX_GROWTH_MIB),
        _check('memory slope of the second half/(MiB/min)', _slope(second), MAX_SLOPE_MIB_PER_MIN),
        _check('threads: largest minus smallest of the second half', threads, 0),
        _check('files: largest minus smallest of the second half', files, 0),
        _check('p99 delay, second half / first', p99[1] / p99[0], MAX_DELAY_RATIO),
        _check('frames unaccounted for', abs(counts.unaccounted) + counts.waiting, 0),
    ]
    video = np.array([one.video_mib for one in second if one.video_mib is not None])
    if len(video) >= _MIN_SAMPLES:
        begin, finish = _ends(video)
        growth = finish / begin - 1 if begin else finish
        checks.append(_check('memory of the GPU: relative growth', growth, MAX_VIDEO_GROWTH))
    return SoakReport(
        minutes=end_s / _SECONDS_PER_MINUTE,
        rate_hz=sent / end_s,
        published_hz=counts.published / end_s,
        sent=sent,
        counts=counts,
        memory_mib=(start_mib, end_mib),
        delay_p50_s=p50,
        delay_p99_s=p99,
        cpu_s_per_frame=(_cpu_per_frame(first, len(early)), _cpu_per_frame(second, len(late))),
        checks=tuple(checks),
    )


def _check(name: str, value: float, limit: float) -> Check:
    return Check(name, float(value), float(limit), bool(value <= limit))


def _ends(values: Float64Array) -> tuple[float, float]:
    """Return the medians of the first and the last eighth."""
    count = max(1, len(values) // 8)
    return float(np.median(values[:count])), float(np.median(values[-count:]))


def _spread(counts: Sequence[int]) -> int:
    return max(counts) - min(counts)


def _slope(samples: Sequence[Sample]) -> float:
    """Return the Theil-Sen slope of the memory: the median over all pairs of samples."""
    step = -(-len(samples) // _MAX_SLOPE_SAMPLES)
    used = samples[::step]
    minutes = np.array([one.seconds for one in used]) / _SECONDS_PER_MINUTE
    memory = np.array([one.use.private_mib for one in used])
    one, other = np.triu_indices(len(used), 1)
    return float(np.median((memory[other] - memory[one]) / (minutes[other] - minutes[one])))


def _cpu_per_frame(samples: Sequence[Sample], frames: int) -> float:
    return (samples[-1].cpu_s - samples[0].cpu_s) / frames
