"""Two results for one recording, side by side: a change that was meant, or one that was not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from robot_perception.core import Scene
from robot_perception.evaluation.frame_difference import frame_difference, FrameDifference
from robot_perception.evaluation.pairing import pair_by_stamp
from robot_perception.viewer.scene_json import JsonValue
from robot_perception.viewer.table import Cell, Table

SCHEMA = 'robot_perception/comparison'
SCHEMA_VERSION = 1

_MILLISECONDS = 1e3


@dataclass(frozen=True, slots=True)
class Check:
    """A figure that is held against a limit.

    Attributes:
        key: stable name, such as 'box_iou'.
        figure: name in `FrameDifference.values`.
        title: for people.
        limit: worst mean that still counts as the same.
        higher_is_alike: whether 1 is the best rather than 0.
        unit: empty for a bare number.

    """

    key: str
    figure: str
    title: str
    limit: float
    higher_is_alike: bool
    unit: str = ''

    @property
    def flag(self) -> str:
        """Name of the limit on the command line."""
        return f'--{"min" if self.higher_is_alike else "max"}-{self.key.replace("_", "-")}'

    def holds(self, mean: float, limit: float) -> bool:
        """Tell whether a mean is within a limit."""
        return mean >= limit if self.higher_is_alike else mean <= limit


CHECKS = (
    Check('agreement', 'agreement', 'objects that both have', 0.99, higher_is_alike=True),
    Check('box_iou', 'box IoU', 'box IoU', 0.95, higher_is_alike=True),
    Check('score', 'score', 'difference of scores', 0.05, higher_is_alike=False),
    Check('mask_iou', 'mask IoU', 'mask IoU', 0.95, higher_is_alike=True),
    Check('depth', 'depth', 'depth, relative difference', 0.01, higher_is_alike=False),
    Check(
        'depth_unknown', 'depth known once', 'depth that one knows', 0.01, higher_is_alike=False
    ),
    Check('placed', 'placed alike', 'places that both know', 0.99, higher_is_alike=True),
    Check('centroid', 'centroid', 'distance of centroids', 1.0, higher_is_alike=False, unit='cm'),
    Check('box_3d_iou', '3D box IoU', '3D box IoU', 0.9, higher_is_alike=True),
    Check('cosine', 'cosine', 'cosine of features', 0.999, higher_is_alike=True),
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What still counts as the same.

    Attributes:
        means: limit of each check by its key; those left out have their defaults.
        unpaired: largest share of frames that only one result has.
        slowdown: largest ratio of the median time of a frame, None asks nothing of times.

    """

    means: Mapping[str, float] = field(default_factory=dict)
    unpaired: float = 0.0
    slowdown: float | None = None


@dataclass(frozen=True, slots=True)
class ComparedRow:
    """One figure over all frames; None is unknown.

    Attributes:
        key: stable name.
        title: for people.
        mean: over everything compared.
        worst: the mean of the worst frame.
        worst_stamp_ns: which frame that is.
        count: how much was compared.
        limit: worst mean that counts as the same.
        unit: empty for a bare number.
        same: whether the mean is within the limit; None when there was nothing to compare.

    """

    key: str
    title: str
    mean: float | None
    worst: float | None
    worst_stamp_ns: int | None
    count: int
    limit: float | None
    unit: str
    same: bool | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between two results.

    Attributes:
        rows: the figures.
        frames: count of frames that both have.
        only_first: count of those only the first has.
        only_second: likewise.
        one_sided: part -> frames in which just one of the two has it; they differ in any case.
        renamed: objects at one place with two names.
        times_ms: stage -> median milliseconds of both, None where a stage did not run; 'frame'
            is the sum.

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
        """Describe it in what JSON has; unknown is None, no number is NaN."""
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
                    'name': row.key,
                    'mean': row.mean,
                    'worst': row.worst,
                    'worst_stamp_ns': row.worst_stamp_ns,
                    'count': row.count,
                    'limit': row.limit,
                    'unit': row.unit,
                    'same': row.same,
                }
                for row in self.rows
            ],
            'median_ms': {stage: list(both) for stage, both in self.times_ms.items()},
        }

    def as_text(self) -> str:
        """Write tables for a terminal, without a line break at the end."""
        words = {True: 'same', False: 'DIFFERS', None: 'nothing to compare'}
        figures: list[tuple[Cell, ...]] = [
            (
                row.title,
                _text(row.mean),
                _text(row.worst),
                row.worst_stamp_ns,
                _text(row.limit),
                row.unit,
                row.count,
                words[row.same],
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


def compare(
    first: Iterable[Scene], second: Iterable[Scene], limits: Limits | None = None
) -> Comparison:
    """Compare two results for one recording; frames are paired by their stamps.

    Args:
        first: in order of stamps.
        second: likewise.
        limits: what still counts as the same.

    Raises:
        InputError: the pictures of a frame differ in size.

    """
    limits = limits or Limits()
    differences: list[FrameDifference] = []
    alone = [0, 0]
    times: tuple[list[Mapping[str, float]], list[Mapping[str, float]]] = ([], [])
    for one, other in pair_by_stamp(first, second):
        if one is not None and other is not None:
            differences.append(frame_difference(one, other))
            times[0].append(one.timing_s)
            times[1].append(other.timing_s)
        else:
            alone[one is None] += 1
    times_ms = {
        stage: (_median_ms(times[0], stage), _median_ms(times[1], stage))
        for stage in (*dict.fromkeys(chain(*times[0], *times[1])), 'frame')
    }
    if times_ms['frame'] == (None, None):
        times_ms = {}
    parts = Counter(part for one in differences for part in one.one_sided)
    return Comparison(
        rows=(
            _unpaired_row(len(differences), sum(alone), limits.unpaired),
            *(_row(check, differences, limits) for check in CHECKS),
            *_slowdown_rows(times_ms.get('frame', (None, None)), len(differences), limits),
        ),
        frames=len(differences),
        only_first=alone[0],
        only_second=alone[1],
        one_sided=dict(parts),
        renamed=sum(one.renamed for one in differences),
        times_ms=times_ms,
    )


def _row(check: Check, differences: list[FrameDifference], limits: Limits) -> ComparedRow:
    limit = limits.means.get(check.key, check.limit)
    frames = [
        (float(np.mean(numbers)), one.stamp_ns)
        for one in differences
        if (numbers := one.values.get(check.figure))
    ]
    every = [number for one in differences for number in one.values.get(check.figure, ())]
    mean = float(np.mean(every)) if every else None
    choose = min if check.higher_is_alike else max
    worst, stamp_ns = choose(frames, key=lambda frame: frame[0]) if frames else (None, None)
    same = None if mean is None else check.holds(mean, limit)
    return ComparedRow(
        check.key, check.title, mean, worst, stamp_ns, len(every), limit, check.unit, same
    )


def _unpaired_row(paired: int, alone: int, limit: float) -> ComparedRow:
    total = paired + alone
    share = alone / total if total else None
    # Without a frame in common nothing is known to be the same.
    same = share is not None and paired > 0 and share <= limit
    title = 'frames that one has'
    return ComparedRow('unpaired', title, share, None, None, total, limit, '', same)


def _slowdown_rows(
    frame_ms: tuple[float | None, float | None], frames: int, limits: Limits
) -> Iterator[ComparedRow]:
    first, second = frame_ms
    ratio = second / first if first and second is not None else None
    limit = limits.slowdown
    same = None if limit is None or ratio is None else ratio <= limit
    count = 0 if ratio is None else frames
    yield ComparedRow(
        'slowdown', 'time, second to first', ratio, None, None, count, limit, '', same
    )


def _median_ms(frames: Iterable[Mapping[str, float]], stage: str) -> float | None:
    values = (
        [sum(one.values()) for one in frames if one]
        if stage == 'frame'
        else [one[stage] for one in frames if stage in one]
    )
    return _MILLISECONDS * float(np.median(values)) if values else None


def _text(value: float | None) -> str | None:
    return None if value is None else f'{value:.4g}'
