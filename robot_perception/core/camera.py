"""A calibrated camera: the ray of each pixel, and the pixel of each point.

Convention: the optical frame of REP 103, z forward, x right, y down. Pixel (u, v) counts
columns and rows with the center of the top-left pixel at (0, 0), as OpenCV and ROS do.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
import math

import numpy as np

from robot_perception.core.arrays import AnyArray, Float32Array, Float64Array
from robot_perception.core.distortion import distort, DistortionModel, undistort
from robot_perception.core.errors import CalibrationError


@dataclass(frozen=True, slots=True)
class CameraModel:
    """Intrinsics for one image size; hashable, so that derived arrays are cached.

    Attributes:
        size_hw: rows and columns of the image that the intrinsics apply to.
        fx, fy: focal lengths, pixels, finite and > 0.
        cx, cy: principal point, pixels.
        distortion_model: lens model; its name as text is converted.
        distortion: coefficients in OpenCV's order: k1 k2 p1 p2 [k3 [k4 k5 k6 [s1 s2 s3 s4
            [tx ty]]]], or k1 k2 k3 k4 for equidistant.
    """

    size_hw: tuple[int, int]
    fx: float
    fy: float
    cx: float
    cy: float
    distortion_model: DistortionModel = DistortionModel.NONE
    distortion: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if min(self.size_hw) < 1:
            raise CalibrationError(
                'size', f'size_hw: expected at least one pixel, got {self.size_hw}.'
            )
        numbers = (self.fx, self.fy, self.cx, self.cy)
        if not all(math.isfinite(number) for number in numbers) or min(self.fx, self.fy) <= 0:
            raise CalibrationError(
                'focal_length',
                f'camera: expected finite intrinsics with fx, fy > 0, got fx={self.fx}, '
                f'fy={self.fy}, cx={self.cx}, cy={self.cy}. '
                'Calibrate the camera; 3D needs its focal length.',
            )
        model = DistortionModel.parse(self.distortion_model)
        model.check_coefficients(self.distortion)
        object.__setattr__(self, 'distortion_model', model)

    @classmethod
    def nominal(cls, size_hw: tuple[int, int], hfov_deg: float) -> CameraModel:
        """Return a pinhole camera of the given horizontal field of view, centered, undistorted."""
        if not 0 < hfov_deg < 180:  # noqa: PLR2004 - a pinhole covers less than a half space
            raise CalibrationError(
                'hfov', f'hfov_deg: expected above 0 and below 180 degrees, got {hfov_deg}.'
            )
        height, width = size_hw
        focal = width / (2 * math.tan(math.radians(hfov_deg) / 2))
        return cls(size_hw, focal, focal, (width - 1) / 2, (height - 1) / 2)

    def rays(self) -> Float32Array:
        """Return the ray of every pixel: (H, W, 2) float32, x/z and y/z; read-only, cached.

        NaN where the lens model has no ray for a pixel, and farther than 84 degrees from the
        axis: there depth along the axis does not determine a place, and points would lie more
        than ten times as far away as the depth is large.
        """
        return _rays(self)

    def rays_in(self, window: tuple[slice, slice]) -> Float32Array:
        """Return ``rays()[window]``, for rows and columns with steps.

        Of a large image the rays of no other pixels are computed, nor kept.
        """
        height, width = self.size_hw
        if height * width <= _LARGE_IMAGE:
            return _rays(self)[window]
        rows, columns = (
            np.arange(*part.indices(size)) for part, size in zip(window, self.size_hw, strict=True)
        )
        return _rays_at(self, rows, columns)

    def has_invalid_rays(self) -> bool:
        """Return whether some pixels have no ray."""
        return _has_blind_pixels(self)

    def project(self, points_m: Float64Array) -> Float64Array:
        """Project points in the optical frame to pixels: (..., 3) meters -> (..., 2) float64.

        Columns and rows; NaN for points not in front of the camera.
        """
        z = np.where(points_m[..., 2] > 0, points_m[..., 2], np.nan)
        plane = np.asarray(points_m[..., :2] / z[..., None], np.float64)
        distorted = distort(self.distortion_model, self.distortion, plane)
        pixels: Float64Array = distorted * (self.fx, self.fy) + (self.cx, self.cy)
        return pixels

    def unproject(self, pixels_uv: Float64Array) -> Float64Array:
        """Compute rays of pixels: (..., 2) columns and rows -> (..., 2) float64 x/z and y/z."""
        distorted = (np.asarray(pixels_uv, np.float64) - (self.cx, self.cy)) / (self.fx, self.fy)
        return undistort(self.distortion_model, self.distortion, distorted)


# Of a point, to its depth along the axis.
_MAX_DISTANCE_PER_DEPTH = 10.0
# In float64 they need ten times the memory of their rays.
_MAX_PIXELS_AT_ONCE = 2**21
# Of an image from a camera of a robot all rays are kept.
_LARGE_IMAGE = 2**23


@lru_cache(maxsize=8)
def _rays(camera: CameraModel) -> Float32Array:
    height, width = camera.size_hw
    rays = _rays_at(camera, np.arange(height), np.arange(width))
    rays.flags.writeable = False
    return rays


def _rays_at(camera: CameraModel, rows: AnyArray, columns: AnyArray) -> Float32Array:
    """Return the rays of (M,) rows and (N,) columns: (M, N, 2) float32."""
    # One plane for each axis: clouds of all pixels take two thirds of the time.
    rays: Float32Array = np.empty((2, len(rows), len(columns)), np.float32).transpose(1, 2, 0)
    columns = columns.astype(np.float64)
    step = max(1, _MAX_PIXELS_AT_ONCE // max(len(columns), 1))
    for first in range(0, len(rows), step):
        band = rays[first : first + step]
        pixels = np.meshgrid(columns, rows[first : first + step])
        band[...] = camera.unproject(np.stack(pixels, axis=-1))
        length_squared = np.einsum('...i,...i', band, band) + 1
        band[length_squared > _MAX_DISTANCE_PER_DEPTH**2] = np.nan
    return rays


@lru_cache(maxsize=8)
def _has_blind_pixels(camera: CameraModel) -> bool:
    return bool(np.isnan(_rays(camera)).any())
