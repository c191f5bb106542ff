"""Lens distortion models: rays to distorted points on the normalized image plane, and back.

Convention: a point (x, y) on the normalized plane is the ray (x, y, 1) in the optical frame
(REP 103: z forward, x right, y down). The formulas are those of OpenCV's `calib3d` and `fisheye`
modules, to which the ``distortion_model`` names of ROS refer.
"""

from __future__ import annotations

import numpy as np

from robot_perception.core.arrays import Float64Array
from robot_perception.core.enums import StrEnum
from robot_perception.core.errors import CalibrationError


class DistortionModel(StrEnum):
    """Lens models by their names in sensor_msgs.

    As in OpenCV, the number of coefficients decides which terms a polynomial model has: k1 k2 p1
    p2 [k3 [k4 k5 k6 [s1 s2 s3 s4 [tx ty]]]]. ``plumb_bob`` and ``rational_polynomial`` are two
    names for it, since drivers often write the one and mean the other.
    """

    NONE = 'none'
    PLUMB_BOB = 'plumb_bob'
    RATIONAL_POLYNOMIAL = 'rational_polynomial'
    EQUIDISTANT = 'equidistant'

    @classmethod
    def parse(cls, name: str) -> DistortionModel:
        """Return the model of that name, in any case; equidistant lenses have several.

        >>> DistortionModel.parse('Kannala_Brandt4')
        'equidistant'

        Raises:
            CalibrationError: reason ``'distortion_model'`` for any other name.
        """
        plain = name.strip().lower().replace('-', '_').replace(' ', '_')
        try:
            return cls(_OTHER_NAMES.get(plain, plain))
        except ValueError:
            raise CalibrationError(
                'distortion_model',
                f'distortion_model: expected one of {sorted(model.value for model in cls)}, got '
                f'{name!r}. '
                'Calibrate with one of them, or rectify the image and set camera.rectified.',
            ) from None

    @property
    def coefficient_counts(self) -> tuple[int, ...]:
        """Numbers of coefficients that the model may have."""
        return _COEFFICIENT_COUNTS[self]

    def check_coefficients(self, coefficients: tuple[float, ...]) -> None:
        """Raise CalibrationError unless the coefficients are finite and of the right number."""
        counts = self.coefficient_counts
        if len(coefficients) not in counts:
            raise CalibrationError(
                'distortion_coefficients',
                f'D: expected {" or ".join(map(str, counts))} coefficients for {self}, '
                f'got {len(coefficients)}. Correct the calibration.',
            )
        if not np.all(np.isfinite(coefficients)):
            raise CalibrationError(
                'distortion_coefficients',
                f'D: expected finite coefficients, got {list(coefficients)}. Calibrate again.',
            )


_POLYNOMIAL_COUNTS = (4, 5, 8, 12, 14)
_COEFFICIENT_COUNTS = {
    DistortionModel.NONE: (0,),
    DistortionModel.PLUMB_BOB: _POLYNOMIAL_COUNTS,
    DistortionModel.RATIONAL_POLYNOMIAL: _POLYNOMIAL_COUNTS,
    DistortionModel.EQUIDISTANT: (4,),
}
# Names of the same formula in OpenCV, Kalibr, COLMAP, simulators and drivers.
_OTHER_NAMES = {
    **dict.fromkeys(
        (
            *('fisheye', 'opencv_fisheye', 'equi', 'equidistance', 'pinhole_equi'),
            *('kannala_brandt', 'kannala_brandt4', 'kannalabrandt', 'kannalabrandt4', 'kb4'),
        ),
        DistortionModel.EQUIDISTANT,
    ),
    **dict.fromkeys(('radtan', 'pinhole_radtan', 'plumbbob'), DistortionModel.PLUMB_BOB),
    'rational': DistortionModel.RATIONAL_POLYNOMIAL,
}

# Started from the table below, Newton's method needs two or three.
_MAX_ITERATIONS = 10
# On the normalized plane; at fx = 1000 this is a millionth of a pixel.
_CONVERGED, _CLOSE = 1e-9, 1e-7
# Angles from the optical axis in the table of start values. The last is just below 90 degrees,
# where no ray meets the normalized plane.
_ANGLES = np.linspace(0, np.pi / 2 - 1e-3, 8192)


def distort(
    model: DistortionModel, coefficients: tuple[float, ...], rays_xy: Float64Array
) -> Float64Array:
    """Apply distortion to rays: (..., 2) float64 -> (..., 2) float64, normalized plane."""
    if model is DistortionModel.NONE:
        return rays_xy
    if model is DistortionModel.EQUIDISTANT:
        return _equidistant(coefficients, rays_xy)
    return _tilt(coefficients, _polynomial(coefficients, rays_xy)[0])


def undistort(
    model: DistortionModel, coefficients: tuple[float, ...], distorted_xy: Float64Array
) -> Float64Array:
    """Invert `distort`.

    Returns:
        (..., 2) float64; NaN where the lens model has no inverse (beyond its fold, or 90 degrees
        and more from the axis).
    """
    if model is DistortionModel.NONE:
        return distorted_xy
    if model is DistortionModel.EQUIDISTANT:
        return _equidistant_inverse(coefficients, distorted_xy)
    return _polynomial_inverse(coefficients, _tilt(coefficients, distorted_xy, inverse=True))


def _polynomial(
    coefficients: tuple[float, ...], rays_xy: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Compute radial (rational), tangential and thin prism distortion, without tilt.

    Returns:
        Distorted points (..., 2) and their Jacobian (..., 2, 2).
    """
    k1, k2, p1, p2, k3, k4, k5, k6 = (*coefficients, 0.0, 0.0, 0.0, 0.0)[:8]
    x, y = rays_xy[..., 0], rays_xy[..., 1]
    r2 = x * x + y * y
    numerator = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    denominator = 1 + r2 * (k4 + r2 * (k5 + r2 * k6))
    radial = numerator / denominator
    slope = (
        (k1 + r2 * (2 * k2 + 3 * r2 * k3)) - radial * (k4 + r2 * (2 * k5 + 3 * r2 * k6))
    ) / denominator
    distorted = np.stack(
        [
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
        ],
        axis=-1,
    )
    jacobian = np.empty((*r2.shape, 2, 2))
    jacobian[..., 0, 0] = radial + 2 * x * x * slope + 2 * p1 * y + 6 * p2 * x
    jacobian[..., 0, 1] = jacobian[..., 1, 0] = 2 * x * y * slope + 2 * p1 * x + 2 * p2 * y
    jacobian[..., 1, 1] = radial + 2 * y * y * slope + 6 * p1 * y + 2 * p2 * x
    if any(coefficients[8:12]):
        s1, s2, s3, s4 = coefficients[8:12]
        distorted[..., 0] += r2 * (s1 + s2 * r2)
        distorted[..., 1] += r2 * (s3 + s4 * r2)
        jacobian[..., 0, :] += rays_xy * (2 * s1 + 4 * s2 * r2)[..., None]
        jacobian[..., 1, :] += rays_xy * (2 * s3 + 4 * s4 * r2)[..., None]
    return distorted, jacobian


def _polynomial_inverse(
    coefficients: tuple[float, ...], distorted_xy: Float64Array
) -> Float64Array:
    """Invert with Newton's method, started from the inverse of radial distortion alone."""
    radial = (*coefficients[:2], 0.0, 0.0, *coefficients[4:8])
    along = np.stack([np.tan(_ANGLES), np.zeros_like(_ANGLES)], axis=-1)
    with np.errstate(all='ignore'):
        increasing, farthest = _before_fold(_polynomial(radial, along)[0][:, 0])
        radius = np.hypot(distorted_xy[..., 0], distorted_xy[..., 1])
        start = np.tan(np.interp(radius, increasing, _ANGLES[: len(increasing)]))
        rays: Float64Array = distorted_xy * _ratio(start, radius)[..., None]
        for _ in range(_MAX_ITERATIONS):
            distorted, jacobian = _polynomial(coefficients, rays)
            error = distorted - distorted_xy
            if np.nanmax(np.abs(error), initial=0.0) < _CONVERGED:
                break
            determinant = _determinant(jacobian)
            (xx, xy), (yx, yy) = np.moveaxis(jacobian, (-2, -1), (0, 1))
            rays[..., 0] -= (yy * error[..., 0] - xy * error[..., 1]) / determinant
            rays[..., 1] -= (xx * error[..., 1] - yx * error[..., 0]) / determinant
        distorted, jacobian = _polynomial(coefficients, rays)
        # Tangential distortion moves the fold, where the determinant of the Jacobian changes sign.
        # Beyond it other rays map to the same pixels, even some from the other side of the axis.
        valid = _determinant(jacobian) > 0
        valid &= np.hypot(rays[..., 0], rays[..., 1]) <= np.tan(farthest)
        valid &= np.max(np.abs(distorted - distorted_xy), axis=-1) < _CLOSE
    rays[~valid] = np.nan
    return rays


def _determinant(matrices: Float64Array) -> Float64Array:
    determinant: Float64Array = (
        matrices[..., 0, 0] * matrices[..., 1, 1] - matrices[..., 0, 1] * matrices[..., 1, 0]
    )
    return determinant


def _tilt(
    coefficients: tuple[float, ...], points_xy: Float64Array, *, inverse: bool = False
) -> Float64Array:
    """Project points to the tilted plane of the sensor, or back: (..., 2) -> (..., 2)."""
    if not any(coefficients[12:14]):
        return points_xy
    (cos_x, cos_y), (sin_x, sin_y) = np.cos(coefficients[12:14]), np.sin(coefficients[12:14])
    about_x = np.array([[1, 0, 0], [0, cos_x, sin_x], [0, -sin_x, cos_x]])
    about_y = np.array([[cos_y, 0, -sin_y], [0, 1, 0], [sin_y, 0, cos_y]])
    rotation = about_y @ about_x
    along_axis = np.array(
        [
            [rotation[2, 2], 0, -rotation[0, 2]],
            [0, rotation[2, 2], -rotation[1, 2]],
            [0, 0, 1],
        ]
    )
    matrix = along_axis @ rotation
    if inverse:
        matrix = np.linalg.inv(matrix)
    x, y, scale = (
        row[0] * points_xy[..., 0] + row[1] * points_xy[..., 1] + row[2] for row in matrix
    )
    return np.stack([x / scale, y / scale], axis=-1)


def _before_fold(distorted: Float64Array) -> tuple[Float64Array, float]:
    """Return the distorted radii at `_ANGLES` while they increase, and the angle of the last."""
    stops = np.flatnonzero(~(np.diff(distorted) > 0))
    count = int(stops[0]) + 1 if len(stops) else len(distorted)
    return distorted[:count], float(_ANGLES[min(count, len(distorted) - 1)])


def _ratio(part: Float64Array, whole: Float64Array) -> Float64Array:
    """Divide; the result is 1 where both are 0."""
    ratio: Float64Array = np.divide(part, whole, out=np.ones_like(whole), where=whole > 0)
    return ratio


def _equidistant(coefficients: tuple[float, ...], rays_xy: Float64Array) -> Float64Array:
    radius = np.hypot(rays_xy[..., 0], rays_xy[..., 1])
    angle = np.arctan(radius)
    scale = _ratio(_angle_polynomial(coefficients, angle)[0], radius)
    distorted: Float64Array = rays_xy * scale[..., None]
    return distorted


def _equidistant_inverse(
    coefficients: tuple[float, ...], distorted_xy: Float64Array
) -> Float64Array:
    """Invert with Newton's method on the angle from the optical axis."""
    radius = np.hypot(distorted_xy[..., 0], distorted_xy[..., 1])
    with np.errstate(all='ignore'):
        increasing, farthest = _before_fold(_angle_polynomial(coefficients, _ANGLES)[0])
        angle = np.interp(radius, increasing, _ANGLES[: len(increasing)])
        for _ in range(_MAX_ITERATIONS):
            distorted, slope = _angle_polynomial(coefficients, angle)
            error = distorted - radius
            if np.nanmax(np.abs(error), initial=0.0) < _CONVERGED:
                break
            angle = angle - error / slope
        distorted, slope = _angle_polynomial(coefficients, angle)
        valid = (np.abs(distorted - radius) < _CLOSE) & (slope > 0)
        valid &= (angle >= 0) & (angle <= farthest)
        scale = _ratio(np.tan(angle), radius)
    rays: Float64Array = np.where(valid[..., None], distorted_xy * scale[..., None], np.nan)
    return rays


def _angle_polynomial(
    coefficients: tuple[float, ...], angle: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Compute the distorted angle and its derivative."""
    k1, k2, k3, k4 = coefficients
    a2 = angle * angle
    distorted = angle * (1 + a2 * (k1 + a2 * (k2 + a2 * (k3 + a2 * k4))))
    slope = 1 + a2 * (3 * k1 + a2 * (5 * k2 + a2 * (7 * k3 + a2 * 9 * k4)))
    return distorted, slope
