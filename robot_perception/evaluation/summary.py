"""Metric rows and precision-recall curves of a report, from the records of all frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from functools import partial
from itertools import compress, pairwise

import numpy as np

from robot_perception.core import Float32Array, Float64Array, Int64Array
from robot_perception.evaluation.bootstrap import (
    Bootstrap,
    Estimate,
    FrameValues,
    make_estimate,
    mean,
    number,
    Values,
)
from robot_perception.evaluation.depth import (
    DepthErrorByRange,
    DepthErrors,
    range_names,
    RangeSums,
)
from robot_perception.evaluation.error_analysis import ErrorAnalysis, ErrorType
from robot_perception.evaluation.frame import FrameErrors, FrameRecord, PositionErrors
from robot_perception.evaluation.panoptic import panoptic_estimate, SegmentCounts
from robot_perception.evaluation.precision import coco_metrics, FrameBoxes, PrecisionCurves
from robot_perception.evaluation.report import make_row, MetricRow, PrecisionCurve
from robot_perception.evaluation.tracking import tracking_metrics
from robot_perception.pipeline import pipeline_seconds

# Groups of rows that a chart is drawn of.
BY_CLASS, LOSSES, ERRORS = 'AP by class', 'AP50 lost to', 'errors'
_PRECISIONS = ('AP', 'AP50', 'AP75', 'AR')
# Place among the limits of overlap, and the limit.
_CURVES_AT = ((0, 0.5), (5, 0.75))


def detector_rows(
    bootstrap: Bootstrap, records: Sequence[FrameRecord], class_names: Sequence[str]
) -> Iterator[MetricRow]:
    """Give average precision, precision and recall."""
    figures = [Estimate(None, None, None)] * (len(_PRECISIONS) + len(class_names))
    boxes = [one.boxes for one in records]
    if class_names and any(one.has_detector for one in records):
        figures = _precision(bootstrap, boxes, class_names)
    rows = [
        MetricRow(group, name, one.value, one.low, one.high, '', higher_is_better=True)
        for group, name, one in zip(
            ['detector'] * len(_PRECISIONS) + [BY_CLASS] * len(class_names),
            (*_PRECISIONS, *class_names),
            figures,
            strict=True,
        )
    ]
    yield from rows[: len(_PRECISIONS)]
    right = mean(one.errors.right or () for one in records)
    yield make_row(bootstrap, 'detector', 'precision', right)
    found = mean(one.errors.found or () for one in records)
    yield make_row(bootstrap, 'detector', 'recall', found)
    yield from rows[len(_PRECISIONS) :]


def _precision(
    bootstrap: Bootstrap, frames: Sequence[FrameBoxes], class_names: Sequence[str]
) -> list[Estimate]:
    """COCO's own figures, with intervals from sums that agree with it."""
    curves = PrecisionCurves(frames, class_names)

    def estimate(weights: Int64Array) -> Float64Array:
        return curves.figures(weights).as_array()

    values = coco_metrics(frames, class_names).as_array().tolist()
    return [
        make_estimate(number(value), one.low, one.high)
        for value, one in zip(values, bootstrap.figures(estimate), strict=True)
    ]


def error_rows(
    bootstrap: Bootstrap, frames: Sequence[FrameBoxes], class_names: Sequence[str]
) -> Iterator[MetricRow]:
    """Give what each kind of error costs, and how often it is made."""
    analysis = ErrorAnalysis(frames, class_names)
    _, *costs = bootstrap.figures(analysis.costs)
    for reason, one in zip(ErrorType, costs, strict=True):
        yield MetricRow(
            LOSSES, reason.value, one.value, one.low, one.high, '', higher_is_better=False
        )
    for reason in ErrorType:
        count = analysis.counts[reason]
        yield MetricRow(ERRORS, reason.value, count, None, None, '', higher_is_better=False)


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


_MILLISECONDS = 1e3
_MEDIAN, _NINETIETH = 50, 90

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

# Group of rows that a chart is drawn of.
RANGES = 'AbsRel by distance'
_PANOPTIC = ('PQ', 'SQ', 'RQ')
_LEAST_SEQUENCE = 2
# Visible shares that places are told apart by: from, and up to but without.
_VISIBLE = {
    '25 to 50 % visible': (0.25, 0.5),
    '50 to 75 % visible': (0.5, 0.75),
    '75 to 95 % visible': (0.75, 0.95),
    '95 to 100 % visible': (0.95, 2.0),
}
# Which of the located objects of a frame are of a kind.
_Kind = Callable[[PositionErrors], Sequence[bool]]
_Kinds = dict[str, _Kind]

# Field of TrackingMetrics -> name, whether higher is better.
_TRACKING = {
    'hota': ('HOTA', True),
    'det_a': ('DetA', True),
    'ass_a': ('AssA', True),
    'mota': ('MOTA', True),
    'idf1': ('IDF1', True),
    'switches': ('id switches', False),
}


def summarize(
    records: Sequence[FrameRecord], class_names: Sequence[str]
) -> tuple[tuple[MetricRow, ...], tuple[PrecisionCurve, ...]]:
    """Give all figures with their intervals, those nothing is known of as None, and curves.

    Args:
        records: one for each frame.
        class_names: of the objects that count.

    """
    bootstrap = Bootstrap(len(records))
    errors = [one.errors for one in records]
    boxes = [one.boxes for one in records]
    seen = bool(class_names) and any(one.has_detector for one in records)
    rows = (
        *detector_rows(bootstrap, records, class_names),
        *(error_rows(bootstrap, boxes, class_names) if seen else ()),
        *_depth_rows(bootstrap, [one.depth for one in errors]),
        *_range_rows(bootstrap, [one.depth_range for one in records]),
        *_mask_rows(bootstrap, errors),
        *_panoptic_rows(bootstrap, [one.segments for one in records]),
        *_place_rows(bootstrap, [one.places for one in errors], class_names),
        make_row(bootstrap, 'features', 'scene type by nearest neighbour', mean(_types(records))),
        *_tracking_rows(records),
        *_timing_rows(bootstrap, [one.timing_s for one in records]),
    )
    return rows, precision_curves(boxes, class_names) if seen else ()


def _depth_rows(bootstrap: Bootstrap, errors: Sequence[DepthErrors]) -> Iterator[MetricRow]:
    for field in fields(DepthErrors):
        name, unit, higher = _DEPTH[field.name]
        values = [getattr(one, field.name) for one in errors]
        known = mean(() if value is None else (value,) for value in values)
        yield make_row(bootstrap, 'depth', name, known, unit=unit, higher_is_better=higher)


def _range_rows(
    bootstrap: Bootstrap, frames: Sequence[DepthErrorByRange | None]
) -> Iterator[MetricRow]:
    if all(one is None for one in frames):
        return
    sums = RangeSums(frames)
    for name, one in zip(range_names(), bootstrap.figures(sums.abs_rel), strict=True):
        if one.value is not None:
            yield MetricRow(RANGES, name, one.value, one.low, one.high, '', higher_is_better=False)


def _panoptic_rows(
    bootstrap: Bootstrap, frames: Sequence[Mapping[str, SegmentCounts] | None]
) -> Iterator[MetricRow]:
    figures = bootstrap.figures(panoptic_estimate(frames))
    for name, one in zip(_PANOPTIC, figures, strict=True):
        yield MetricRow('panoptic', name, one.value, one.low, one.high, '', higher_is_better=True)


def _tracking_rows(records: Sequence[FrameRecord]) -> Iterator[MetricRow]:
    """Figures of one sequence; frames that do not follow one another are none."""
    stamps = [one.stamp_ns for one in records]
    tracks = [one.tracks for one in records if one.tracks is not None]
    follow = all(one < other for one, other in pairwise(stamps))
    if len(records) < _LEAST_SEQUENCE or not follow or len(tracks) < len(records):
        return
    figures = tracking_metrics(tracks)
    for field, (name, higher) in _TRACKING.items():
        value = getattr(figures, field)
        yield MetricRow('tracking', name, value, None, None, '', higher_is_better=higher)


def _mask_rows(bootstrap: Bootstrap, errors: Sequence[FrameErrors]) -> Iterator[MetricRow]:
    for boxes, masks in (
        ('true boxes', [one.true_box_masks for one in errors]),
        ('predicted boxes', [one.masks for one in errors]),
    ):
        overlaps = mean(one.iou for one in masks)
        yield make_row(bootstrap, 'masks', f'IoU, {boxes}', overlaps)
        overlaps = mean(one.boundary_iou for one in masks)
        yield make_row(bootstrap, 'masks', f'boundary IoU, {boxes}', overlaps)


def _place_rows(
    bootstrap: Bootstrap, places: Sequence[PositionErrors], class_names: Sequence[str]
) -> Iterator[MetricRow]:
    yield make_row(bootstrap, '3D', 'located', mean(one.located for one in places))
    away = FrameValues(one.centroid_cm for one in places)
    for name, estimate in (
        ('median', away.percentile(_MEDIAN)),
        ('mean', away.mean),
        ('90th percentile', away.percentile(_NINETIETH)),
    ):
        title = f'centroid error, {name}'
        yield make_row(bootstrap, '3D', title, estimate, unit='cm', higher_is_better=False)
    overlaps = FrameValues(one.box_iou for one in places)
    yield make_row(bootstrap, '3D', 'box IoU', overlaps.mean)
    yield make_row(bootstrap, '3D', 'box IoU, median', overlaps.percentile(_MEDIAN))
    by_class: _Kinds = {name: partial(_of_class, name) for name in class_names}
    by_share: _Kinds = {name: partial(_visible, *limits) for name, limits in _VISIBLE.items()}
    for title, kinds in (('by class', by_class), ('by visible share', by_share)):
        for name, kind in kinds.items():
            away = FrameValues(_picked(one.centroid_cm, one, kind) for one in places)
            yield make_row(
                bootstrap,
                f'centroid error {title}',
                name,
                away.percentile(_MEDIAN),
                unit='cm',
                higher_is_better=False,
            )
        for name, kind in kinds.items():
            overlaps = FrameValues(_picked(one.box_iou, one, kind) for one in places)
            yield make_row(bootstrap, f'3D box IoU {title}', name, overlaps.percentile(_MEDIAN))


def _of_class(name: str, one: PositionErrors) -> list[bool]:
    return [name == other for other in one.class_names]


def _visible(low: float, high: float, one: PositionErrors) -> list[bool]:
    """Tell whose visible share lies from ``low`` up to, but without, ``high``."""
    return [low <= share < high for share in one.visible]


def _picked(values: Sequence[float], one: PositionErrors, kind: _Kind) -> list[float]:
    return list(compress(values, kind(one)))


def _types(records: Sequence[FrameRecord]) -> list[Values]:
    """For each frame whether its nearest neighbour is of its type, 0 or 1."""
    known = [
        (place, one.vector, one.scene_type)
        for place, one in enumerate(records)
        if one.vector is not None and one.scene_type is not None
    ]
    answers = nearest_agree([vector for _, vector, _ in known], [word for *_, word in known])
    values: list[Values] = [()] * len(records)
    for (place, *_), output in zip(known, answers, strict=False):
        values[place] = (float(output),)
    return values


def _timing_rows(
    bootstrap: Bootstrap, timings_s: Sequence[Mapping[str, float]]
) -> Iterator[MetricRow]:
    for stage in dict.fromkeys(stage for one in timings_s for stage in one):
        values = FrameValues(
            (one[stage] * _MILLISECONDS,) if stage in one else () for one in timings_s
        )
        yield make_row(
            bootstrap,
            'time',
            f'{stage}, median',
            values.percentile(_MEDIAN),
            unit='ms',
            higher_is_better=False,
        )
    median_s = FrameValues(
        (pipeline_seconds(one),) if one else () for one in timings_s
    ).percentile(_MEDIAN)

    def rate(weights: Int64Array) -> Float64Array:
        return 1 / median_s(weights)

    yield make_row(bootstrap, 'time', 'frames per second', rate, unit='1/s')


_LEAST_PICTURES = 2


def nearest_agree(vectors: Sequence[Float32Array], words: Sequence[str]) -> list[bool]:
    """For each picture, whether the most similar other one is of the same kind.

    That is leave-one-out classification by the nearest neighbour, in the angle of the vectors.

    Args:
        vectors: N vectors of one length, of one encoder.
        words: N kinds.

    Returns:
        N answers; none where there are fewer than two pictures.

    """
    if len(vectors) < _LEAST_PICTURES:
        return []
    table = np.stack(vectors).astype(np.float64)
    lengths = np.linalg.norm(table, axis=1, keepdims=True)
    table = np.divide(table, lengths, out=np.zeros_like(table), where=lengths > 0)
    similarity = table @ table.T
    np.fill_diagonal(similarity, -np.inf)
    nearest = similarity.argmax(axis=1).tolist()
    return [words[other] == own for other, own in zip(nearest, words, strict=True)]
