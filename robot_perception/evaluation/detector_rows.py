"""Rows and curves of a report that are about boxes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from robot_perception.core import Float64Array, Int64Array
from robot_perception.evaluation.coco import coco_figures
from robot_perception.evaluation.error_analysis import ErrorAnalysis, Reason
from robot_perception.evaluation.precision import FrameBoxes, PrecisionCurves
from robot_perception.evaluation.record import FrameRecord
from robot_perception.evaluation.report import PrecisionCurve, Row
from robot_perception.evaluation.resampling import Estimated, estimated, number, Resampling
from robot_perception.evaluation.rows import make_row, mean

# Groups of rows that a chart is drawn of.
BY_CLASS, LOSSES, ERRORS = 'AP by class', 'AP50 lost to', 'errors'
_PRECISIONS = ('AP', 'AP50', 'AP75', 'AR')
# Place among the limits of overlap, and the limit.
_CURVES_AT = ((0, 0.5), (5, 0.75))


def detector_rows(
    resampling: Resampling, records: Sequence[FrameRecord], class_names: Sequence[str]
) -> Iterator[Row]:
    """Give average precision, precision and recall."""
    figures = [Estimated(None, None, None)] * (len(_PRECISIONS) + len(class_names))
    boxes = [one.boxes for one in records]
    if class_names and any(one.has_detector for one in records):
        figures = _precision(resampling, boxes, class_names)
    rows = [
        Row(group, name, one.value, one.low, one.high, '', higher_is_better=True)
        for group, name, one in zip(
            ['detector'] * len(_PRECISIONS) + [BY_CLASS] * len(class_names),
            (*_PRECISIONS, *class_names),
            figures,
            strict=True,
        )
    ]
    yield from rows[: len(_PRECISIONS)]
    right = mean(one.errors.right or () for one in records)
    yield make_row(resampling, 'detector', 'precision', right)
    found = mean(one.errors.found or () for one in records)
    yield make_row(resampling, 'detector', 'recall', found)
    yield from rows[len(_PRECISIONS) :]


def _precision(
    resampling: Resampling, frames: Sequence[FrameBoxes], class_names: Sequence[str]
) -> list[Estimated]:
    """COCO's own figures, with intervals from sums that agree with it."""
    curves = PrecisionCurves(frames, class_names)

    def estimate(weights: Int64Array) -> Float64Array:
        return curves.figures(weights).as_array()

    values = coco_figures(frames, class_names).as_array().tolist()
    return [
        estimated(number(value), one.low, one.high)
        for value, one in zip(values, resampling.figures(estimate), strict=True)
    ]


def error_rows(
    resampling: Resampling, frames: Sequence[FrameBoxes], class_names: Sequence[str]
) -> Iterator[Row]:
    """Give what each kind of error costs, and how often it is made."""
    analysis = ErrorAnalysis(frames, class_names)
    _, *costs = resampling.figures(analysis.costs)
    for reason, one in zip(Reason, costs, strict=True):
        yield Row(LOSSES, reason.value, one.value, one.low, one.high, '', higher_is_better=False)
    for reason in Reason:
        count = analysis.counts[reason]
        yield Row(ERRORS, reason.value, count, None, None, '', higher_is_better=False)


def precision_curves(
    frames: Sequence[FrameBoxes], class_names: Sequence[str]
) -> tuple[PrecisionCurve, ...]:
    """Give the mean over classes at each of two limits of overlap, then each class."""
    precision, _ = PrecisionCurves(frames, class_names).curves(np.ones(len(frames), np.int64))
    means = [
        PrecisionCurve('', limit, tuple(precision[place].mean(axis=1).tolist()))
        for place, limit in _CURVES_AT
    ]
    place, limit = _CURVES_AT[0]
    classes = [
        PrecisionCurve(name, limit, tuple(one.tolist()))
        for name, one in zip(class_names, precision[place].T, strict=True)
    ]
    return (*means, *classes)
