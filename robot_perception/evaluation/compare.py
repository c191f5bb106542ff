"""Comparison of two results for one recording, to find unintended changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Protocol, TypeVar

import numpy as np

from robot_perception.core import Image, Scene
from robot_perception.evaluation.comparison import (
    Check,
    CHECKS,
    ComparedRow,
    Comparison,
    Limits,
)
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

    Args:
        first: with stamps that increase.
        second: likewise; of each stream one frame is held at a time.

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


def compare(
    first: Iterable[Scene], second: Iterable[Scene], limits: Limits | None = None
) -> Comparison:
    """Compare two results for one recording; frames are paired by their stamps.

    Args:
        first: in order of stamps.
        second: likewise.
        limits: tolerances within which results count as the same.

    Raises:
        InputError: the images of a frame differ in size.

    """
    limits = limits or Limits()
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
    times_ms = {
        stage: (_median_ms(times[0], stage), _median_ms(times[1], stage))
        for stage in (*dict.fromkeys(chain(*times[0], *times[1])), 'frame')
    }
    if times_ms['frame'] == (None, None):
        times_ms = {}
    parts = Counter(part for one in differences for part in one.one_sided)
    return Comparison(
        rows=(
            _unpaired_row(len(differences), sum(alone), limits.unpaired),
            *(_row(check, differences, limits) for check in CHECKS),
            *_slowdown_rows(times_ms.get('frame', (None, None)), len(differences), limits),
        ),
        frames=len(differences),
        only_first=alone[0],
        only_second=alone[1],
        one_sided=dict(parts),
        renamed=sum(one.renamed for one in differences),
        times_ms=times_ms,
    )


def _row(check: Check, differences: list[FrameDifference], limits: Limits) -> ComparedRow:
    limit = limits.means.get(check.key, check.limit)
    frames = [
        (float(np.mean(numbers)), one.stamp_ns)
        for one in differences
        if (numbers := one.values.get(check.figure))
    ]
    every = [number for one in differences for number in one.values.get(check.figure, ())]
    mean = float(np.mean(every)) if every else None
    choose = min if check.higher_is_alike else max
    worst, stamp_ns = choose(frames, key=lambda frame: frame[0]) if frames else (None, None)
    alike = len({value for value, _ in frames}) == 1
    return ComparedRow(
        key=check.key,
        title=check.title,
        mean=mean,
        worst=worst,
        worst_stamp_ns=None if alike else stamp_ns,
        count=len(every),
        limit=limit,
        higher_is_alike=check.higher_is_alike,
        unit=check.unit,
        same=None if mean is None else check.holds(mean, limit),
    )


def _unpaired_row(paired: int, alone: int, limit: float) -> ComparedRow:
    total = paired + alone
    share = alone / total if total else None
    # Without a common frame there is no evidence that results are the same.
    same = share is not None and paired > 0 and share <= limit
    title = 'frames that one has'
    return _ratio_row('unpaired', title, share, total, limit, same=same)


def _slowdown_rows(
    frame_ms: tuple[float | None, float | None], frames: int, limits: Limits
) -> Iterator[ComparedRow]:
    first, second = frame_ms
    ratio = second / first if first and second is not None else None
    limit = limits.slowdown
    same = None if limit is None or ratio is None else ratio <= limit
    count = 0 if ratio is None else frames
    yield _ratio_row('slowdown', 'time, second to first', ratio, count, limit, same=same)


def _ratio_row(
    key: str,
    title: str,
    value: float | None,
    count: int,
    limit: float | None,
    *,
    same: bool | None,
) -> ComparedRow:
    """Return the row of a metric that is not computed by frame."""
    return ComparedRow(
        key=key,
        title=title,
        mean=value,
        worst=None,
        worst_stamp_ns=None,
        count=count,
        limit=limit,
        higher_is_alike=False,
        unit='',
        same=same,
    )


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
