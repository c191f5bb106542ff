"""One page that shows an evaluation in a browser: a single file, without a network."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import pairwise
import math
from pathlib import Path

import cv2

from robot_perception.core import OutputError, write_bytes
from robot_perception.evaluation.bootstrap import CONFIDENCE
from robot_perception.evaluation.depth import range_names, RANGES_M
from robot_perception.evaluation.hardest_frames import draw_evaluated_frame, EvaluatedFrame
from robot_perception.evaluation.report import MetricRow, PrecisionCurve, Report, value_text
from robot_perception.evaluation.summary import BY_CLASS, ERRORS, LOSSES, RANGES
from robot_perception.viewer import Bar, bar_chart, document, Line, line_chart

_JPEG_QUALITY = 88
_WIDEST_PX = 1280
_MOST_CLASSES = 12
# Figures of the headline: group, name, title.
_HEADLINE = (
    ('detector', 'AP', 'AP of boxes'),
    ('detector', 'AP50', 'AP50 of boxes'),
    ('panoptic', 'PQ', 'panoptic, PQ'),
    ('masks', 'IoU, predicted boxes', 'IoU of masks'),
    ('depth', 'AbsRel', 'depth, AbsRel'),
    ('3D', 'centroid error, median', 'centroid error'),
    ('3D', 'box IoU', '3D box IoU'),
    ('tracking', 'HOTA', 'HOTA of tracks'),
)
_STYLE = """
.tiles { display: grid; gap: .75rem; grid-template-columns: repeat(auto-fit, minmax(8.25rem, 1fr));
  margin: 1.5rem 0 0; }
.tile { padding: .8rem 1rem .75rem; border: 1px solid var(--line); border-radius: 10px;
  background: var(--card); }
.tile b { display: block; white-space: nowrap; font-size: 1.65rem; line-height: 1.25; font-weight: 600;
  letter-spacing: -.02em; font-variant-numeric: tabular-nums; }
.tile small { font-size: 1rem; font-weight: 400; }
.tile span { display: block; font-size: .85rem; color: var(--faint); }
.charts { display: grid; gap: 1.25rem; margin-top: 1.25rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 28rem), 1fr)); }
.chart { padding: 1rem 1.1rem .9rem; border: 1px solid var(--line); border-radius: 10px;
  background: var(--card); }
.chart h2 { margin: 0 0 .15rem; }
.chart p { font-size: .88rem; margin-bottom: .6rem; }
svg { display: block; width: 100%; height: auto; font: 13px system-ui, sans-serif; }
.grid { stroke: var(--line); fill: none; }
.tick { fill: var(--faint); font-size: 12px; }
.name { fill: var(--ink); }
.line { fill: none; stroke: var(--faint); stroke-opacity: .45; stroke-width: 1.25; }
.strong { stroke: var(--tone); stroke-opacity: 1; stroke-width: 2.5; }
.tone1 { stroke-dasharray: 7 5; }
.band { fill: var(--tone); fill-opacity: .16; }
.dot { fill: var(--tone); }
.bar { fill: var(--tone); fill-opacity: .75; }
.whisker { fill: none; stroke: var(--ink); stroke-width: 1.5; }
:root { --tone: #2563b8; }
@media (prefers-color-scheme: dark) { :root { --tone: #6ea8f5; } }
.frames { display: grid; gap: 1.25rem; margin-top: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 32rem), 1fr)); }
.frames img { aspect-ratio: auto; }
.frames figure { cursor: zoom-in; outline: none; }
.frames figure:focus { grid-column: 1 / -1; cursor: default; }
td.group { padding-top: .9rem; color: var(--faint); font-weight: 600; }
""".strip()


def write_page(
    report: Report, cases: Sequence[EvaluatedFrame], about: Mapping[str, str], path: Path
) -> None:
    """Write the page, pictures inside.

    Args:
        report: figures.
        cases: worst frames, worst first.
        about: what was evaluated, such as {'predictions': 'results.json'}.
        path: file to write.

    Raises:
        OutputError: the file cannot be written; no half-written file is left.

    """
    write_bytes(path, page(report, cases, about).encode())


def page(report: Report, cases: Sequence[EvaluatedFrame], about: Mapping[str, str]) -> str:
    """Compose the page as HTML."""
    charts = list(_charts(report))
    counted = sum(report.objects.values())
    parts = [
        '<p>' + ' '.join(escape(f'{name}: {text}.') for name, text in about.items()) + '</p>',
        (
            f'<p>{report.frames} frames, {counted} objects of {len(report.objects)} classes; '
            f'{report.ignored} more objects are ignored. Ranges hold {CONFIDENCE:.0%} of what other '
            'frames of the same kind would give.</p>'
        ),
        '<div class="tiles">',
        *_tiles(report.rows),
        '</div>',
    ]
    if charts:
        parts += ['<div class="charts">', *charts, '</div>']
    if cases:
        parts += [
            f'<h2>The worst {len(cases)} frames</h2>',
            '<p>Truth on the left, prediction on the right. Click on one to enlarge it.</p>',
            '<div class="frames">',
            *map(_worst, cases),
            '</div>',
        ]
    parts.append(_table(report))
    return document('How well the robot sees', parts, _STYLE)


def _tiles(rows: Sequence[MetricRow]) -> Iterator[str]:
    known = {(row.group, row.name): row for row in rows if row.value is not None}
    for group, name, title in _HEADLINE:
        if (group, name) in known:
            row = known[group, name]
            unit = f' <small>{escape(row.unit)}</small>' if row.unit else ''
            yield (
                f'<div class="tile"><span>{escape(title)}</span>'
                f'<b>{value_text(row.value)}{unit}</b>'
                f'<span>{escape(_interval(row) or "no range")}</span></div>'
            )


def _charts(report: Report) -> Iterator[str]:
    by_group = {
        group: [row for row in rows if row.value is not None] for group, rows in report.groups()
    }
    objects = report.objects
    if report.curves:
        shown = [one for one in report.curves if not one.name or len(objects) <= _MOST_CLASSES]
        classes = '; each class at 0.5 in grey' if any(one.name for one in shown) else ''
        yield _chart(
            'Precision over recall',
            f'Mean over classes at a box IoU of 0.5 (line) and 0.75 (dashed){classes}.',
            line_chart([_curve(one) for one in shown], 'recall', 'precision', y_top=1.0),
        )
    if by_group.get(LOSSES):
        counts = {row.name: row.value or 0.0 for row in by_group.get(ERRORS, ())}
        yield _chart(
            'What goes wrong',
            'AP50 that would be gained if all errors of a kind were mended.',
            bar_chart(
                [
                    _bar(row, f'{value_text(row.value)}  ({counts.get(row.name, 0):.0f} times)')
                    for row in by_group[LOSSES]
                ],
                'AP50 lost by reason',
            ),
        )
    if by_group.get(BY_CLASS):
        yield _class_chart(by_group[BY_CLASS], objects)
    if by_group.get(RANGES):
        yield _chart(
            'Depth error over distance',
            'Mean relative error of the pixels of a true depth, with its range.',
            line_chart(
                [_range_line(by_group[RANGES])], 'true depth, meters', 'mean relative error'
            ),
        )


def _class_chart(rows: Sequence[MetricRow], objects: Mapping[str, int]) -> str:
    worst = sorted(rows, key=lambda row: row.value or 0.0)[:_MOST_CLASSES]
    if len(worst) < len(rows):
        text = f'COCO average precision of the worst {len(worst)} of {len(rows)} classes, worst first.'
    else:
        worst = list(rows)
        text = 'COCO average precision, and how many true objects there are.'
    return _chart(
        'AP by class',
        text,
        bar_chart(
            [_bar(row, f'{value_text(row.value)}  (of {objects[row.name]})') for row in worst],
            'AP by class',
        ),
    )


def _chart(title: str, text: str, svg: str) -> str:
    return f'<div class="chart"><h2>{escape(title)}</h2><p>{escape(text)}</p>{svg}</div>'


def _curve(curve: PrecisionCurve) -> Line:
    steps = len(curve.precision) - 1
    return Line(
        name=curve.name or f'mean at an IoU of {curve.box_iou:g}',
        x=tuple(index / steps for index in range(steps + 1)),
        y=curve.precision,
        strong=not curve.name,
    )


def _bar(row: MetricRow, note: str) -> Bar:
    return Bar(row.name, row.value or 0.0, row.low, row.high, note)


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


def _worst(case: EvaluatedFrame) -> str:
    bgr = draw_evaluated_frame(case)[..., ::-1]
    if bgr.shape[1] > _WIDEST_PX:
        scale = _WIDEST_PX / bgr.shape[1]
        bgr = cv2.resize(bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode('.jpg', bgr, (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY))
    if not done:
        raise OutputError(
            'cannot_encode', f'{case.name}: expected a picture that can be written as jpeg.'
        )
    text = base64.b64encode(data.tobytes()).decode()
    alt = escape(f'{case.name}: truth and prediction')
    return f'<figure tabindex="0"><img loading="lazy" alt="{alt}" src="data:image/jpeg;base64,{text}"></figure>'


def _table(report: Report) -> str:
    body = []
    for group, members in report.groups():
        body.append(f'<tr><td class="group" colspan="5">{escape(group)}</td></tr>')
        body += [
            f'<tr><td>{escape(row.name)}</td><td class="number">{value_text(row.value)}</td>'
            f'<td>{escape(_interval(row))}</td><td>{escape(row.unit)}</td>'
            f'<td>{"higher" if row.higher_is_better else "lower"}</td></tr>'
            for row in members
        ]
    head = (
        f'<tr><th>figure</th><th class="number">value</th><th>{CONFIDENCE:.0%} interval</th>'
        '<th>unit</th><th>better</th></tr>'
    )
    return (
        '<h2>All figures</h2><div class="scroll"><table>'
        f'<thead>{head}</thead><tbody>{"".join(body)}</tbody></table></div>'
    )


def _interval(row: MetricRow) -> str:
    if row.low is None or row.high is None:
        return ''
    return f'{value_text(row.low)} to {value_text(row.high)}'
