"""Charts of a page about calibration: scores against precision, errors against chi-square."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
import math

from robot_perception.evaluation.report import NeesHistogram, ReliabilityBin, Report
from robot_perception.viewer import Column, Line, line_chart


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart with its title and explanation.

    Attributes:
        title: above it.
        text: below the title.
        svg: the chart.
        table: its numbers, below a row of titles; empty for no table.
    """

    title: str
    text: str
    svg: str
    table: tuple[tuple[str, ...], ...] = ()


def calibration_charts(report: Report) -> Iterator[Chart]:
    """Yield the charts of what is known."""
    if report.reliability:
        yield _reliability_chart(report.reliability)
    for histogram in report.nees:
        yield _nees_chart(histogram)


def _reliability_chart(bins: tuple[ReliabilityBin, ...]) -> Chart:
    total = sum(one.count for one in bins)
    columns = [
        Column(
            f'{one.precision:.0%} of {one.count} right, scores {one.low:.2f} to {one.high:.2f}',
            one.low,
            one.high,
            one.precision,
        )
        for one in bins
    ]
    lines = [
        Line('score = precision', (0.0, 1.0), (0.0, 1.0), strong=False),
        Line(
            'precision',
            tuple(one.mean_score for one in bins),
            tuple(one.precision for one in bins),
            dots=True,
        ),
    ]
    table = (
        ('scores', 'mean', 'right', 'detections'),
        *(
            (
                f'{one.low:.3f} to {one.high:.3f}',
                f'{one.mean_score:.3f}',
                f'{one.precision:.3f}',
                str(one.count),
            )
            for one in bins
        ),
    )
    return Chart(
        'Precision by score',
        f'Share of {total} detections that is right at a box IoU of 0.5, in bins of equal count, '
        f'{total / len(bins):.0f} each. For calibrated scores the points lie on the gray line.',
        line_chart(lines, 'score', 'precision', y_top=1.0, columns=columns),
        table,
    )


def _nees_chart(histogram: NeesHistogram) -> Chart:
    limits, counts = histogram.limits, histogram.counts
    width = limits[1] - limits[0]
    total = max(sum(counts), 1)
    # The last bin has no end: it is as wide as the others.
    bins = [(low, low + width if math.isinf(high) else high) for low, high in pairwise(limits)]
    columns = [
        Column(f'{count} objects, NEES {low:g} to {high:g}', low, high, count)
        for (low, high), count in zip(bins[:-1], counts, strict=False)
    ]
    columns.append(
        Column(f'{counts[-1]} objects, NEES from {bins[-1][0]:g}', *bins[-1], counts[-1])
    )
    middles = tuple((low + high) / 2 for low, high in bins)
    return Chart(
        f'Errors of positions, {histogram.source} depth',
        f'Normalized estimation error squared of {total} objects (columns; the last has all above '
        f'{bins[-1][0]:g}, {counts[-1] / total:.0%}), and what a true covariance gives '
        f'(line; {histogram.expected[-1] / total:.1%}).',
        line_chart(
            [Line('chi-square, 3 degrees of freedom', middles, histogram.expected)],
            'NEES',
            'objects',
            columns=columns,
        ),
        (
            ('NEES', 'objects', 'expected'),
            *(
                (f'{low:g} to {high:g}', str(count), f'{expected:.1f}')
                for (low, high), count, expected in zip(
                    bins, counts, histogram.expected, strict=True
                )
            ),
        ),
    )
