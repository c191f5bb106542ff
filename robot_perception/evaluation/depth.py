"""Errors of predicted depth, for one image and by range of distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
import math

import numpy as np

from robot_perception.core import Depth, Float64Array, Int64Array, MetricDepth, RelativeDepth

_DELTA1 = 1.25
_EIGEN_LAMBDA = 0.5
_PERCENT = 100.0
# A scale and a shift cannot be fitted to fewer values.
_LEAST_VALUES = 2
# A factor that is noted: its least logarithm, the most that it varies in most images, and the
# share of the error that is left without it.
_FACTOR, _FACTOR_VARIES, _LEFT_ERROR = math.log(1.1), math.log(1.05), 0.25
_MOST = 90


@dataclass(frozen=True, slots=True)
class DepthErrors:
    """Errors over the n pixels whose true depth t and predicted depth p are both known.

    With d = ln p - ln t for each pixel, and mean() over the pixels of the image; unknown is None.

    Attributes:
        known: share of the pixels of known true depth that the prediction is known for.
        abs_rel: mean(|p - t| / t).
        rmse_m: sqrt(mean((p - t)^2)), meters.
        delta1: share of the pixels with max(p / t, t / p) < 1.25.
        silog_eigen: mean(d^2) - 0.5 mean(d)^2, the scale-invariant error of Eigen et al. 2014
            (Depth Map Prediction from a Single Image, equation 4) with their lambda of 0.5, which
            forgives half of a common factor. Natural logarithm, no root, no factor.
        silog_kitti: 100 sqrt(mean(d^2) - mean(d)^2), as the development kit of KITTI's depth
            benchmark has it: the standard deviation of d in percent, which forgives all of a
            common factor.
        abs_rel_scaled: abs_rel of s p, with s = median(t) / median(p) (Zhou et al. 2017,
            Unsupervised Learning of Depth and Ego-Motion from Video).
        abs_rel_fitted: abs_rel of 1 / (a q + b), where q is the predicted inverse depth, 1 / p for
            metric depth, and a, b minimize the sum of (a q + b - 1 / t)^2 (Ranftl et al. 2020,
            Towards Robust Monocular Depth Estimation). What lies beyond the farthest true pixel
            after the fit is taken to lie there.
        scale: median(t) / median(p).

    All but abs_rel_fitted need meters, and are None for relative depth.
    """

    known: float | None = None
    abs_rel: float | None = None
    rmse_m: float | None = None
    delta1: float | None = None
    silog_eigen: float | None = None
    silog_kitti: float | None = None
    abs_rel_scaled: float | None = None
    abs_rel_fitted: float | None = None
    scale: float | None = None


def depth_errors(predicted: Depth | None, truth: MetricDepth | None) -> DepthErrors:
    """Compute the errors of one depth image; ground truth has the same size, None is unknown."""
    if truth is None or predicted is None:
        return DepthErrors()
    known_pixels = np.isfinite(truth.meters)
    if not known_pixels.any():
        return DepthErrors()
    if isinstance(predicted, RelativeDepth):
        true = truth.meters[known_pixels].astype(np.float64)
        return DepthErrors(
            abs_rel_fitted=_fitted(predicted.inverse[known_pixels].astype(np.float64), true)
        )
    both = known_pixels & np.isfinite(predicted.meters)
    known = float(np.count_nonzero(both) / np.count_nonzero(known_pixels))
    if not both.any():
        return DepthErrors(known=known)
    return _metric_errors(
        predicted.meters[both].astype(np.float64), truth.meters[both].astype(np.float64), known
    )


def _metric_errors(predicted: Float64Array, true: Float64Array, known: float) -> DepthErrors:
    away = np.log(predicted) - np.log(true)
    scale = float(np.median(true) / np.median(predicted))
    mean, square = float(away.mean()), float((away**2).mean())
    return DepthErrors(
        known=known,
        abs_rel=_abs_rel(predicted, true),
        rmse_m=float(np.sqrt(((predicted - true) ** 2).mean())),
        delta1=float((np.maximum(predicted / true, true / predicted) < _DELTA1).mean()),
        silog_eigen=square - _EIGEN_LAMBDA * mean**2,
        # The variance itself, which rounding cannot turn negative.
        silog_kitti=_PERCENT * float(away.std()),
        abs_rel_scaled=_abs_rel(predicted * scale, true),
        abs_rel_fitted=_fitted(1 / predicted, true),
        scale=scale,
    )


def _abs_rel(predicted: Float64Array, true: Float64Array) -> float:
    return float((np.abs(predicted - true) / true).mean())


def _fitted(inverse: Float64Array, true: Float64Array) -> float | None:
    if true.size < _LEAST_VALUES:
        return None
    target = 1 / true
    away = inverse - inverse.mean()
    spread = float(away @ away)
    slope = float(away @ (target - target.mean())) / spread if spread > 0 else 0.0
    fitted = target.mean() + slope * away
    return _abs_rel(1 / np.maximum(fitted, target.min()), true)


def constant_factor_note(images: Sequence[DepthErrors]) -> str:
    """Return a sentence if one factor explains the errors of all images, as a wrong unit gives.

    That is if it differs from 1, hardly varies, and removes most of the error.
    """
    known = [
        (one.scale, one.abs_rel, one.abs_rel_scaled)
        for one in images
        if one.scale is not None and one.abs_rel is not None and one.abs_rel_scaled is not None
    ]
    if not known:
        return ''
    scales, errors, left = np.array(known).T
    scale, error = float(np.median(scales)), float(np.median(errors))
    varies = float(np.percentile(np.abs(np.log(scales / scale)), _MOST))
    if (
        abs(math.log(scale)) < _FACTOR
        or varies > _FACTOR_VARIES
        or np.median(left) > _LEFT_ERROR * error
    ):
        return ''
    return (
        f'depth: one factor explains most of its error: true depth is {scale:.3g} times the '
        f'predicted one in all images (AbsRel {error:.3g}, and {np.median(left):.2g} without it). '
        'Compare the units of both: --truth-unit-m and --predictions-unit-m set those of depth '
        'images, depth.unit_m that of a sensor.'
    )


# Bounds of true depth, meters; the last range has no end.
RANGES_M = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 20.0, float('inf'))


def range_names() -> list[str]:
    """Return the name of each range, such as '0.5 to 1 m'."""
    return [
        f'{low:g} to {high:g} m' if math.isfinite(high) else f'from {low:g} m'
        for low, high in pairwise(RANGES_M)
    ]


@dataclass(frozen=True, slots=True, eq=False)
class DepthErrorByRange:
    """Sums over the pixels of one image, for each of the B ranges.

    Attributes:
        pixels: (B,) int64, pixels whose true and predicted depth is known.
        error: (B,) float64, sum of |p - t| / t.
    """

    pixels: Int64Array
    error: Float64Array


def depth_error_by_range(
    predicted: Depth | None, truth: MetricDepth | None
) -> DepthErrorByRange | None:
    """Sum the errors of one image; None unless both depths are metric."""
    if truth is None or not isinstance(predicted, MetricDepth):
        return None
    both = np.isfinite(truth.meters) & np.isfinite(predicted.meters)
    true = truth.meters[both].astype(np.float64)
    error = np.abs(predicted.meters[both] - true) / true
    bins = np.digitize(true, RANGES_M[1:-1])
    size = len(RANGES_M) - 1
    return DepthErrorByRange(
        np.bincount(bins, minlength=size).astype(np.int64),
        np.bincount(bins, weights=error, minlength=size).astype(np.float64),
    )


class RangeSums:
    """Depth errors by range of all frames, for any resample of them."""

    def __init__(self, frames: Sequence[DepthErrorByRange | None]) -> None:
        """Store F frames; those without depth add nothing."""
        nothing = np.zeros(len(RANGES_M) - 1)
        self._pixels = np.array([nothing if one is None else one.pixels for one in frames])
        self._error = np.array([nothing if one is None else one.error for one in frames])

    @property
    def pixels(self) -> list[int]:
        """Count of pixels in each range."""
        return [int(count) for count in self._pixels.sum(axis=0)]

    def abs_rel(self, weights: Int64Array) -> Float64Array:
        """Return AbsRel of each range over its pixels, (B,) float64; NaN without pixels."""
        pixels, error = weights @ self._pixels, weights @ self._error
        means: Float64Array = np.full(len(pixels), np.nan)
        np.divide(error, pixels, out=means, where=pixels > 0)
        return means
