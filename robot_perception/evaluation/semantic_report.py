"""Metrics of the classes of pixels and of panoptic images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from robot_perception.evaluation.bootstrap import Bootstrap, RESAMPLES
from robot_perception.evaluation.panoptic import panoptic_estimate, SegmentCounts
from robot_perception.evaluation.report import MetricRow, Report
from robot_perception.evaluation.semantic_counts import (
    class_estimate,
    ClassCounts,
    count_classes,
    count_segments,
)
from robot_perception.evaluation.semantic_frames import SemanticFrame


def report_semantics(
    frames: Iterable[SemanticFrame],
    is_thing: Mapping[str, bool] | None = None,
    *,
    resamples: int = RESAMPLES,
) -> Report:
    """Compare all frames with their ground truth.

    Args:
        frames: read one at a time.
        is_thing: class name -> whether it is one of things; None leaves out the panoptic quality.
        resamples: of the frames, for the intervals.

    Raises:
        ShapeError: prediction and ground truth differ in size.
    """
    classes: list[Mapping[str, ClassCounts]] = []
    segments: list[Mapping[str, SegmentCounts]] = []
    for frame in frames:
        classes.append(count_classes(frame.predicted, frame.truth))
        if is_thing is not None:
            segments.append(count_segments(frame.predicted, frame.truth))
    bootstrap = Bootstrap(len(classes), resamples)
    names = sorted({name for one in classes for name, row in one.items() if row.true})
    rows = list(_class_rows(bootstrap, classes, names))
    if is_thing is not None:
        rows += _panoptic_rows(bootstrap, segments, is_thing)
    objects: Counter[str] = Counter()
    for one in segments:
        for name, row in one.items():
            objects[name] += row.true_positives + row.false_negatives
    return Report(tuple(rows), len(classes), +objects, 0, resamples=resamples)


def _class_rows(
    bootstrap: Bootstrap, frames: Sequence[Mapping[str, ClassCounts]], names: Sequence[str]
) -> Iterator[MetricRow]:
    mean_iou, accuracy = bootstrap.estimates(class_estimate(frames))
    for name, one in (('mIoU', mean_iou), ('pixel accuracy', accuracy)):
        yield MetricRow('classes', name, one.value, one.low, one.high, '', higher_is_better=True)
    for name in names:
        one = bootstrap.estimates(class_estimate(frames, name))[0]
        yield MetricRow(
            'IoU by class', name, one.value, one.low, one.high, '', higher_is_better=True
        )


def _panoptic_rows(
    bootstrap: Bootstrap,
    frames: Sequence[Mapping[str, SegmentCounts]],
    is_thing: Mapping[str, bool],
) -> Iterator[MetricRow]:
    parts = {
        'panoptic': frames,
        'panoptic, things': [_only(one, is_thing, wanted=True) for one in frames],
        'panoptic, stuff': [_only(one, is_thing, wanted=False) for one in frames],
    }
    for group, part in parts.items():
        estimates = bootstrap.estimates(panoptic_estimate(part))
        for name, one in zip(('PQ', 'SQ', 'RQ'), estimates, strict=True):
            yield MetricRow(group, name, one.value, one.low, one.high, '', higher_is_better=True)


def _only(
    counts: Mapping[str, SegmentCounts], is_thing: Mapping[str, bool], *, wanted: bool
) -> Mapping[str, SegmentCounts]:
    return {name: row for name, row in counts.items() if is_thing.get(name) is wanted}
