"""Metric rows of 3D positions: of all objects, by class and by visible share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import compress

from robot_perception.evaluation.bootstrap import Bootstrap, FrameValues, mean
from robot_perception.evaluation.frame import PositionErrors
from robot_perception.evaluation.report import make_row, MetricRow

_MEDIAN, _NINETIETH = 50, 90
# Ranges of visible share for positions: lower end included, upper end not.
_VISIBLE = {
    '25 to 50 % visible': (0.25, 0.5),
    '50 to 75 % visible': (0.5, 0.75),
    '75 to 95 % visible': (0.75, 0.95),
    '95 to 100 % visible': (0.95, 2.0),
}
# Selects located objects of a frame.
_Kind = Callable[[PositionErrors], Sequence[bool]]
_Kinds = dict[str, _Kind]


def position_rows(
    bootstrap: Bootstrap, positions: Sequence[PositionErrors], class_names: Sequence[str]
) -> Iterator[MetricRow]:
    """Yield the shares, errors and overlaps of located objects."""
    yield make_row(bootstrap, '3D', 'located', mean(one.located for one in positions))
    distances = FrameValues(one.centroid_cm for one in positions)
    for name, estimate in (
        ('median', distances.percentile(_MEDIAN)),
        ('mean', distances.mean),
        ('90th percentile', distances.percentile(_NINETIETH)),
    ):
        title = f'centroid error, {name}'
        yield make_row(bootstrap, '3D', title, estimate, unit='cm', higher_is_better=False)
    overlaps = FrameValues(one.box_iou for one in positions)
    yield make_row(bootstrap, '3D', 'box IoU', overlaps.mean)
    yield make_row(bootstrap, '3D', 'box IoU, median', overlaps.percentile(_MEDIAN))
    by_class: _Kinds = {name: partial(_is_class, name) for name in class_names}
    by_share: _Kinds = {
        name: partial(_is_visible_between, *limits) for name, limits in _VISIBLE.items()
    }
    for title, kinds in (('by class', by_class), ('by visible share', by_share)):
        for name, kind in kinds.items():
            distances = FrameValues(compress(one.centroid_cm, kind(one)) for one in positions)
            median, group = distances.percentile(_MEDIAN), f'centroid error {title}'
            yield make_row(bootstrap, group, name, median, unit='cm', higher_is_better=False)
        for name, kind in kinds.items():
            overlaps = FrameValues(compress(one.box_iou, kind(one)) for one in positions)
            yield make_row(bootstrap, f'3D box IoU {title}', name, overlaps.percentile(_MEDIAN))


def _is_class(name: str, one: PositionErrors) -> list[bool]:
    return [name == other for other in one.class_names]


def _is_visible_between(low: float, high: float, one: PositionErrors) -> list[bool]:
    """Return which objects have a visible share of at least ``low`` and less than ``high``."""
    return [low <= share < high for share in one.visible]
