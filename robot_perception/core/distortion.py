"""Lens models: from a ray to its distorted place on the normalised plane, and back.

Convention: a point (x, y) on the normalised plane is the ray (x, y, 1) in the optical frame
(REP 103: z forward, x right, y down). Formulas are those of OpenCV's `calib3d` and `fisheye`
modules, which ROS' ``distortion_model`` names stand for.
"""

from __future__ import annotations

import numpy as np

from robot_perception.core.arrays import Float64Array
from robot_perception.core.errors import CalibrationError

NONE = 'none'
PLUMB_BOB = 'plumb_bob'
RATIONAL_POLYNOMIAL = 'rational_polynomial'
EQUIDISTANT = 'equidistant'

# Lengths of D that each model may carry.
COEFFICIENT_COUNTS = {
    NONE: (0,),
    PLUMB_BOB: (4, 5),
    RATIONAL_POLYNOMIAL: (8,),
    EQUIDISTANT: (4,),
}

_MAX_ITERATIONS = 25
# On the normalised plane; at fx = 1000 this is a millionth of a pixel.
_CONVERGED = 1e-9


def check_coefficients(model: str, coefficients: tuple[float, ...]) -> None:
    """Raise CalibrationError unless ``coefficients`` fit the named lens model."""
    if model not in COEFFICIENT_COUNTS:
        raise CalibrationError(
            'distortion_model',
            f'distortion_model: expected one of {sorted(COEFFICIENT_COUNTS)}, got {model!r}. '
            'Calibrate with one of them, or rectify the image and set camera.rectified.',
        )
    counts = COEFFICIENT_COUNTS[model]
    if len(coefficients) not in counts:
        raise CalibrationError(
            'distortion_coefficients',
            f'D: expected {" or ".join(map(str, counts))} coefficients for {model}, '
            f'got {len(coefficients)}. Fix the calibration file.',
        )
    if not np.all(np.isfinite(coefficients)):
        raise CalibrationError(
            'distortion_coefficients',
            f'D: expected finite coefficients, got {list(coefficients)}. Calibrate again.',
        )


def distort(model: str, coefficients: tuple[float, ...], rays_xy: Float64Array) -> Float64Array:
    """Bend rays as the lens does: (..., 2) float64 -> (..., 2) float64, normalised plane."""
    if model == NONE:
        return rays_xy
    if model == EQUIDISTANT:
        return _equidistant(coefficients, rays_xy)
    return _polynomial(coefficients, rays_xy)[0]


def undistort(model: str, coefficients: tuple[float, ...], bent_xy: Float64Array) -> Float64Array:
    """Find the rays that `distort` bends to ``bent_xy``.

    Returns:
        (..., 2) float64; NaN where the lens model has no inverse (beyond its fold, or at 90
        degrees and more from the axis).

    """
    if model == NONE:
        return bent_xy
    if model == EQUIDISTANT:
        return _equidistant_inverse(coefficients, bent_xy)
    return _polynomial_inverse(coefficients, bent_xy)


def _polynomial(
    coefficients: tuple[float, ...], rays_xy: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Radial (rational) and tangential distortion, and its symmetric Jacobian (xx, xy, yy)."""
    k1, k2, p1, p2, k3, k4, k5, k6 = (*coefficients, 0.0, 0.0, 0.0, 0.0)[:8]
    x, y = rays_xy[..., 0], rays_xy[..., 1]
    r2 = x * x + y * y
    numerator = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    denominator = 1 + r2 * (k4 + r2 * (k5 + r2 * k6))
    radial = numerator / denominator
    slope = (
        (k1 + r2 * (2 * k2 + 3 * r2 * k3)) - radial * (k4 + r2 * (2 * k5 + 3 * r2 * k6))
    ) / denominator
    bent = np.stack(
        [
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
        ],
        axis=-1,
    )
    jacobian = np.stack(
        [
            radial + 2 * x * x * slope + 2 * p1 * y + 6 * p2 * x,
            2 * x * y * slope + 2 * p1 * x + 2 * p2 * y,
            radial + 2 * y * y * slope + 6 * p1 * y + 2 * p2 * x,
        ],
        axis=-1,
    )
    return bent, jacobian


def _polynomial_inverse(coefficients: tuple[float, ...], bent_xy: Float64Array) -> Float64Array:
    """Newton's method, started at the bent point."""
    rays: Float64Array = bent_xy.copy()
    with np.errstate(all='ignore'):
        for _ in range(_MAX_ITERATIONS):
            bent, jacobian = _polynomial(coefficients, rays)
            error = bent - bent_xy
            if np.nanmax(np.abs(error), initial=0.0) < _CONVERGED:
                break
            xx, xy, yy = jacobian[..., 0], jacobian[..., 1], jacobian[..., 2]
            determinant = xx * yy - xy * xy
            rays[..., 0] -= (yy * error[..., 0] - xy * error[..., 1]) / determinant
            rays[..., 1] -= (xx * error[..., 1] - xy * error[..., 0]) / determinant
        bent, jacobian = _polynomial(coefficients, rays)
        # Beyond the fold of the polynomial its Jacobian turns over: that ray is not seen there.
        folded = jacobian[..., 0] * jacobian[..., 2] - jacobian[..., 1] ** 2 <= 0
        missed = ~(np.max(np.abs(bent - bent_xy), axis=-1) < 1e3 * _CONVERGED)
    rays[folded | missed] = np.nan
    return rays


def _equidistant(coefficients: tuple[float, ...], rays_xy: Float64Array) -> Float64Array:
    radius = np.hypot(rays_xy[..., 0], rays_xy[..., 1])
    angle = np.arctan(radius)
    scale = np.divide(
        _angle_polynomial(coefficients, angle)[0],
        radius,
        out=np.ones_like(radius),
        where=radius > 0,
    )
    bent: Float64Array = rays_xy * scale[..., None]
    return bent


def _equidistant_inverse(coefficients: tuple[float, ...], bent_xy: Float64Array) -> Float64Array:
    """Newton's method on the angle from the optical axis."""
    radius = np.hypot(bent_xy[..., 0], bent_xy[..., 1])
    angle = radius.copy()
    with np.errstate(all='ignore'):
        for _ in range(_MAX_ITERATIONS):
            bent, slope = _angle_polynomial(coefficients, angle)
            error = bent - radius
            if np.nanmax(np.abs(error), initial=0.0) < _CONVERGED:
                break
            angle = angle - error / slope
        bent, slope = _angle_polynomial(coefficients, angle)
        seen = (np.abs(bent - radius) < 1e3 * _CONVERGED) & (slope > 0)
        seen &= (angle >= 0) & (angle < np.pi / 2)
        scale = np.divide(np.tan(angle), radius, out=np.ones_like(radius), where=radius > 0)
    rays: Float64Array = np.where(seen[..., None], bent_xy * scale[..., None], np.nan)
    return rays


def _angle_polynomial(
    coefficients: tuple[float, ...], angle: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """The bent angle and its derivative."""
    k1, k2, k3, k4 = coefficients
    a2 = angle * angle
    bent = angle * (1 + a2 * (k1 + a2 * (k2 + a2 * (k3 + a2 * k4))))
    slope = 1 + a2 * (3 * k1 + a2 * (5 * k2 + a2 * (7 * k3 + a2 * 9 * k4)))
    return bent, slope
