"""Scaling of network depth to sensor depth, and filling of the sensor's holes with it."""

from __future__ import annotations

from collections.abc import Mapping
import math
from typing import Any, get_args, NamedTuple

import cv2
import numpy as np

from robot_perception.core import (
    Depth,
    DepthFit,
    Float32Array,
    Float64Array,
    MetricDepth,
    Plane,
    scale_to_meters,
)

# Least pixels known to both for a fit.
_MIN_PIXELS = 200
# Most pixels used in a fit, spread evenly over the image.
_MAX_PIXELS = 20000
_ROUNDS = 10
# Median absolute deviation to standard deviation of a normal distribution; standard deviations
# beyond which a pixel is weighted less (Huber) or ignored.
_MAD_TO_SIGMA, _HUBER, _OUTLIER = 1.4826, 1.345, 4.0
_MIN_SIGMA = 1e-3
# Weight of a new fit in the moving average; the noise of one frame fades within about ten frames.
_GAIN = 0.3
# Ratios are interpolated on cells of this many pixels, with Gaussian kernels of these standard
# deviations (cells), the narrowest first.
_CELL = 8
_KERNEL_SIGMAS = (1.5, 4.0, 12.0)


class _Line(NamedTuple):
    """Scale and shift, as in `DepthFit`."""

    scale: float
    shift: float


class DepthFusion:
    """Fits the depth of each frame to the sensor, and averages the fit over frames.

    The scale of metric depth is the robust mean ratio to the sensor. Relative depth is fitted in
    inverse depth, scale and shift, by iteratively reweighted least squares with Huber's weights
    (Huber 1981). The average moves slowly, so that depth does not flicker. The remaining ratio of
    sensor to network around a hole is interpolated into it.
    """

    def __init__(self) -> None:
        """Start without a fit."""
        self._line: _Line | None = None
        self._kind: type[Depth] | None = None

    def reset(self) -> None:
        """Drop the fit, as after a jump in time."""
        self._line = None

    def state_dict(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        return {
            'line': None if self._line is None else list(self._line),
            'kind': None if self._kind is None else self._kind.__name__,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load what `state_dict` returned."""
        kinds = {kind.__name__: kind for kind in get_args(Depth)}
        self._line = None if state['line'] is None else _Line(*state['line'])
        self._kind = None if state['kind'] is None else kinds[state['kind']]

    def fuse(self, predicted: Depth, sensor: MetricDepth | None) -> tuple[Depth, DepthFit | None]:
        """Merge the depths of network and sensor, which are of one size, for one frame.

        Returns:
            The sensor's depth where it is known, elsewhere the scaled depth of the network; and
            the fit. Without a fit of this or an earlier frame: the sensor's depth, or if that is
            unknown the network's unscaled, and None.
        """
        self._require_kind(type(predicted))
        line = None if sensor is None else _fit(predicted, sensor)
        if line is not None:
            self._average(line)
        if self._line is None:
            if sensor is not None and np.isfinite(sensor.meters).any():
                return sensor, None
            return predicted, None
        return _merge(predicted, sensor, self._line, fitted=line is not None)

    def scale_to_ground(
        self, predicted: MetricDepth, ground: Plane | None, height_m: float
    ) -> tuple[MetricDepth, DepthFit | None]:
        """Scale depth so that the ground found in it is ``height_m`` below the camera.

        Returns:
            Scaled depth and the fit, which is kept while no ground is visible; without a fit of
            this or an earlier frame the network's unscaled depth, and None.
        """
        self._require_kind(MetricDepth)
        if ground is not None and ground.distance_m > 0:
            self._average(_Line(height_m / ground.distance_m, 0.0))
        if self._line is None:
            return predicted, None
        scale = self._line.scale
        scaled = MetricDepth.from_meters(scale_to_meters(predicted, scale))
        return scaled, DepthFit(scale, 0.0, None, 0.0)

    def _require_kind(self, kind: type[Depth]) -> None:
        """Drop the fit if it is of another kind of depth."""
        if self._kind is not kind:
            self._line, self._kind = None, kind

    def _average(self, line: _Line) -> None:
        self._line = line if self._line is None else _blend(self._line, line)


def _fit(predicted: Depth, sensor: MetricDepth) -> _Line | None:
    """Fit one frame; None if too few pixels are known."""
    value = predicted.meters if isinstance(predicted, MetricDepth) else predicted.inverse
    both = np.flatnonzero(np.isfinite(sensor.meters) & np.isfinite(value))
    if len(both) < _MIN_PIXELS:
        return None
    both = both[:: 1 + (len(both) - 1) // _MAX_PIXELS]
    x = value.ravel()[both].astype(np.float64)
    meters = sensor.meters.ravel()[both].astype(np.float64)
    if isinstance(predicted, MetricDepth):
        return _Line(math.exp(_robust_mean(np.log(meters) - np.log(x))), 0.0)
    return _robust_line(x, 1 / meters)


def _robust_mean(values: Float64Array) -> float:
    mean = float(np.median(values))
    for _ in range(_ROUNDS):
        weights = _weights(values - mean)
        mean = float(np.average(values, weights=weights))
    return mean


def _robust_line(x: Float64Array, y: Float64Array) -> _Line | None:
    """Fit y = scale x + shift; None if the scale is not positive."""
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
    sigma = max(_MAD_TO_SIGMA * float(np.median(np.abs(errors))), _MIN_SIGMA)
    deviations = np.abs(errors) / sigma
    weights: Float64Array = np.where(
        deviations > _OUTLIER, 0.0, _HUBER / np.maximum(deviations, _HUBER)
    )
    return weights


def _blend(old: _Line, new: _Line) -> _Line:
    """Average two fits, scales geometrically: half and double are equally far from 1."""
    return _Line(
        math.exp((1 - _GAIN) * math.log(old.scale) + _GAIN * math.log(new.scale)),
        (1 - _GAIN) * old.shift + _GAIN * new.shift,
    )


def _merge(
    predicted: Depth, sensor: MetricDepth | None, line: _Line, *, fitted: bool
) -> tuple[MetricDepth, DepthFit]:
    meters = scale_to_meters(predicted, line.scale, line.shift)
    if sensor is None:
        return MetricDepth.from_meters(meters), DepthFit(line.scale, line.shift, None, 1.0)
    known = np.isfinite(sensor.meters)
    ratio = np.where(known, sensor.meters / meters, np.float32(np.nan))
    compared = ratio[np.isfinite(ratio)]
    residual = float(np.median(np.abs(1 / compared - 1))) if fitted and compared.size else None
    filled = meters * _interpolate_ratio(ratio) if compared.size else meters
    merged = MetricDepth.from_meters(np.where(known, sensor.meters, filled))
    share = float(np.mean(~known & np.isfinite(merged.meters)))
    return merged, DepthFit(line.scale, line.shift, residual, share)


def _interpolate_ratio(ratio: Float32Array) -> Float32Array:
    """Interpolate the ratio of sensor to network where it is unknown: (H, W) float32.

    A normalized convolution (Knutsson and Westin 1993) of its logarithm over cells of pixels, with
    the narrowest kernel that covers enough known cells; 1 where none does.
    """
    height, width = ratio.shape
    known = np.isfinite(ratio)
    logs = np.where(known, np.log(ratio, where=known, out=np.zeros_like(ratio)), np.float32(0))
    cells = (max(1, width // _CELL), max(1, height // _CELL))
    total = cv2.resize(logs, cells, interpolation=cv2.INTER_AREA)
    weight = cv2.resize(known.astype(np.float32), cells, interpolation=cv2.INTER_AREA)
    interpolated = np.zeros_like(total)
    remaining = np.ones_like(total)
    for sigma in _KERNEL_SIGMAS:
        near = cv2.GaussianBlur(weight, (0, 0), sigma)
        mean = cv2.GaussianBlur(total, (0, 0), sigma) / np.maximum(near, np.float32(1e-6))
        # Full weight from a tenth of the neighborhood known.
        share = remaining * np.minimum(1, near * 10)
        interpolated += share * mean
        remaining -= share
    full: Float32Array = np.exp(cv2.resize(interpolated, (width, height)))
    return full
