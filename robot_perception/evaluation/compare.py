"""Comparison of two results for one recording, to find unintended changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Protocol, TypeVar

import numpy as np

from robot_perception.core import Image, Scene
from robot_perception.evaluation.comparison import Check, CHECKS, ComparedRow, Comparison, Limits
from robot_perception.evaluation.frame_difference import frame_difference, FrameDifference
from robot_perception.pipeline import PIPELINE, pipeline_seconds, STAGES


class Framed(Protocol):
    """A value that belongs to one image."""

    @property
    def image(self) -> Image:
        """The image with its stamp."""


First = TypeVar('First', bound=Framed)
Second = TypeVar('Second', bound=Framed)


def pair_by_stamp(
    first: Iterable[First], second: Iterable[Second]
) -> Iterator[tuple[First | None, Second | None]]:
    """Pair frames of equal stamps; one without a partner comes with None.

    In both streams stamps increase; of each one frame is held at a time.
    """
    ones, others = iter(first), iter(second)
    one, other = next(ones, None), next(others, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one.image.stamp_ns < other.image.stamp_ns):
            yield one, None
            one = next(ones, None)
        elif one is None or other.image.stamp_ns < one.image.stamp_ns:
            yield None, other
            other = next(others, None)
        else:
            yield one, other
            one, other = next(ones, None), next(others, None)


_MILLISECONDS = 1e3


@dataclass(frozen=True, slots=True)
class PairedFrames:
    """Frames of two results for one recording, or for several recordings.

    Attributes:
        differences: of the frames that both have.
        times_s: seconds of each stage in these frames, of the first and of the second.
        only_first: count of frames that only the first has.
        only_second: likewise.
    """

    differences: tuple[FrameDifference, ...] = ()
    times_s: tuple[tuple[Mapping[str, float], ...], ...] = ((), ())
    only_first: int = 0
    only_second: int = 0

    @classmethod
    def of(cls, first: Iterable[Scene], second: Iterable[Scene]) -> PairedFrames:
        """Pair the scenes of one recording by their stamps, in which they are in order.

        Raises:
            InputError: the images of a frame differ in size.
        """
        differences: list[FrameDifference] = []
        alone = [0, 0]
        times: tuple[list[Mapping[str, float]], list[Mapping[str, float]]] = ([], [])
        for one, other in pair_by_stamp(first, second):
            if one is not None and other is not None:
                differences.append(frame_difference(one, other))
                times[0].append(one.timing_s)
                times[1].append(other.timing_s)
            else:
                alone[one is None] += 1
        return cls(tuple(differences), (tuple(times[0]), tuple(times[1])), *alone)

    def __add__(self, other: PairedFrames) -> PairedFrames:
        """Return the frames of both."""
        return PairedFrames(
            self.differences + other.differences,
            (self.times_s[0] + other.times_s[0], self.times_s[1] + other.times_s[1]),
            self.only_first + other.only_first,
            self.only_second + other.only_second,
        )

    def compare(self, limits: Limits | None = None) -> Comparison:
        """Compare all frames with the limits."""
        limits = limits or Limits()
        differences, times = self.differences, self.times_s
        times_ms = {
            stage: (_median_ms(times[0], stage), _median_ms(times[1], stage))
            for stage in (*dict.fromkeys(chain(*times[0], *times[1])), 'frame')
        }
        if times_ms['frame'] == (None, None):
            times_ms = {}
        checks = [replace(one, limit=limits.means.get(one.key, one.limit)) for one in CHECKS]
        parts = Counter(part for one in differences for part in one.one_sided)
        alone = self.only_first + self.only_second
        return Comparison(
            rows=(
                _unpaired_row(len(differences), alone, limits.unpaired),
                *(_row(check, differences) for check in checks),
                _slowdown_row(
                    times_ms.get('frame', (None, None)), len(differences), limits.slowdown
                ),
            ),
            frames=len(differences),
            only_first=self.only_first,
            only_second=self.only_second,
            one_sided=dict(parts),
            renamed=sum(one.renamed for one in differences),
            times_ms=times_ms,
        )


def compare(
    first: Iterable[Scene], second: Iterable[Scene], limits: Limits | None = None
) -> Comparison:
    """Compare two results for one recording, both in order of stamps, by which they are paired.

    Raises:
        InputError: the images of a frame differ in size.
    """
    return PairedFrames.of(first, second).compare(limits)


def _row(check: Check, differences: Sequence[FrameDifference]) -> ComparedRow:
    frames = [
        (float(np.mean(numbers)), one.stamp_ns)
        for one in differences
        if (numbers := one.values.get(check.figure))
    ]
    every = [number for one in differences for number in one.values.get(check.figure, ())]
    mean = float(np.mean(every)) if every else None
    choose = min if check.higher_is_better else max
    worst, stamp_ns = choose(frames, key=lambda frame: frame[0]) if frames else (None, None)
    alike = len({value for value, _ in frames}) == 1
    same = check.holds(mean)
    return ComparedRow(check, mean, same, len(every), worst, None if alike else stamp_ns)


def _unpaired_row(paired: int, alone: int, limit: float) -> ComparedRow:
    total = paired + alone
    share = alone / total if total else None
    # Without a common frame there is no evidence that results are the same.
    same = share is not None and paired > 0 and share <= limit
    check = Check('unpaired', '', 'frames that one has', limit, higher_is_better=False)
    return ComparedRow(check, share, same, total)


def _slowdown_row(
    frame_ms: tuple[float | None, float | None], frames: int, limit: float | None
) -> ComparedRow:
    first, second = frame_ms
    ratio = second / first if first and second is not None else None
    check = Check('slowdown', '', 'time, second to first', limit, higher_is_better=False)
    return ComparedRow(check, ratio, check.holds(ratio), 0 if ratio is None else frames)


def _median_ms(frames: Iterable[Mapping[str, float]], stage: str) -> float | None:
    values = (
        [_frame_seconds(one) for one in frames if one]
        if stage == 'frame'
        else [one[stage] for one in frames if stage in one]
    )
    return _MILLISECONDS * float(np.median(values)) if values else None


def _frame_seconds(timing_s: Mapping[str, float]) -> float:
    """Return the seconds of a frame: the pipeline and the stages around it."""
    around = sum(
        seconds for stage, seconds in timing_s.items() if stage not in {*STAGES, PIPELINE}
    )
    return pipeline_seconds(timing_s) + around
