"""Self-contained HTML page of an evaluation, made from the templates in ``templates``."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
import math
from pathlib import Path

import cv2

from robot_perception.core import DepthSource, OutputError, write_bytes
from robot_perception.evaluation.bootstrap import CONFIDENCE
from robot_perception.evaluation.calibration_charts import calibration_charts, Chart
from robot_perception.evaluation.depth import range_names, RANGES_M
from robot_perception.evaluation.hardest_frames import draw_evaluated_frame, EvaluatedFrame
from robot_perception.evaluation.report import MetricRow, PrecisionCurve, Report, value_text
from robot_perception.evaluation.summary import BY_CLASS, ERRORS, LOSSES, RANGES
from robot_perception.evaluation.uncertainty_rows import group_name
from robot_perception.viewer import Bar, bar_chart, Line, line_chart, render

_JPEG_QUALITY = 88
_WIDEST_PX = 1280
_MOST_CLASSES = 12
# Metrics shown as tiles: group, name, title.
_HEADLINE = (
    ('detector', 'AP', 'AP of boxes'),
    ('detector', 'AP50', 'AP50 of boxes'),
    ('panoptic', 'PQ', 'panoptic, PQ'),
    ('masks', 'IoU, predicted boxes', 'IoU of masks'),
    ('depth', 'AbsRel', 'depth, AbsRel'),
    ('3D', 'centroid error, median', 'centroid error'),
    ('3D', 'box IoU', '3D box IoU'),
    *(
        (group_name(source), 'inside the 95 % ellipsoid', f'in 95 % ellipsoid, {source}')
        for source in DepthSource
    ),
    ('score calibration', 'expected calibration error', 'calibration error'),
    ('tracking', 'HOTA', 'HOTA of tracks'),
)
_TEMPLATES = Path(__file__).with_name('templates')


@dataclass(frozen=True, slots=True)
class _Metric:
    """The texts of one metric."""

    title: str
    value: str
    interval: str
    unit: str
    better: str

    @classmethod
    def from_row(cls, row: MetricRow, title: str) -> _Metric:
        """Format a row under a title."""
        known = row.low is not None and row.high is not None
        return cls(
            title=title,
            value=value_text(row.value),
            interval=f'{value_text(row.low)} to {value_text(row.high)}' if known else '',
            unit=row.unit,
            better=row.better,
        )


def write_page(
    report: Report, cases: Sequence[EvaluatedFrame], about: Mapping[str, str], path: Path
) -> None:
    """Write a page that contains its images, atomically; raise OutputError if that is impossible.

    The cases are the worst frames, worst first; ``about`` names what was evaluated, such as
    {'predictions': 'results.json'}.
    """
    text = render(
        'report.html.j2',
        _TEMPLATES,
        title='Evaluation',
        about=about,
        report=report,
        confidence=f'{CONFIDENCE:.0%}',
        tiles=list(_tiles(report.rows)),
        charts=list(_charts(report)),
        frames=[{'name': case.name, 'jpeg': _encode_frame(case)} for case in cases],
        groups=[
            (group, [_Metric.from_row(row, row.name) for row in rows])
            for group, rows in report.groups()
        ],
    )
    write_bytes(path, text.encode())


def _tiles(rows: Sequence[MetricRow]) -> Iterator[_Metric]:
    known = {(row.group, row.name): row for row in rows if row.value is not None}
    for group, name, title in _HEADLINE:
        if (group, name) in known:
            yield _Metric.from_row(known[group, name], title)


def _charts(report: Report) -> Iterator[Chart]:
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


def _encode_frame(case: EvaluatedFrame) -> str:
    """Return the drawing of a frame as base64 of a JPEG file."""
    bgr = draw_evaluated_frame(case)[..., ::-1]
    if bgr.shape[1] > _WIDEST_PX:
        scale = _WIDEST_PX / bgr.shape[1]
        bgr = cv2.resize(bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode('.jpg', bgr, (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY))
    if not done:
        raise OutputError(
            'cannot_encode', f'{case.name}: expected an image that can be encoded as JPEG.'
        )
    return base64.b64encode(data.tobytes()).decode()
