"""Metric rows and precision-recall curves of a report, from the records of all frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np

from robot_perception.core import Float32Array, Float64Array, Int64Array
from robot_perception.evaluation.bootstrap import (
    Bootstrap,
    Estimate,
    FrameValues,
    mean,
    Values,
)
from robot_perception.evaluation.depth import (
    DepthErrorByRange,
    DepthErrors,
    range_names,
    RangeSums,
)
from robot_perception.evaluation.error_analysis import ErrorAnalysis, ErrorType
from robot_perception.evaluation.frame import FrameErrors, FrameRecord
from robot_perception.evaluation.frame_matches import FrameMatches
from robot_perception.evaluation.panoptic import panoptic_estimate, SegmentCounts
from robot_perception.evaluation.position_rows import position_rows
from robot_perception.evaluation.precision import FrameBoxes, PrecisionCurves
from robot_perception.evaluation.report import make_row, MetricRow, PrecisionCurve
from robot_perception.evaluation.score_reliability import score_rows
from robot_perception.evaluation.tracking import tracking_metrics
from robot_perception.evaluation.uncertainty_rows import uncertainty_rows
from robot_perception.pipeline import pipeline_seconds

# Groups of rows that are drawn as charts.
BY_CLASS, LOSSES, ERRORS = 'AP by class', 'AP50 lost to', 'errors'
_PRECISIONS = ('AP', 'AP50', 'AP75', 'AR')
# Index of an IoU threshold, and the threshold.
_CURVES_AT = ((0, 0.5), (5, 0.75))


def detector_rows(
    bootstrap: Bootstrap, records: Sequence[FrameRecord], class_names: Sequence[str]
) -> Iterator[MetricRow]:
    """Yield average precision, precision and recall."""
    estimates = [Estimate(None, None, None)] * (len(_PRECISIONS) + len(class_names))
    if class_names and any(one.has_detector for one in records):
        matches = [one.box_matches for one in records]
        estimates = _precision(bootstrap, matches, class_names)
    rows = [
        MetricRow(group, name, one.value, one.low, one.high, '', higher_is_better=True)
        for group, name, one in zip(
            ['detector'] * len(_PRECISIONS) + [BY_CLASS] * len(class_names),
            (*_PRECISIONS, *class_names),
            estimates,
            strict=True,
        )
    ]
    yield from rows[: len(_PRECISIONS)]
    true_positives = mean(one.errors.true_positives or () for one in records)
    yield make_row(bootstrap, 'detector', 'precision', true_positives)
    detected = mean(one.errors.detected or () for one in records)
    yield make_row(bootstrap, 'detector', 'recall', detected)
    yield from rows[len(_PRECISIONS) :]


def _precision(
    bootstrap: Bootstrap, frames: Sequence[FrameMatches], class_names: Sequence[str]
) -> list[Estimate]:
    """Return average precision and recall with their intervals."""
    curves = PrecisionCurves(frames, class_names)

    def estimate(weights: Int64Array) -> Float64Array:
        return curves.metrics(weights).as_array()

    return bootstrap.estimates(estimate)


def error_rows(
    bootstrap: Bootstrap, frames: Sequence[FrameBoxes], class_names: Sequence[str]
) -> Iterator[MetricRow]:
    """Yield the AP50 that each type of error costs, and its count."""
    analysis = ErrorAnalysis(frames, class_names)
    _, *costs = bootstrap.estimates(analysis.costs)
    for reason, one in zip(ErrorType, costs, strict=True):
        yield MetricRow(
            LOSSES, reason.value, one.value, one.low, one.high, '', higher_is_better=False
        )
    for reason in ErrorType:
        count = analysis.counts[reason]
        yield MetricRow(ERRORS, reason.value, count, None, None, '', higher_is_better=False)


def precision_curves(
    frames: Sequence[FrameMatches], class_names: Sequence[str]
) -> tuple[PrecisionCurve, ...]:
    """Return the mean curve over classes at two IoU thresholds, then the curve of each class."""
    precision, _ = PrecisionCurves(frames, class_names).curves(np.ones(len(frames), np.int64))
    means = [
        PrecisionCurve('', limit, tuple(precision[index].mean(axis=1).tolist()))
        for index, limit in _CURVES_AT
    ]
    index, limit = _CURVES_AT[0]
    classes = [
        PrecisionCurve(name, limit, tuple(one.tolist()))
        for name, one in zip(class_names, precision[index].T, strict=True)
    ]
    return (*means, *classes)


_MILLISECONDS = 1e3
_MEDIAN = 50

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

# Group of rows that is drawn as a chart.
RANGES = 'AbsRel by distance'
_PANOPTIC = ('PQ', 'SQ', 'RQ')
_MIN_SEQUENCE = 2

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
    records: Sequence[FrameRecord], class_names: Sequence[str], resamples: int
) -> tuple[tuple[MetricRow, ...], tuple[PrecisionCurve, ...]]:
    """Compute all metrics with their intervals, None where unknown, and the curves.

    The class names are those of the objects that count.
    """
    bootstrap = Bootstrap(len(records), resamples)
    errors = [one.errors for one in records]
    boxes = [one.boxes for one in records]
    has_detector = bool(class_names) and any(one.has_detector for one in records)
    scene_type = mean(_scene_type_hits(records))
    rows = (
        *detector_rows(bootstrap, records, class_names),
        *(error_rows(bootstrap, boxes, class_names) if has_detector else ()),
        *score_rows(bootstrap, [one.scores for one in records]),
        *_depth_rows(bootstrap, [one.depth for one in errors]),
        *_range_rows(bootstrap, [one.depth_range for one in records]),
        *_mask_rows(bootstrap, errors),
        *_mask_precision_rows(bootstrap, [one.mask_matches for one in records], class_names),
        *_panoptic_rows(bootstrap, [one.segments for one in records]),
        *position_rows(bootstrap, [one.positions for one in errors], class_names),
        *uncertainty_rows(bootstrap, [one.uncertainty for one in errors]),
        make_row(bootstrap, 'features', 'scene type by nearest neighbour', scene_type),
        *_tracking_rows(records),
        *_timing_rows(bootstrap, [one.timing_s for one in records]),
    )
    matches = [one.box_matches for one in records]
    return rows, precision_curves(matches, class_names) if has_detector else ()


def _depth_rows(bootstrap: Bootstrap, errors: Sequence[DepthErrors]) -> Iterator[MetricRow]:
    for field, (name, unit, higher) in _DEPTH.items():
        values = [getattr(one, field) for one in errors]
        known = mean(() if value is None else (value,) for value in values)
        yield make_row(bootstrap, 'depth', name, known, unit=unit, higher_is_better=higher)


def _range_rows(
    bootstrap: Bootstrap, frames: Sequence[DepthErrorByRange | None]
) -> Iterator[MetricRow]:
    if all(one is None for one in frames):
        return
    sums = RangeSums(frames)
    for name, one in zip(range_names(), bootstrap.estimates(sums.abs_rel), strict=True):
        if one.value is not None:
            yield MetricRow(RANGES, name, one.value, one.low, one.high, '', higher_is_better=False)


def _panoptic_rows(
    bootstrap: Bootstrap, frames: Sequence[Mapping[str, SegmentCounts] | None]
) -> Iterator[MetricRow]:
    estimates = bootstrap.estimates(panoptic_estimate(frames))
    for name, one in zip(_PANOPTIC, estimates, strict=True):
        yield MetricRow('panoptic', name, one.value, one.low, one.high, '', higher_is_better=True)


def _tracking_rows(records: Sequence[FrameRecord]) -> Iterator[MetricRow]:
    """Yield the metrics of a sequence; none unless stamps increase and all frames have tracks."""
    stamps = [one.stamp_ns for one in records]
    tracks = [one.tracks for one in records if one.tracks is not None]
    in_order = all(one < other for one, other in pairwise(stamps))
    if len(records) < _MIN_SEQUENCE or not in_order or len(tracks) < len(records):
        return
    estimates = tracking_metrics(tracks)
    for field, (name, higher) in _TRACKING.items():
        value = getattr(estimates, field)
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


def _mask_precision_rows(
    bootstrap: Bootstrap, frames: Sequence[FrameMatches | None], class_names: Sequence[str]
) -> Iterator[MetricRow]:
    """Yield the average precision of masks; frames without masks are left out."""
    estimates = [Estimate(None, None, None)] * len(_PRECISIONS)
    if class_names and any(one is not None for one in frames):
        matches = [one or FrameMatches.empty() for one in frames]
        estimates = _precision(bootstrap, matches, class_names)[: len(_PRECISIONS)]
    for name, one in zip(_PRECISIONS, estimates, strict=True):
        yield MetricRow('masks', name, one.value, one.low, one.high, '', higher_is_better=True)


def _scene_type_hits(records: Sequence[FrameRecord]) -> list[Values]:
    """Return for each frame whether its nearest neighbor has the same scene type, 0 or 1."""
    known = [
        (index, one.vector, one.scene_type)
        for index, one in enumerate(records)
        if one.vector is not None and one.scene_type is not None
    ]
    answers = nearest_agrees([vector for _, vector, _ in known], [word for *_, word in known])
    values: list[Values] = [()] * len(records)
    for (index, *_), output in zip(known, answers, strict=False):
        values[index] = (float(output),)
    return values


def _timing_rows(
    bootstrap: Bootstrap, timings_s: Sequence[Mapping[str, float]]
) -> Iterator[MetricRow]:
    for stage in dict.fromkeys(stage for one in timings_s for stage in one):
        values = FrameValues(
            (one[stage] * _MILLISECONDS,) if stage in one else () for one in timings_s
        )
        median = values.percentile(_MEDIAN)
        name = f'{stage}, median'
        yield make_row(bootstrap, 'time', name, median, unit='ms', higher_is_better=False)
    median_s = FrameValues(
        (pipeline_seconds(one),) if one else () for one in timings_s
    ).percentile(_MEDIAN)

    def rate(weights: Int64Array) -> Float64Array:
        return 1 / median_s(weights)

    yield make_row(bootstrap, 'time', 'frames per second', rate, unit='1/s')


_MIN_IMAGES = 2


def nearest_agrees(vectors: Sequence[Float32Array], labels: Sequence[str]) -> list[bool]:
    """Return for each image whether the most similar other image has the same label.

    This is leave-one-out classification by the nearest neighbor, by cosine similarity, of N
    vectors of one encoder. There are N answers; none for fewer than two images.
    """
    if len(vectors) < _MIN_IMAGES:
        return []
    table = np.stack(vectors).astype(np.float64)
    lengths = np.linalg.norm(table, axis=1, keepdims=True)
    table = np.divide(table, lengths, out=np.zeros_like(table), where=lengths > 0)
    similarity = table @ table.T
    np.fill_diagonal(similarity, -np.inf)
    nearest = similarity.argmax(axis=1).tolist()
    return [labels[other] == own for other, own in zip(nearest, labels, strict=True)]
