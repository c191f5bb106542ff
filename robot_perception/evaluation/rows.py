"""Rows of a report from numbers that come by frame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from robot_perception.evaluation.report import Row
from robot_perception.evaluation.resampling import Estimate, FrameValues, Resampling

# Numbers of one frame; empty when nothing is known.
Values = Sequence[float]


def make_row(
    resampling: Resampling,
    group: str,
    name: str,
    estimate: Estimate,
    *,
    unit: str = '',
    higher_is_better: bool = True,
) -> Row:
    """Give one figure with its interval."""
    (figure,) = resampling.figures(estimate)
    return Row(group, name, figure.value, figure.low, figure.high, unit, higher_is_better)


def mean(frames: Iterable[Values]) -> Estimate:
    """Give the estimate of the mean of all numbers of all frames."""
    return FrameValues(frames).mean
