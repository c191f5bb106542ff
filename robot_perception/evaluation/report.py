"""Report of an evaluation: metrics as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby
import json
import os
from pathlib import Path
import platform

from robot_perception import __version__
from robot_perception.core import write_bytes
from robot_perception.evaluation.bootstrap import Bootstrap, CONFIDENCE, RESAMPLES, Statistic
from robot_perception.evaluation.confusion import ConfusionMatrix
from robot_perception.evaluation.operating_points import OperatingPoints, THRESHOLDS
from robot_perception.pipeline import PerceptionConfig
from robot_perception.viewer import JsonValue

_ABSENT = '-'
_SIGNIFICANT = 6
_SMALL, _TEN, _HUNDRED = 0.01, 10, 100


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One metric.

    Attributes:
        group: of related metrics, such as 'detector'.
        name: of the metric, unique in its group.
        value: None when unknown; counts are int.
        low: lower end of the 95 % confidence interval over frames, None when unknown.
        high: upper end.
        unit: empty for a bare number.
        higher_is_better: whether larger values are better; None where neither is.
        target: the value of a perfect result where neither is better, None without one.
    """

    group: str
    name: str
    value: float | None
    low: float | None
    high: float | None
    unit: str
    higher_is_better: bool | None
    target: float | None = None

    @property
    def better(self) -> str:
        """Which values are better: 'higher', 'lower', 'near 0.95'; empty where none is."""
        if self.higher_is_better is not None:
            return 'higher' if self.higher_is_better else 'lower'
        return '' if self.target is None else f'near {self.target:.4g}'


def make_row(
    bootstrap: Bootstrap,
    group: str,
    name: str,
    estimate: Statistic,
    *,
    unit: str = '',
    higher_is_better: bool = True,
) -> MetricRow:
    """Return the row of one metric with its interval."""
    (result,) = bootstrap.estimates(estimate)
    return MetricRow(group, name, result.value, result.low, result.high, unit, higher_is_better)


@dataclass(frozen=True, slots=True)
class PrecisionCurve:
    """Precision over recall.

    Attributes:
        name: of the class, empty for the mean over classes.
        box_iou: IoU from which a prediction is a true positive.
        precision: at the recalls 0, 0.01 ... 1, each in [0, 1].
    """

    name: str
    box_iou: float
    precision: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Detections of neighboring scores.

    Attributes:
        low: their lowest score.
        high: their highest score.
        count: how many there are.
        mean_score: their mean score.
        precision: share of them that is right, in [0, 1].
    """

    low: float
    high: float
    count: int
    mean_score: float
    precision: float


@dataclass(frozen=True, slots=True)
class NeesHistogram:
    """Counts of objects by their normalized estimation error squared.

    Attributes:
        source: of the depth: model, sensor, fused or unknown.
        limits: of the bins, ascending from 0; the last is infinite.
        counts: objects in each bin.
        expected: count in each bin for a true covariance, from the chi-square distribution of 3
            degrees of freedom.
    """

    source: str
    limits: tuple[float, ...]
    counts: tuple[int, ...]
    expected: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """Metrics over all frames.

    Attributes:
        rows: in order, those of a group together.
        frames: count of frames.
        objects: class name -> true objects that count.
        ignored: true objects of which too little is visible.
        curves: precision over recall, that of the mean first.
        resamples: count of resamples of frames for the intervals.
        reliability: detections by score, lowest first.
        operating_points: detections above each threshold, of all classes, then of each.
        confusion: true and predicted classes above the threshold in use, None without detector.
        nees: errors of positions by source of depth.
        notes: sentences about likely causes of errors.
    """

    rows: tuple[MetricRow, ...]
    frames: int
    objects: Mapping[str, int]
    ignored: int
    curves: tuple[PrecisionCurve, ...] = ()
    resamples: int = RESAMPLES
    reliability: tuple[ReliabilityBin, ...] = ()
    operating_points: tuple[OperatingPoints, ...] = ()
    confusion: ConfusionMatrix | None = None
    nees: tuple[NeesHistogram, ...] = ()
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, JsonValue]:
        """Convert to JSON values; unknown is None, no number is NaN."""
        return {
            'frames': self.frames,
            'objects': dict(self.objects),
            'ignored_objects': self.ignored,
            'notes': list(self.notes),
            'interval': {'confidence': CONFIDENCE, 'resamples_of_frames': self.resamples},
            'rows': [
                {name: _significant(value) for name, value in asdict(row).items()}
                for row in self.rows
            ],
            'precision_over_recall': [
                {
                    'class': curve.name or None,
                    'box_iou': curve.box_iou,
                    'precision': [_significant(value) for value in curve.precision],
                }
                for curve in self.curves
            ],
            'reliability': [
                {name: _significant(value) for name, value in asdict(one).items()}
                for one in self.reliability
            ],
            'over_confidence': [
                {
                    'class': one.name or None,
                    'precision': [_significant(value) for value in one.precision],
                    'recall': [_significant(value) for value in one.recall],
                    'best_threshold': round(float(THRESHOLDS[one.best]), 2),
                    'best_f1': _significant(one.f1[one.best]),
                }
                for one in self.operating_points
            ],
            'confusion': None
            if self.confusion is None
            else {
                'classes': list(self.confusion.class_names),
                'counts': [list(row) for row in self.confusion.counts],
            },
            'nees': [
                {
                    'source': one.source,
                    # The last bin has no end, and JSON no infinity.
                    'bins_from': list(one.limits[:-1]),
                    'counts': list(one.counts),
                    'expected': [_significant(value) for value in one.expected],
                }
                for one in self.nees
            ],
        }

    def groups(self) -> Iterator[tuple[str, list[MetricRow]]]:
        """Yield the groups with a known metric, with all their rows."""
        for group, rows in groupby(self.rows, lambda row: row.group):
            members = list(rows)
            if any(row.value is not None for row in members):
                yield group, members

    def as_text(self) -> str:
        """Return a table with aligned columns, without a line break at its end.

        Groups without a known metric are left out.
        """
        lines = [('', 'value', '95 % interval', 'unit', 'better')]
        for group, rows in self.groups():
            lines.append((group, '', '', '', ''))
            lines.extend(_line(row) for row in rows)
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        text = [
            f'{name:<{widths[0]}}  {value:>{widths[1]}}  {interval:<{widths[2]}}  '
            f'{unit:<{widths[3]}}  {better}'.rstrip()
            for name, value, interval, unit, better in lines
        ]
        counted = sum(self.objects.values())
        text.append(
            f'{self.frames} frames, {counted} objects; {self.ignored} more are mostly hidden '
            'and ignored'
        )
        text.extend(f'note: {note}' for note in self.notes)
        return '\n'.join(text)


def _line(row: MetricRow) -> tuple[str, str, str, str, str]:
    value, low, high = (value_text(number) for number in (row.value, row.low, row.high))
    interval = _ABSENT if row.low is None or row.high is None else f'{low} to {high}'
    return f'  {row.name}', value, interval, row.unit, row.better


def value_text(value: float | None) -> str:
    """Format a value with about four digits; counts are written in full.

    >>> [value_text(value) for value in (None, 7, 0.0, 0.5, 0.00123, 12.3456, 1234.5678)]
    ['-', '7', '0.000', '0.500', '0.0012', '12.35', '1234.6']
    """
    if value is None or isinstance(value, int):
        return _ABSENT if value is None else str(value)
    size = abs(value)
    if 0 < size < _SMALL:
        return f'{value:.2g}'
    return f'{value:.{3 if size < _TEN else 2 if size < _HUNDRED else 1}f}'


def _significant(value: JsonValue) -> JsonValue:
    """Round a float; return anything else as it is."""
    return float(f'{value:.{_SIGNIFICANT}g}') if isinstance(value, float) else value


SCHEMA = 'robot_perception/evaluation'
SCHEMA_VERSION = 4


def results_to_dict(
    report: Report,
    source: Mapping[str, JsonValue],
    config: PerceptionConfig | None,
    cases: Sequence[str],
) -> dict[str, JsonValue]:
    """Convert an evaluation to JSON values, with what is needed to repeat and compare it.

    The keys of ``source``, what was evaluated, such as {'world': {...}}, stand beside the others.
    ``config`` is None for predictions from a file; ``cases`` names the worst frames, worst first.
    """
    return {
        'schema': SCHEMA,
        'version': SCHEMA_VERSION,
        'package': __version__,
        **source,
        'config': None if config is None else config.to_values(),
        'machine': machine(),
        'worst': list(cases),
        **report.as_json(),
    }


def write_results(results: dict[str, JsonValue], path: Path) -> None:
    """Write `results_to_dict` as UTF-8 JSON, atomically; raise OutputError if that fails."""
    text = json.dumps(results, ensure_ascii=False, allow_nan=False, indent=2)
    write_bytes(path, (text + '\n').encode())


def machine() -> dict[str, JsonValue]:
    """Return a description of the machine that the times were measured on."""
    return {
        'architecture': platform.machine(),
        'system': platform.system(),
        'cpus': os.cpu_count(),
        'python': platform.python_version(),
        'torch': _version('torch'),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
