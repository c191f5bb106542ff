"""Charts of the page of an evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
import math

from robot_perception.evaluation.baseline import Baseline
from robot_perception.evaluation.calibration_charts import calibration_charts, Chart
from robot_perception.evaluation.depth import range_names, RANGES_M
from robot_perception.evaluation.operating_points import OperatingPoints, THRESHOLDS
from robot_perception.evaluation.report import MetricRow, PrecisionCurve, Report, value_text
from robot_perception.evaluation.summary import BY_CLASS, ERRORS, LOSSES, RANGES
from robot_perception.viewer import Bar, bar_chart, Line, line_chart

_MOST_CLASSES = 12


def report_charts(report: Report, baseline: Baseline | None) -> Iterator[Chart]:
    """Yield the charts of what is known, beside an earlier evaluation if there is one."""
    by_group = {
        group: [row for row in rows if row.value is not None] for group, rows in report.groups()
    }
    objects = report.objects
    if report.curves:
        shown = [one for one in report.curves if not one.name or len(objects) <= _MOST_CLASSES]
        classes = '; each class at 0.5 in gray' if any(one.name for one in shown) else ''
        yield Chart(
            'Precision over recall',
            f'Mean over classes at a box IoU of 0.5 (line) and 0.75 (dashed){classes}.',
            line_chart([_curve(one) for one in shown], 'recall', 'precision', y_top=1.0),
        )
        if baseline is not None and baseline.curves:
            now, earlier = report.curves[0], baseline.curves[0]
            yield Chart(
                'Precision over recall of two runs',
                f'Mean over classes at a box IoU of 0.5: this run (line) and {baseline.name} '
                '(dashed).',
                line_chart(
                    [
                        _curve(replace(now, name='')),
                        replace(_curve(earlier), name=baseline.name),
                    ],
                    'recall',
                    'precision',
                    y_top=1.0,
                ),
            )
    if report.operating_points:
        yield _confidence_chart(report.operating_points)
    if by_group.get(LOSSES):
        counts = {row.name: row.value or 0.0 for row in by_group.get(ERRORS, ())}
        yield Chart(
            'Detection errors',
            'AP50 that would be gained if all errors of a type were fixed.',
            _bars(
                by_group[LOSSES],
                'AP50 lost by error type',
                lambda row: f'{counts.get(row.name, 0):.0f} times',
            ),
        )
    if by_group.get(BY_CLASS):
        yield _class_chart(by_group[BY_CLASS], objects)
    if by_group.get(RANGES):
        yield Chart(
            'Depth error over distance',
            'Mean relative error of the pixels in each range of true depth, with its interval.',
            line_chart(
                [_range_line(by_group[RANGES])], 'true depth, meters', 'mean relative error'
            ),
        )
    yield from calibration_charts(report)


def _confidence_chart(points: Sequence[OperatingPoints]) -> Chart:
    every = points[0]
    x = tuple(THRESHOLDS.tolist())
    best = every.best
    known = [one for one in points if max(one.f1) > 0]
    return Chart(
        'Precision, recall and F1 over confidence',
        f'Of all classes at a box IoU of 0.5: F1 (line), precision (dashed) and recall (dotted). '
        f'F1 is best at a threshold of {x[best]:.2f}: F1 {every.f1[best]:.3f}, precision '
        f'{every.precision[best]:.3f}, recall {every.recall[best]:.3f}.',
        line_chart(
            [
                Line('F1', x, every.f1),
                Line('precision', x, every.precision),
                Line('recall', x, every.recall),
            ],
            'confidence threshold',
            'precision, recall and F1',
            y_top=1.0,
        ),
        table=(
            ('class', 'best threshold', 'F1', 'precision', 'recall'),
            *(
                (
                    one.name or 'all',
                    f'{x[one.best]:.2f}',
                    f'{one.f1[one.best]:.3f}',
                    f'{one.precision[one.best]:.3f}',
                    f'{one.recall[one.best]:.3f}',
                )
                for one in known
            ),
        ),
    )


def _class_chart(rows: Sequence[MetricRow], objects: Mapping[str, int]) -> Chart:
    worst = sorted(rows, key=lambda row: row.value or 0.0)[:_MOST_CLASSES]
    if len(worst) < len(rows):
        text = f'COCO average precision of the {len(worst)} worst of {len(rows)} classes.'
    else:
        worst = list(rows)
        text = 'COCO average precision, and the count of true objects.'
    bars = _bars(worst, 'AP by class', lambda row: f'of {objects[row.name]}')
    return Chart('AP by class', text, bars)


def _curve(curve: PrecisionCurve) -> Line:
    steps = len(curve.precision) - 1
    return Line(
        name=curve.name or f'mean at an IoU of {curve.box_iou:g}',
        x=tuple(index / steps for index in range(steps + 1)),
        y=curve.precision,
        strong=not curve.name,
    )


def _bars(rows: Sequence[MetricRow], title: str, note: Callable[[MetricRow], str]) -> str:
    """Draw a bar for each row, with its value and a note beside it."""
    bars = [
        Bar(
            row.name,
            row.value or 0.0,
            row.low,
            row.high,
            f'{value_text(row.value)}  ({note(row)})',
        )
        for row in rows
    ]
    return bar_chart(bars, title)


def _range_line(rows: Sequence[MetricRow]) -> Line:
    """Return the line over the middle of each range; the last range is drawn at its start."""
    ends = [low if math.isinf(high) else (low + high) / 2 for low, high in pairwise(RANGES_M)]
    middles = dict(zip(range_names(), ends, strict=True))
    banded = all(row.low is not None and row.high is not None for row in rows)
    return Line(
        'AbsRel',
        tuple(middles[row.name] for row in rows),
        tuple(row.value or 0.0 for row in rows),
        tuple(row.low or 0.0 for row in rows) if banded else (),
        tuple(row.high or 0.0 for row in rows) if banded else (),
        dots=True,
    )
