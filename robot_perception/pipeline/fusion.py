"""Depth of a network brought to the metres of a sensor, and the holes of the sensor filled by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import math
from typing import Any

import cv2
import numpy as np

from robot_perception.core import (
    Depth,
    DepthFit,
    Float32Array,
    Float64Array,
    MetricDepth,
    Plane,
    RelativeDepth,
    scale_to_meters,
)

# Fewer pixels that both know say too little.
_LEAST_PIXELS = 200
# A fit looks at no more pixels than these, spread evenly over the image.
_MOST_PIXELS = 20000
_ROUNDS = 10
# Median absolute deviation to standard deviation, for a normal distribution; and how many of these
# a pixel may be off before it counts less (Huber) or not at all.
_MAD_TO_SIGMA, _HUBER, _OUTLIER = 1.4826, 1.345, 4.0
_LEAST_SIGMA = 1e-3
# Share that a new fit has in the one in force; its noise of a frame fades within about ten frames.
_NEWNESS = 0.3
# The correction near holes is looked up on cells of this many pixels, within wider and wider
# neighbourhoods (cells) until one holds pixels of the sensor.
_CELL = 8
_REACHES = (1.5, 4.0, 12.0)


@dataclass(frozen=True, slots=True)
class _Line:
    """Scale and shift, as in `DepthFit`."""

    scale: float
    shift: float


class DepthFusion:
    """Fits each frame's depth to the sensor, and remembers the fit for the next.

    The scale of metric depth is the robust mean ratio to the sensor. Relative depth is fitted in
    inverse depth, scale and shift, by iteratively reweighted least squares with Huber's weights
    (Huber 1981). Between frames the fit moves slowly, so that depth does not flicker. What is left
    between network and sensor about a hole is carried into it.
    """

    def __init__(self) -> None:
        """Start without a fit."""
        self._line: _Line | None = None
        self._kind: type[Depth] | None = None

    def reset(self) -> None:
        """Forget the fit, as after a jump of time."""
        self._line = None

    def memory(self) -> dict[str, Any]:
        """Give the fit in force, as values of JSON."""
        return {
            'line': None if self._line is None else [self._line.scale, self._line.shift],
            'kind': None if self._kind is None else self._kind.__name__,
        }

    def remember(self, memory: Mapping[str, Any]) -> None:
        """Go on from what `memory` gave."""
        kinds: dict[str, type[Depth]] = {
            kind.__name__: kind for kind in (MetricDepth, RelativeDepth)
        }
        self._line = None if memory['line'] is None else _Line(*memory['line'])
        self._kind = None if memory['kind'] is None else kinds[memory['kind']]

    def fuse(self, predicted: Depth, sensor: MetricDepth | None) -> tuple[Depth, DepthFit | None]:
        """Join two depths of one frame.

        Args:
            predicted: of the network, (H, W).
            sensor: of the sensor at the same size, None where there is none for this frame.

        Returns:
            The sensor's metres where it has any, elsewhere those of the network, and the fit.
            Without a fit of this or an earlier frame: what is known alone (the sensor's depth, or
            the network's as it is), and None.

        """
        self._follow(type(predicted))
        line = None if sensor is None else _fit(predicted, sensor)
        if line is not None:
            self._move(line)
        if self._line is None:
            return (predicted, None) if sensor is None or not _has_any(sensor) else (sensor, None)
        return _join(predicted, sensor, self._line, fitted=line is not None)

    def stand(
        self, predicted: MetricDepth, ground: Plane | None, height_m: float
    ) -> tuple[MetricDepth, DepthFit | None]:
        """Scale depth so that the ground lies as far below the camera as it does.

        Args:
            predicted: of the network.
            ground: in ``predicted``, None where it is not to be seen.
            height_m: of the camera above it, metres.

        Returns:
            Scaled metres and the fit, which goes on where no ground is seen; without a fit of this
            or an earlier frame the network's own metres, and None.

        """
        self._follow(MetricDepth)
        if ground is not None and ground.distance_m > 0:
            self._move(_Line(height_m / ground.distance_m, 0.0))
        if self._line is None:
            return predicted, None
        scale = self._line.scale
        return MetricDepth.from_meters(scale_to_meters(predicted, scale)), DepthFit(
            scale, 0.0, None, 0.0
        )

    def _follow(self, kind: type[Depth]) -> None:
        """Forget a fit of another kind of depth."""
        if self._kind is not kind:
            self._line, self._kind = None, kind

    def _move(self, line: _Line) -> None:
        self._line = line if self._line is None else _blend(self._line, line)


def _fit(predicted: Depth, sensor: MetricDepth) -> _Line | None:
    """Fit one frame; None where it says too little."""
    value = predicted.meters if isinstance(predicted, MetricDepth) else predicted.inverse
    both = np.flatnonzero(np.isfinite(sensor.meters) & np.isfinite(value))
    if len(both) < _LEAST_PIXELS:
        return None
    both = both[:: 1 + (len(both) - 1) // _MOST_PIXELS]
    found = value.ravel()[both].astype(np.float64)
    true = sensor.meters.ravel()[both].astype(np.float64)
    if isinstance(predicted, MetricDepth):
        return _Line(math.exp(_robust_mean(np.log(true) - np.log(found))), 0.0)
    return _robust_line(found, 1 / true)


def _robust_mean(values: Float64Array) -> float:
    middle = float(np.median(values))
    for _ in range(_ROUNDS):
        weights = _weights(values - middle)
        middle = float(np.average(values, weights=weights))
    return middle


def _robust_line(x: Float64Array, y: Float64Array) -> _Line | None:
    """Fit y = scale x + shift; None for a scale that is not above 0."""
    weights = np.ones_like(x)
    scale = shift = 0.0
    for _ in range(_ROUNDS):
        total = weights.sum()
        mean_x, mean_y = weights @ x / total, weights @ y / total
        spread = weights @ (x - mean_x) ** 2
        if not spread > 0:
            return None
        scale = float(weights @ ((x - mean_x) * (y - mean_y)) / spread)
        shift = float(mean_y - scale * mean_x)
        weights = _weights(y - scale * x - shift)
    return _Line(scale, shift) if scale > 0 else None


def _weights(errors: Float64Array) -> Float64Array:
    sigma = max(_MAD_TO_SIGMA * float(np.median(np.abs(errors))), _LEAST_SIGMA)
    away = np.abs(errors) / sigma
    weights: Float64Array = np.where(away > _OUTLIER, 0.0, _HUBER / np.maximum(away, _HUBER))
    return weights


def _blend(old: _Line, new: _Line) -> _Line:
    """Move the fit; scales on a logarithmic scale, for half and double are as far from one."""
    return _Line(
        math.exp((1 - _NEWNESS) * math.log(old.scale) + _NEWNESS * math.log(new.scale)),
        (1 - _NEWNESS) * old.shift + _NEWNESS * new.shift,
    )


def _join(
    predicted: Depth, sensor: MetricDepth | None, line: _Line, *, fitted: bool
) -> tuple[MetricDepth, DepthFit]:
    metres = scale_to_meters(predicted, line.scale, line.shift)
    if sensor is None:
        return MetricDepth.from_meters(metres), DepthFit(line.scale, line.shift, None, 1.0)
    known = np.isfinite(sensor.meters)
    ratio = np.where(known, sensor.meters / metres, np.float32(np.nan))
    compared = ratio[np.isfinite(ratio)]
    residual = float(np.median(np.abs(1 / compared - 1))) if fitted and compared.size else None
    filled = metres * _carried(ratio) if compared.size else metres
    joined = MetricDepth.from_meters(np.where(known, sensor.meters, filled))
    share = float(np.mean(~known & np.isfinite(joined.meters)))
    return joined, DepthFit(line.scale, line.shift, residual, share)


def _carried(ratio: Float32Array) -> Float32Array:
    """Spread the ratio of sensor to network over pixels without one: (H, W) float32.

    A normalised convolution (Knutsson and Westin 1993) of its logarithm over cells of pixels, the
    narrowest neighbourhood that holds enough first; 1 where none does.
    """
    height, width = ratio.shape
    known = np.isfinite(ratio)
    logs = np.where(known, np.log(ratio, where=known, out=np.zeros_like(ratio)), np.float32(0))
    cells = (max(1, width // _CELL), max(1, height // _CELL))
    total = cv2.resize(logs, cells, interpolation=cv2.INTER_AREA)
    weight = cv2.resize(known.astype(np.float32), cells, interpolation=cv2.INTER_AREA)
    carried = np.zeros_like(total)
    missing = np.ones_like(total)
    for reach in _REACHES:
        near = cv2.GaussianBlur(weight, (0, 0), reach)
        mean = cv2.GaussianBlur(total, (0, 0), reach) / np.maximum(near, np.float32(1e-6))
        # Cells with a tenth of their surroundings known are sure of it.
        sure = missing * np.minimum(1, near * 10)
        carried += sure * mean
        missing -= sure
    full: Float32Array = np.exp(cv2.resize(carried, (width, height)))
    return full


def _has_any(sensor: MetricDepth) -> bool:
    return bool(np.isfinite(sensor.meters).any())
