"""The results of a demo as images, JSON and an HTML page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
import json
from pathlib import Path

import numpy as np

from robot_perception.core import Scene, write_bytes
from robot_perception.viewer import JsonValue, scene_figures, Step, Table, write_page, write_scene

_MILLISECONDS = 1e3
_STEM = 'demo'


@dataclass(frozen=True, slots=True)
class AccuracyReport:
    """Results compared with ground truth.

    Attributes:
        table: for display.
        metrics: for report.json.
    """

    table: Table
    metrics: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class DemoReport:
    """Results of a demo.

    Attributes:
        source: description of the recording.
        caveat: limitation of the networks, empty for none.
        caption: the same in a few words, for pictures.
        counters: frame counters of the node: received, published, dropped/REASON ...
        messages: number of received messages by topic.
        stages: (stage, p50, p95, p99) in seconds, as the node measured them.
        delays_s: seconds from receiving an image to receiving its last output, per frame.
        scene: the last complete frame, rebuilt from the topics.
        accuracy: comparison with ground truth; None without ground truth.
    """

    source: str
    caveat: str
    caption: str
    counters: Mapping[str, int]
    messages: Mapping[str, int]
    stages: tuple[tuple[str, float, float, float], ...]
    delays_s: tuple[float, ...]
    scene: Scene
    accuracy: AccuracyReport | None


def write_report(report: DemoReport, output: Path, steps: Sequence[Step]) -> None:
    """Write images, scene.json, report.json and index.html.

    Args:
        report: the results.
        output: folder to write to; created if missing.
        steps: suggested next commands, for the page.

    Raises:
        OutputError: a file cannot be written. Earlier files stay; no file is partial.
    """
    files = write_scene(report.scene, output, _STEM, caption=report.caption)
    text = json.dumps(_as_json(report), indent=2) + '\n'
    write_bytes(output / 'report.json', text.encode())
    write_page(
        output,
        'robot_perception',
        scene_figures(files, _STEM),
        (*headline_tables(report), *_counts(report)),
        [f'{report.source}.', *([report.caveat] if report.caveat else [])],
        steps=steps,
    )


def _percentiles_ms(seconds: Sequence[float]) -> tuple[float, float, float]:
    """Return median, 95th and 99th percentile of at least one value, in milliseconds."""
    p50, p95, p99 = np.percentile(seconds, (50, 95, 99)) * _MILLISECONDS
    return float(p50), float(p95), float(p99)


def headline_tables(report: DemoReport) -> tuple[Table, ...]:
    """Return the main tables: accuracy, if there is ground truth, and timing."""
    accuracy = () if report.accuracy is None else (report.accuracy.table,)
    return (*accuracy, _times(report))


def _counts(report: DemoReport) -> tuple[Table, Table]:
    return (
        Table('Frames counted by the node', ('counter', 'count'), (*report.counters.items(),)),
        Table('Messages received', ('topic', 'count'), (*sorted(report.messages.items()),)),
    )


def _times(report: DemoReport) -> Table:
    """Return the timing of each stage and of the whole frame."""
    return Table(
        'Timing on this machine',
        ('stage', 'p50 / ms', 'p95 / ms', 'p99 / ms'),
        tuple((name, *(round(value, 2) for value in row)) for name, *row in _times_ms(report)),
    )


def _times_ms(report: DemoReport) -> Iterator[tuple[str, float, float, float]]:
    for stage, p50, p95, p99 in report.stages:
        yield stage, p50 * _MILLISECONDS, p95 * _MILLISECONDS, p99 * _MILLISECONDS
    yield 'image to last output', *_percentiles_ms(report.delays_s)


def _as_json(report: DemoReport) -> dict[str, object]:
    return {
        'source': report.source,
        'frames': dict(report.counters),
        'messages': dict(report.messages),
        'times_ms': {
            name: {'p50': round(p50, 3), 'p95': round(p95, 3), 'p99': round(p99, 3)}
            for name, p50, p95, p99 in _times_ms(report)
        },
        'accuracy': None if report.accuracy is None else dict(report.accuracy.metrics),
    }
