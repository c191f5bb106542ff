"""Metric rows of the uncertainty of positions, by source of depth and distance; histograms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
import math

import numpy as np

from robot_perception.core import BoolArray, DepthSource, Float64Array, Int64Array
from robot_perception.evaluation.bootstrap import Bootstrap
from robot_perception.evaluation.position_uncertainty import (
    chi_square_3,
    ELLIPSOIDS,
    MEDIANS,
    PositionUncertainty,
)
from robot_perception.evaluation.report import MetricRow, NeesHistogram

_COUNTS = 'uncertainty of positions'
# Name -> value for a true covariance.
_TARGETS = {
    'NEES, median': MEDIANS[2],
    'NEES, mean': 3.0,
    **{f'inside the {percent} % ellipsoid': percent / 100 for percent in ELLIPSOIDS},
    'normalized error along the ray': 1.0,
    'normalized error across the ray': 1.0,
}
_DISTANCES = 3
_WIDTH, _END = 0.5, 15.0
_LIMITS = (*np.arange(0, _END + _WIDTH, _WIDTH).tolist(), math.inf)


class _Objects:
    """The objects of all frames, with the frame of each."""

    def __init__(self, frames: Sequence[PositionUncertainty]) -> None:
        counts = [len(one.nees) for one in frames]
        self._frame = np.repeat(np.arange(len(frames)), counts)
        self.sources = np.repeat([_source_name(one.source) for one in frames], counts)
        self.distance_m, self.nees, self._along, self._across = (
            np.concatenate([np.zeros(0), *(getattr(one, name) for one in frames)])
            for name in ('distance_m', 'nees', 'along', 'across')
        )

    def rows(self, bootstrap: Bootstrap, group: str, chosen: BoolArray) -> Iterator[MetricRow]:
        """Yield the rows of some objects, none without objects."""
        indices = np.flatnonzero(chosen)
        if not len(indices):
            return
        frame, nees, along, across = (
            values[indices] for values in (self._frame, self.nees, self._along, self._across)
        )

        def statistic(weights: Int64Array) -> Float64Array:
            drawn = np.repeat(np.arange(len(frame)), weights[frame])
            if not len(drawn):
                return np.full(len(_TARGETS), np.nan)
            inside = [np.mean(nees[drawn] <= limit) for limit in ELLIPSOIDS.values()]
            spreads = [
                math.sqrt(np.median(squares[drawn]) / median)
                for squares, median in zip((along, across), MEDIANS, strict=False)
            ]
            return np.array(
                [np.median(nees[drawn]), np.mean(nees[drawn]), *inside, *spreads], np.float64
            )

        yield _count_row(group, 'objects', len(indices))
        estimates = bootstrap.estimates(statistic)
        for (name, target), one in zip(_TARGETS.items(), estimates, strict=True):
            yield MetricRow(
                *(group, name, one.value, one.low, one.high, ''),
                higher_is_better=None,
                target=target,
            )


def uncertainty_rows(
    bootstrap: Bootstrap, frames: Sequence[PositionUncertainty]
) -> Iterator[MetricRow]:
    """Yield counts, NEES, coverage and normalized errors of each source, and by distance.

    Ranges of distance hold a third of the objects each. Nothing is yielded without positions.
    """
    objects = _Objects(frames)
    unknown = sum(one.unknown for one in frames)
    if not len(objects.nees) + unknown:
        return
    yield _count_row(_COUNTS, 'objects with a covariance', len(objects.nees))
    uncalibrated = sum(one.uncalibrated for one in frames)
    yield _count_row(_COUNTS, 'of these marked uncalibrated', uncalibrated)
    yield _count_row(_COUNTS, 'objects without a covariance', unknown)
    ranges = _ranges(objects.distance_m)
    for source in dict.fromkeys(objects.sources.tolist()):
        own = objects.sources == source
        yield from objects.rows(bootstrap, group_name(source), own)
        for name, chosen in ranges:
            yield from objects.rows(bootstrap, f'{group_name(source)}, {name}', own & chosen)


def group_name(source: str) -> str:
    """Return the name of the group of rows of all objects of a source."""
    return f'uncertainty of positions, {source} depth'


def nees_histograms(frames: Sequence[PositionUncertainty]) -> tuple[NeesHistogram, ...]:
    """Return the histogram of each source of depth that occurs."""
    objects = _Objects(frames)
    shares = [chi_square_3(high) - chi_square_3(low) for low, high in pairwise(_LIMITS)]
    histograms = []
    for source in dict.fromkeys(objects.sources.tolist()):
        nees = objects.nees[objects.sources == source]
        counts, _ = np.histogram(nees, _LIMITS)
        expected = tuple(len(nees) * share for share in shares)
        histograms.append(NeesHistogram(source, _LIMITS, tuple(counts.tolist()), expected))
    return tuple(histograms)


def _ranges(distance_m: Float64Array) -> list[tuple[str, BoolArray]]:
    """Return the names and the objects of three ranges of distance with as many objects each."""
    if not len(distance_m):
        return []
    shares = [number / _DISTANCES for number in range(1, _DISTANCES)]
    low, high = np.quantile(distance_m, shares).tolist()
    return [
        (f'to {low:.2f} m', distance_m < low),
        (f'{low:.2f} to {high:.2f} m', (distance_m >= low) & (distance_m < high)),
        (f'from {high:.2f} m', distance_m >= high),
    ]


def _source_name(source: DepthSource | None) -> str:
    return 'unknown' if source is None else str(source)


def _count_row(group: str, name: str, count: int) -> MetricRow:
    return MetricRow(group, name, count, None, None, '', higher_is_better=None)
