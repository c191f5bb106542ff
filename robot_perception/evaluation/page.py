"""Self-contained HTML page of an evaluation, made from the templates in ``templates``."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
import json
from pathlib import Path

from robot_perception.core import DepthSource, write_bytes
from robot_perception.evaluation.baseline import Baseline
from robot_perception.evaluation.bootstrap import CONFIDENCE
from robot_perception.evaluation.confusion import ConfusionMatrix
from robot_perception.evaluation.hardest_frames import draw_evaluated_frame, EvaluatedFrame
from robot_perception.evaluation.report import MetricRow, Report, value_text
from robot_perception.evaluation.report_charts import report_charts
from robot_perception.evaluation.uncertainty_rows import group_name
from robot_perception.viewer import encode_jpeg, render

_MOST_CLASSES = 12
# The metrics to look at first: group, name, title.
HEADLINE = (
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
# Kind of error in `FrameErrors.by_kind` -> how it is counted.
_KINDS = {
    'missed': 'missed: {:.0f}',
    'false positives': 'false positives: {:.0f}',
    'masks': 'masks lack {:.2f} of an IoU of 1',
    'depth': 'depth off by {:.0%}',
    'positions': 'positions off by {:.1f} cm',
}
_TEMPLATES = Path(__file__).with_name('templates')


@dataclass(frozen=True, slots=True)
class _Metric:
    """The texts of one metric."""

    title: str
    value: str
    interval: str
    unit: str
    better: str
    earlier: str
    change: str
    verdict: str

    @classmethod
    def from_row(cls, row: MetricRow, title: str, baseline: Baseline | None) -> _Metric:
        """Format a row under a title."""
        known = row.low is not None and row.high is not None
        earlier = None if baseline is None else baseline.values.get((row.group, row.name))
        change = None if earlier is None or row.value is None else row.value - earlier
        return cls(
            title=title,
            value=value_text(row.value),
            interval=f'{value_text(row.low)} to {value_text(row.high)}' if known else '',
            unit=row.unit,
            better=row.better,
            earlier=value_text(earlier),
            change=value_text(change)
            if change is None or change <= 0
            else f'+{value_text(change)}',
            verdict=_verdict(row, change),
        )


def _verdict(row: MetricRow, change: float | None) -> str:
    """Return whether a change is for the better or the worse, empty where neither."""
    if not change or row.higher_is_better is None:
        return ''
    return 'better' if (change > 0) == row.higher_is_better else 'worse'


def write_page(
    report: Report,
    cases: Sequence[EvaluatedFrame],
    about: Mapping[str, str],
    path: Path,
    baseline: Baseline | None = None,
) -> None:
    """Write a page that contains its images, atomically; raise OutputError if that is impossible.

    Args:
        report: the metrics.
        cases: the worst frames, worst first.
        about: what was evaluated, such as {'predictions': 'results.json'}.
        path: of the page.
        baseline: an earlier evaluation to show beside, None without one.
    """
    matrices = [('this run', report.confusion)]
    if baseline is not None:
        matrices.append((baseline.name, baseline.confusion))
    text = render(
        'report.html.j2',
        _TEMPLATES,
        title='Evaluation',
        about=about,
        report=report,
        confidence=f'{CONFIDENCE:.0%}',
        baseline=baseline,
        tiles=list(_tiles(report.rows, baseline)),
        charts=list(report_charts(report, baseline)),
        matrices=[
            (name, _matrix_cells(one.of_most_errors(_MOST_CLASSES)))
            for name, one in matrices
            if one is not None and one.class_names
        ],
        frames=[_frame(case) for case in cases],
        kinds=_KINDS,
        classes=sorted({name for case in cases for name in _error_classes(case)}),
        groups=[
            (group, [_Metric.from_row(row, row.name, baseline) for row in rows])
            for group, rows in report.groups()
        ],
    )
    write_bytes(path, text.encode())


def _tiles(rows: Sequence[MetricRow], baseline: Baseline | None) -> Iterator[_Metric]:
    known = {(row.group, row.name): row for row in rows if row.value is not None}
    for group, name, title in HEADLINE:
        if (group, name) in known:
            yield _Metric.from_row(known[group, name], title, baseline)


@dataclass(frozen=True, slots=True)
class _Cell:
    """One count of a confusion matrix, and its share of the row in [0, 1]."""

    count: int
    share: float
    title: str
    is_diagonal: bool


def _matrix_cells(matrix: ConfusionMatrix) -> dict[str, object]:
    """Return the names of rows and columns, and the cells."""
    rows = (*matrix.class_names, 'no object')
    columns = (*matrix.class_names, 'missed')
    return {
        'columns': columns,
        'rows': [
            (
                name,
                [
                    _Cell(
                        count,
                        count / max(sum(row), 1),
                        f'{count} times: {name} detected as {column}'
                        if column != 'missed'
                        else f'{count} times: {name} missed',
                        name == column,
                    )
                    for column, count in zip(columns, row, strict=True)
                ],
            )
            for name, row in zip(rows, matrix.counts, strict=True)
        ],
    }


def _error_classes(case: EvaluatedFrame) -> set[str]:
    return {*case.errors.false_negatives, *case.errors.false_positives}


def _frame(case: EvaluatedFrame) -> dict[str, object]:
    """Return what the page shows of a frame, and sorts and filters it by."""
    kinds = case.errors.by_kind
    texts = [_KINDS[kind].format(value) for kind, value in kinds.items() if value > 0]
    return {
        'name': case.name,
        'jpeg': base64.b64encode(encode_jpeg(draw_evaluated_frame(case))).decode(),
        'caption': ', '.join(texts) or 'no errors',
        'errors': json.dumps([case.errors.error_score, *kinds.values()]),
        'classes': json.dumps(sorted(_error_classes(case))),
    }
