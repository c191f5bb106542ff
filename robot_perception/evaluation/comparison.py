"""Checks of a comparison of two results, their limits, and its outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from robot_perception.viewer import Cell, JsonValue, Table

SCHEMA = 'robot_perception/comparison'
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Check:
    """A metric that is compared with a limit.

    Attributes:
        key: stable name, such as 'box_iou'.
        figure: name in `FrameDifference.values`; empty for a metric that has no values by frame.
        title: for people.
        limit: worst mean that still counts as the same; None does not check it.
        higher_is_better: whether 1 is the best rather than 0.
        unit: empty for a bare number.
    """

    key: str
    figure: str
    title: str
    limit: float | None
    higher_is_better: bool
    unit: str = ''

    @property
    def flag(self) -> str:
        """Name of the limit on the command line."""
        return f'--{"min" if self.higher_is_better else "max"}-{self.key.replace("_", "-")}'

    @property
    def limit_text(self) -> str | None:
        """The limit as text."""
        if self.limit is None:
            return None
        return f'at {"least" if self.higher_is_better else "most"} {self.limit:g}'

    def holds(self, mean: float | None) -> bool | None:
        """Return whether a mean is within the limit; None without one of them."""
        if mean is None or self.limit is None:
            return None
        return mean >= self.limit if self.higher_is_better else mean <= self.limit


CHECKS = (
    Check('agreement', 'agreement', 'objects that both have', 0.99, higher_is_better=True),
    Check('box_iou', 'box IoU', 'box IoU', 0.95, higher_is_better=True),
    Check('score', 'score', 'difference of scores', 0.05, higher_is_better=False),
    Check('mask_iou', 'mask IoU', 'mask IoU', 0.95, higher_is_better=True),
    Check('depth', 'depth', 'depth, relative difference', 0.01, higher_is_better=False),
    Check(
        'depth_unknown', 'depth known once', 'depth that one knows', 0.01, higher_is_better=False
    ),
    Check('placed', 'placed alike', 'places that both know', 0.99, higher_is_better=True),
    Check('centroid', 'centroid', 'distance of centroids', 1.0, higher_is_better=False, unit='cm'),
    Check('box_3d_iou', '3D box IoU', '3D box IoU', 0.9, higher_is_better=True),
    Check('cosine', 'cosine', 'cosine of features', 0.999, higher_is_better=True),
)


@dataclass(frozen=True, slots=True)
class Limits:
    """Tolerances within which results count as the same.

    Attributes:
        means: limit of each check by its key; those left out have their defaults.
        unpaired: largest share of frames that only one result has.
        slowdown: largest ratio of the median times of a frame; None does not check times.
    """

    means: Mapping[str, float] = field(default_factory=dict)
    unpaired: float = 0.0
    slowdown: float | None = None


@dataclass(frozen=True, slots=True)
class ComparedRow:
    """One metric over all frames; None is unknown.

    Attributes:
        check: the metric, with the limit in use.
        mean: over everything compared.
        same: whether the mean is within the limit; None when there was nothing to compare, or
            no limit.
        count: how much was compared.
        worst: the mean of the worst frame.
        worst_stamp_ns: which frame that is, None when all are alike.
    """

    check: Check
    mean: float | None
    same: bool | None
    count: int
    worst: float | None = None
    worst_stamp_ns: int | None = None

    @property
    def verdict(self) -> str:
        """The outcome of the check, as text."""
        if self.same is not None:
            return 'same' if self.same else 'DIFFERS'
        return 'nothing to compare' if self.mean is None else 'not asked for'


@dataclass(frozen=True, slots=True)
class Comparison:
    """The differences between two results.

    Attributes:
        rows: the metrics.
        frames: count of frames that both have.
        only_first: count of those only the first has.
        only_second: likewise.
        one_sided: part -> frames in which just one of the two has it; they differ in any case.
        renamed: objects whose boxes agree and whose classes differ.
        times_ms: stage -> median milliseconds of both, None where a stage did not run; 'frame'
            is all of them, of which some may run at once.
    """

    rows: tuple[ComparedRow, ...]
    frames: int
    only_first: int
    only_second: int
    one_sided: Mapping[str, int]
    renamed: int
    times_ms: Mapping[str, tuple[float | None, float | None]]

    @property
    def same(self) -> bool:
        """Whether all that could be compared is within the limits, and nothing is on one side."""
        return not self.one_sided and all(row.same is not False for row in self.rows)

    def as_json(self) -> dict[str, JsonValue]:
        """Convert to JSON values; unknown is None, no number is NaN."""
        return {
            'schema': SCHEMA,
            'version': SCHEMA_VERSION,
            'same': self.same,
            'frames': {
                'both': self.frames,
                'only_first': self.only_first,
                'only_second': self.only_second,
            },
            'one_sided_frames': dict(self.one_sided),
            'renamed_objects': self.renamed,
            'rows': [
                {
                    'name': row.check.key,
                    'mean': row.mean,
                    'worst': row.worst,
                    'worst_stamp_ns': row.worst_stamp_ns,
                    'count': row.count,
                    'limit': row.check.limit,
                    'unit': row.check.unit,
                    'same': row.same,
                }
                for row in self.rows
            ],
            'median_ms': {stage: list(both) for stage, both in self.times_ms.items()},
        }

    def as_text(self) -> str:
        """Return tables for a terminal, without a line break at the end."""
        figures: list[tuple[Cell, ...]] = [
            (
                row.check.title,
                _text(row.mean),
                _text(row.worst),
                row.worst_stamp_ns,
                row.check.limit_text,
                row.check.unit,
                row.count,
                row.verdict,
            )
            for row in self.rows
        ]
        head = ('', 'mean', 'worst frame', 'its stamp/ns', 'limit', 'unit', 'compared', '')
        lines = [Table('figures', head, tuple(figures)).as_text()]
        if self.times_ms:
            times = tuple((stage, *both) for stage, both in self.times_ms.items())
            lines += ['', Table('times', ('median/ms', 'first', 'second'), times).as_text()]
        alone = f'{self.only_first} only in the first, {self.only_second} only in the second'
        lines += ['', f'{self.frames} frames in both, {alone}']
        lines += [
            f'{part}: in {count} frames only one of the two has them, or they cannot be compared'
            for part, count in self.one_sided.items()
        ]
        if self.renamed:
            lines.append(f'{self.renamed} objects at one place have two names')
        return '\n'.join(lines)


def _text(value: float | None) -> str | None:
    return None if value is None else f'{value:.4g}'
