"""Metrics of several recordings side by side."""

from __future__ import annotations

from collections.abc import Mapping

from robot_perception.evaluation.page import HEADLINE
from robot_perception.evaluation.report import Report
from robot_perception.viewer import Table


def recordings_table(reports: Mapping[str, Report]) -> Table:
    """Return a table with a row for each recording and the main metrics that any of them has."""
    values = {
        name: {(row.group, row.name): row.value for row in report.rows}
        for name, report in reports.items()
    }
    shown = [
        (key, title)
        for *key, title in HEADLINE
        if any(row.get((key[0], key[1])) is not None for row in values.values())
    ]
    return Table(
        'recordings',
        ('recording', 'frames', 'objects', *(title for _, title in shown)),
        tuple(
            (
                name,
                report.frames,
                sum(report.objects.values()),
                *(values[name].get((key[0], key[1])) for key, _ in shown),
            )
            for name, report in reports.items()
        ),
    )
