"""The results of a demo as images, JSON and an HTML page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
import json
from pathlib import Path
from typing import Protocol

import numpy as np

from robot_perception.core import Scene, write_bytes
from robot_perception.viewer import Gallery, JsonValue, Link, Step, Table, write_scene

_MILLISECONDS = 1e3
_STEM = 'demo'
# Files of a demo -> what they contain.
_FILES = {
    'world_bag/world_bag.mcap': 'the recording with its ground truth',
    'demo.ply': 'the point cloud of the last frame',
    'demo_scene.json': 'all results of the last frame',
    'report.json': 'accuracy, frame counters and times',
}


@dataclass(frozen=True, slots=True)
class AccuracyReport:
    """Results compared with ground truth.

    Attributes:
        verdict: how good they are and why, in a sentence or two.
        table: for display.
        metrics: for report.json.
    """

    verdict: str
    table: Table
    metrics: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class DemoReport:
    """Results of a demo.

    Attributes:
        source: description of the recording.
        caption: limitation of the networks in a few words, for pictures; empty for none.
        counters: frame counters of the node: received, published, dropped/REASON ...
        messages: number of received messages by topic.
        stages: (stage, p50, p95, p99) in seconds, as the node measured them.
        delays_s: seconds from receiving an image to receiving its last output, per frame.
        scene: the last complete frame, rebuilt from the topics.
        accuracy: comparison with ground truth; None without ground truth.
    """

    source: str
    caption: str
    counters: Mapping[str, int]
    messages: Mapping[str, int]
    stages: tuple[tuple[str, float, float, float], ...]
    delays_s: tuple[float, ...]
    scene: Scene
    accuracy: AccuracyReport | None


class Comparison(Protocol):
    """Compares scenes with ground truth."""

    def add(self, scene: Scene) -> Scene:
        """Compare the next scene, and return the ground truth of its image as a scene."""

    def report(self) -> AccuracyReport:
        """Return the result for all scenes so far."""


def write_report(
    report: DemoReport, gallery: Gallery, output: Path, steps: Sequence[Step]
) -> None:
    """Write images, scene.json, report.json and index.html.

    Args:
        report: the results.
        gallery: writes the page; has the frames.
        output: its folder.
        steps: suggested next commands, for the page.

    Raises:
        OutputError: a file cannot be written. Earlier files stay; no file is partial.
    """
    write_scene(report.scene, output, _STEM, caption=report.caption)
    text = json.dumps(_as_json(report), indent=2) + '\n'
    write_bytes(output / 'report.json', text.encode())
    gallery.finish(
        lead=_lead(report),
        tables=headline_tables(report),
        links=[Link(file, words) for file, words in _FILES.items() if (output / file).exists()],
        steps=steps,
    )


def _lead(report: DemoReport) -> str:
    if report.accuracy is not None:
        return report.accuracy.verdict
    frames = report.counters
    return (
        f'{frames.get("published", 0)} of {frames.get("received", 0)} frames were processed. '
        'The recording has no ground truth to compare the results with.'
    )


def _percentiles_ms(seconds: Sequence[float]) -> tuple[float, float, float]:
    """Return median, 95th and 99th percentile of at least one value, in milliseconds."""
    p50, p95, p99 = np.percentile(seconds, (50, 95, 99)) * _MILLISECONDS
    return float(p50), float(p95), float(p99)


def headline_tables(report: DemoReport) -> tuple[Table, ...]:
    """Return the main tables: accuracy, if there is ground truth, and timing."""
    accuracy = () if report.accuracy is None else (report.accuracy.table,)
    return (*accuracy, _times(report))


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
