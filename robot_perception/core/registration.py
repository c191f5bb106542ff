"""Registration of depth to another camera."""

from __future__ import annotations

import numpy as np

from robot_perception.core.arrays import BoolArray, Float32Array, Float64Array, Int64Array
from robot_perception.core.camera import CameraModel
from robot_perception.core.depth import MetricDepth
from robot_perception.core.distortion import DistortionModel
from robot_perception.core.errors import ShapeError
from robot_perception.core.pose import Pose

# No sensor measures a surface at less than about 10 degrees: tan(80 degrees).
_MAX_SLOPE = 5.7
# Noise of neighboring pixels on one surface, as a share of depth.
_NOISE = 0.01
# Squares of the depth image that become larger than this many pixels are not filled.
_MAX_STEPS = 16
# Points are a little denser than pixels, so that rounding leaves no pixel out.
_DENSER = 0.02
# A point farther than this, in pixels, from the ray of its pixel was projected by a fold of the
# lens model.
_MAX_RAY_ERROR = 1.5


def register_depth(
    depth: MetricDepth,
    depth_camera: CameraModel,
    camera: CameraModel,
    camera_from_depth: Pose,
) -> MetricDepth:
    """Transform depth to the viewpoint and lens of another camera.

    Every depth pixel becomes a point, and the nearest point that projects into a pixel of the
    other image is its depth. Where that image has a higher resolution, or views a surface less
    obliquely, inverse depth is interpolated between four neighbors on one surface, which is exact
    on planes. Four neighbors are on one surface if its slope is at most 80 degrees. Pixels that
    the depth camera did not measure stay unknown.

    Returns:
        Depth at the size of ``camera``, NaN where nothing was measured.

    Raises:
        ShapeError: reason ``'size_mismatch'``: depth and its calibration differ in size.
    """
    if depth.size_hw != depth_camera.size_hw:
        raise ShapeError(
            'size_mismatch',
            f'depth: expected the size of its calibration {depth_camera.size_hw}, got '
            f'{depth.size_hw} (rows, columns). Use the CameraInfo beside the depth.',
        )
    projected = _project(depth, depth_camera, camera, camera_from_depth)
    nearest = np.full(camera.size_hw, np.inf, np.float32)
    known = np.isfinite(projected[2])
    _keep_nearest(nearest, *(part[known] for part in projected))
    steps = _steps(projected) * _on_one_surface(depth.meters, depth_camera.fx)
    for count in range(2, _MAX_STEPS + 1):
        rows, columns = np.nonzero(steps == count)
        if len(rows):
            _fill(nearest, projected, rows, columns, count)
    return MetricDepth.from_meters(nearest)


def _project(
    depth: MetricDepth,
    depth_camera: CameraModel,
    camera: CameraModel,
    camera_from_depth: Pose,
) -> Float32Array:
    """Return columns, rows and inverse depths in the other image: (3, H, W), NaN = none."""
    points = np.empty((*depth.size_hw, 3))
    points[..., :2] = depth_camera.rays()
    points[..., 2] = 1
    points *= depth.meters[..., None]
    points = camera_from_depth.apply(points)
    with np.errstate(all='ignore'):
        pixels = camera.project(points)
        parts = pixels[..., 0], pixels[..., 1], 1 / points[..., 2]
        projected: Float32Array = np.stack(parts).astype(np.float32)
    height, width = camera.size_hw
    outside = ~((projected[0] > -_MAX_STEPS) & (projected[0] < width + _MAX_STEPS))
    outside |= ~((projected[1] > -_MAX_STEPS) & (projected[1] < height + _MAX_STEPS))
    projected[:, outside] = np.nan
    if camera.distortion_model is not DistortionModel.NONE:
        projected[:, _folded(points, projected, camera)] = np.nan
    return projected


def _folded(points_m: Float64Array, projected: Float32Array, camera: CameraModel) -> BoolArray:
    """Return points that are off the ray of their pixel, or beside the image."""
    height, width = camera.size_hw
    columns, rows = np.rint(np.nan_to_num(projected[:2], nan=-1.0)).astype(np.int64)
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    folded: BoolArray = np.ones(inside.shape, np.bool_)
    rays = camera.rays()[rows[inside], columns[inside]]
    visible = points_m[inside]
    error = visible[:, :2] / visible[:, 2:] - rays
    # Farther from the axis a pixel covers more of the normalized plane.
    limit = _MAX_RAY_ERROR / min(camera.fx, camera.fy) * (1 + (rays**2).sum(axis=1))
    folded[inside] = ~(np.abs(error).max(axis=1) < limit)
    return folded


def _on_one_surface(meters: Float32Array, focal: float) -> BoolArray:
    """Return whether each square of four neighboring pixels is one surface: (H - 1, W - 1)."""
    corners = meters[:-1, :-1], meters[:-1, 1:], meters[1:, :-1], meters[1:, 1:]
    low, high = np.minimum.reduce(corners), np.maximum.reduce(corners)
    together: BoolArray = high <= low * np.float32(1 + max(_NOISE, _MAX_SLOPE / focal))
    return together


def _steps(projected: Float32Array) -> Float32Array:
    """Return into how many parts to divide the sides of each square to reach every pixel."""
    right = np.abs(np.diff(projected[:2], axis=2)).sum(axis=0)
    down = np.abs(np.diff(projected[:2], axis=1)).sum(axis=0)
    longest = np.maximum.reduce([right[:-1], right[1:], down[:, :-1], down[:, 1:]])
    steps: Float32Array = np.ceil(np.nan_to_num(longest, nan=0.0) + _DENSER)
    return steps


def _fill(
    nearest: Float32Array,
    projected: Float32Array,
    rows: Int64Array,
    columns: Int64Array,
    count: int,
) -> None:
    """Interpolate ``count`` x ``count`` points in squares with the given top left corners."""
    first, right = projected[:, rows, columns], projected[:, rows, columns + 1]
    below, across = projected[:, rows + 1, columns], projected[:, rows + 1, columns + 1]
    for step in range(count * count):
        down, along = (np.float32(part / count) for part in divmod(step, count))
        if step:
            top = first + along * (right - first)
            bottom = below + along * (across - below)
            _keep_nearest(nearest, *(top + down * (bottom - top)))


def _keep_nearest(
    nearest: Float32Array, columns: Float32Array, rows: Float32Array, inverse: Float32Array
) -> None:
    height, width = nearest.shape
    # Not rint, which rounds halves to even: 1.5 and 2.5 both become 2.
    u, v = (np.floor(part + np.float32(0.5)).astype(np.int64) for part in (columns, rows))
    inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
    np.minimum.at(nearest.reshape(-1), v[inside] * width + u[inside], 1 / inverse[inside])
