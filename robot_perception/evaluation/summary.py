"""From the errors of frames to the rows of a report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np

from robot_perception.core.arrays import Float32Array, Float64Array, Int64Array
from robot_perception.evaluation.coco import coco_figures
from robot_perception.evaluation.depth import DepthErrors
from robot_perception.evaluation.depth_range import DepthOverRange, range_names, RangeSums
from robot_perception.evaluation.error_analysis import ErrorAnalysis, Reason
from robot_perception.evaluation.frame import FrameErrors
from robot_perception.evaluation.panoptic import panoptic_estimate, SegmentCounts
from robot_perception.evaluation.precision import FrameBoxes, PrecisionCurves
from robot_perception.evaluation.report import PrecisionCurve, Row
from robot_perception.evaluation.resampling import (
    Estimate,
    Estimated,
    FrameValues,
    number,
    Resampling,
)
from robot_perception.evaluation.scene_type import nearest_agree
from robot_perception.evaluation.tracking import FrameTracks, tracking_figures

_MILLISECONDS = 1e3
_MEDIAN, _NINETIETH = 50, 90
_PRECISIONS = ('AP', 'AP50', 'AP75', 'AR')

# Field of DepthErrors -> name, unit, whether higher is better.
_DEPTH = {
    'known': ('known pixels', '', True),
    'abs_rel': ('AbsRel', '', False),
    'rmse_m': ('RMSE', 'm', False),
    'delta1': ('delta1', '', True),
    'silog_eigen': ('SILog (Eigen, lambda 0.5)', '', False),
    'silog_kitti': ('SILog (KITTI)', '%', False),
    'abs_rel_scaled': ('AbsRel, scaled', '', False),
    'abs_rel_fitted': ('AbsRel, scaled and shifted', '', False),
}

# Groups of rows that a chart is drawn of.
LOSSES, ERRORS, RANGES = 'AP50 lost to', 'errors', 'AbsRel by distance'
_CURVES_AT = ((0, 0.5), (5, 0.75))
_PANOPTIC = ('PQ', 'SQ', 'RQ')
_LEAST_SEQUENCE = 2

# Field of TrackingFigures -> name, whether higher is better.
_TRACKING = {
    'hota': ('HOTA', True),
    'det_a': ('DetA', True),
    'ass_a': ('AssA', True),
    'mota': ('MOTA', True),
    'idf1': ('IDF1', True),
    'switches': ('id switches', False),
}

# Numbers of one frame; empty when nothing is known.
_Values = Sequence[float]


@dataclass(frozen=True, slots=True, eq=False)
class FrameRecord:
    """What is kept of one frame: some kilobytes, no picture.

    Attributes:
        errors: beside its truth.
        boxes: all predictions and true objects.
        has_detector: whether there were predictions at all, be they none.
        vector: (C,) float32, features of the scene.
        scene_type: the true one.
        timing_s: seconds of each stage.
        depth_range: errors of depth near and far.
        segments: those of each class.
        tracks: numbered objects, None where some have no number.
        stamp_ns: time of the frame.

    """

    errors: FrameErrors
    boxes: FrameBoxes
    has_detector: bool
    vector: Float32Array | None
    scene_type: str | None
    timing_s: Mapping[str, float]
    depth_range: DepthOverRange | None
    segments: Mapping[str, SegmentCounts] | None
    tracks: FrameTracks | None
    stamp_ns: int


def summarise(
    records: Sequence[FrameRecord], class_names: Sequence[str]
) -> tuple[tuple[Row, ...], tuple[PrecisionCurve, ...]]:
    """Give all figures with their intervals, those nothing is known of as None, and curves.

    Args:
        records: one for each frame.
        class_names: of the objects that count.

    """
    resampling = Resampling(len(records))
    errors = [one.errors for one in records]
    boxes = [one.boxes for one in records]
    seen = bool(class_names) and any(one.has_detector for one in records)
    rows = (
        *_detector_rows(resampling, records, class_names),
        *(_error_rows(resampling, boxes, class_names) if seen else ()),
        *_depth_rows(resampling, [one.depth for one in errors]),
        *_range_rows(resampling, [one.depth_range for one in records]),
        *_mask_rows(resampling, errors),
        *_panoptic_rows(resampling, [one.segments for one in records]),
        *_place_rows(resampling, errors),
        _row(resampling, 'features', 'scene type by nearest neighbour', _mean(_types(records))),
        *_tracking_rows(records),
        *_timing_rows(resampling, [one.timing_s for one in records]),
    )
    return rows, _curves(boxes, class_names) if seen else ()


def _row(
    resampling: Resampling,
    group: str,
    name: str,
    estimate: Estimate,
    *,
    unit: str = '',
    higher_is_better: bool = True,
) -> Row:
    (figure,) = resampling.figures(estimate)
    return Row(group, name, figure.value, figure.low, figure.high, unit, higher_is_better)


def _mean(frames: Iterable[_Values]) -> Estimate:
    return FrameValues(frames).mean


def _detector_rows(
    resampling: Resampling, records: Sequence[FrameRecord], class_names: Sequence[str]
) -> Iterator[Row]:
    figures = [Estimated(None, None, None)] * (len(_PRECISIONS) + len(class_names))
    boxes = [one.boxes for one in records]
    if class_names and any(one.has_detector for one in records):
        figures = _precision(resampling, boxes, class_names)
    rows = [
        Row(group, name, one.value, one.low, one.high, '', higher_is_better=True)
        for group, name, one in zip(
            ['detector'] * len(_PRECISIONS) + ['AP by class'] * len(class_names),
            (*_PRECISIONS, *class_names),
            figures,
            strict=True,
        )
    ]
    yield from rows[: len(_PRECISIONS)]
    right = _mean(one.errors.right or () for one in records)
    yield _row(resampling, 'detector', 'precision', right)
    found = _mean(one.errors.found or () for one in records)
    yield _row(resampling, 'detector', 'recall', found)
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
        Estimated(number(value), one.low, one.high)
        for value, one in zip(values, resampling.figures(estimate), strict=True)
    ]


def _depth_rows(resampling: Resampling, errors: Sequence[DepthErrors]) -> Iterator[Row]:
    for field in fields(DepthErrors):
        name, unit, higher = _DEPTH[field.name]
        values = [getattr(one, field.name) for one in errors]
        known = _mean(() if value is None else (value,) for value in values)
        yield _row(resampling, 'depth', name, known, unit=unit, higher_is_better=higher)


def _error_rows(
    resampling: Resampling, frames: Sequence[FrameBoxes], class_names: Sequence[str]
) -> Iterator[Row]:
    analysis = ErrorAnalysis(frames, class_names)
    _, *costs = resampling.figures(analysis.costs)
    for reason, one in zip(Reason, costs, strict=True):
        yield Row(LOSSES, reason.value, one.value, one.low, one.high, '', higher_is_better=False)
    for reason in Reason:
        count = float(analysis.counts[reason])
        yield Row(ERRORS, reason.value, count, None, None, '', higher_is_better=False)


def _curves(
    frames: Sequence[FrameBoxes], class_names: Sequence[str]
) -> tuple[PrecisionCurve, ...]:
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


def _range_rows(resampling: Resampling, frames: Sequence[DepthOverRange | None]) -> Iterator[Row]:
    if all(one is None for one in frames):
        return
    sums = RangeSums(frames)
    for name, one in zip(range_names(), resampling.figures(sums.abs_rel), strict=True):
        if one.value is not None:
            yield Row(RANGES, name, one.value, one.low, one.high, '', higher_is_better=False)


def _panoptic_rows(
    resampling: Resampling, frames: Sequence[Mapping[str, SegmentCounts] | None]
) -> Iterator[Row]:
    figures = resampling.figures(panoptic_estimate(frames))
    for name, one in zip(_PANOPTIC, figures, strict=True):
        yield Row('panoptic', name, one.value, one.low, one.high, '', higher_is_better=True)


def _tracking_rows(records: Sequence[FrameRecord]) -> Iterator[Row]:
    """Figures of one sequence; frames that do not follow one another are none."""
    stamps = [one.stamp_ns for one in records]
    tracks = [one.tracks for one in records if one.tracks is not None]
    follow = all(one < other for one, other in pairwise(stamps))
    if len(records) < _LEAST_SEQUENCE or not follow or len(tracks) < len(records):
        return
    figures = tracking_figures(tracks)
    for field, (name, higher) in _TRACKING.items():
        value = getattr(figures, field)
        known = None if value is None else float(value)
        yield Row('tracking', name, known, None, None, '', higher_is_better=higher)


def _mask_rows(resampling: Resampling, errors: Sequence[FrameErrors]) -> Iterator[Row]:
    for boxes, masks in (
        ('true boxes', [one.true_box_masks for one in errors]),
        ('predicted boxes', [one.masks for one in errors]),
    ):
        overlaps = _mean(one.iou for one in masks)
        yield _row(resampling, 'masks', f'IoU, {boxes}', overlaps)
        overlaps = _mean(one.boundary_iou for one in masks)
        yield _row(resampling, 'masks', f'boundary IoU, {boxes}', overlaps)


def _place_rows(resampling: Resampling, errors: Sequence[FrameErrors]) -> Iterator[Row]:
    places = [one.places for one in errors]
    yield _row(resampling, '3D', 'located', _mean(one.located for one in places))
    away = FrameValues(one.centroid_cm for one in places)
    for name, estimate in (
        ('median', away.percentile(_MEDIAN)),
        ('mean', away.mean),
        ('90th percentile', away.percentile(_NINETIETH)),
    ):
        title = f'centroid error, {name}'
        yield _row(resampling, '3D', title, estimate, unit='cm', higher_is_better=False)
    yield _row(resampling, '3D', 'box IoU', _mean(one.box_iou for one in places))


def _types(records: Sequence[FrameRecord]) -> list[_Values]:
    """For each frame whether its nearest neighbour is of its type, 0 or 1."""
    known = [
        (place, one.vector, one.scene_type)
        for place, one in enumerate(records)
        if one.vector is not None and one.scene_type is not None
    ]
    answers = nearest_agree([vector for _, vector, _ in known], [word for *_, word in known])
    values: list[_Values] = [()] * len(records)
    for (place, *_), answer in zip(known, answers, strict=False):
        values[place] = (float(answer),)
    return values


def _timing_rows(
    resampling: Resampling, timings_s: Sequence[Mapping[str, float]]
) -> Iterator[Row]:
    for stage in dict.fromkeys(stage for one in timings_s for stage in one):
        values = FrameValues(
            (one[stage] * _MILLISECONDS,) if stage in one else () for one in timings_s
        )
        yield _row(
            resampling,
            'time',
            f'{stage}, median',
            values.percentile(_MEDIAN),
            unit='ms',
            higher_is_better=False,
        )
    median_s = FrameValues((sum(one.values()),) if one else () for one in timings_s).percentile(
        _MEDIAN
    )

    def rate(weights: Int64Array) -> Float64Array:
        return 1 / median_s(weights)

    yield _row(resampling, 'time', 'frames per second', rate, unit='1/s')
