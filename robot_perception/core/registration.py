"""Depth of one camera as another one sees it."""

from __future__ import annotations

import numpy as np

from robot_perception.core.arrays import BoolArray, Float32Array, Float64Array, Int64Array
from robot_perception.core.camera import CameraModel
from robot_perception.core.depth import MetricDepth
from robot_perception.core.distortion import DistortionModel
from robot_perception.core.errors import ShapeError
from robot_perception.core.pose import Pose

# A surface seen flatter than about 10 degrees is measured by no sensor: tan(80 degrees).
_STEEPEST = 5.7
# Noise of neighboring pixels on one surface, as a share of depth.
_NOISE = 0.01
# A square of the depth image that becomes larger than this many pixels is left open.
_MOST_STEPS = 16
# Points lie a little closer than pixels, so that no error of rounding leaves one out.
_CLOSER = 0.02
# A pixel whose ray is farther than this, in pixels, from the point was reached by a fold of the
# lens model.
_FOLDED = 1.5


def register_depth(
    depth: MetricDepth, depth_camera: CameraModel, camera: CameraModel, pose: Pose
) -> MetricDepth:
    """Measure again, from the place and with the lens of another camera.

    Every pixel of the depth image becomes a point, and the nearest point that falls into a pixel
    of the other image is its depth. Where that image is finer, or looks at a surface less
    flatly, points lie apart: between four neighbors on one surface, and only there, inverse
    depth is interpolated, which is exact on planes. Four neighbors lie on one surface when it
    is not steeper than 80 degrees. What the depth camera did not measure stays unknown.

    Args:
        depth: what was measured.
        depth_camera: calibration of its image.
        camera: calibration of the image that it is wanted for.
        pose: optical frame of ``camera`` from that of ``depth_camera``.

    Returns:
        Depth at the size of ``camera``, NaN where nothing measured is to be seen.

    Raises:
        ShapeError: depth and its calibration differ in size.

    """
    if depth.size_hw != depth_camera.size_hw:
        raise ShapeError(
            f'depth: expected the size of its calibration {depth_camera.size_hw}, got '
            f'{depth.size_hw} (rows, columns). Use the CameraInfo beside the depth.'
        )
    seen = _project(depth, depth_camera, camera, pose)
    nearest = np.full(camera.size_hw, np.inf, np.float32)
    known = np.isfinite(seen[2])
    _keep_nearest(nearest, *(part[known] for part in seen))
    steps = _steps(seen) * _on_one_surface(depth.meters, depth_camera.fx)
    for count in range(2, _MOST_STEPS + 1):
        rows, columns = np.nonzero(steps == count)
        if len(rows):
            _fill(nearest, seen, rows, columns, count)
    return MetricDepth.from_meters(nearest)


def _project(
    depth: MetricDepth, depth_camera: CameraModel, camera: CameraModel, pose: Pose
) -> Float32Array:
    """Columns, rows and inverse depths in the other image: (3, H, W), NaN where there is none."""
    points = np.empty((*depth.size_hw, 3))
    points[..., :2] = depth_camera.rays()
    points[..., 2] = 1
    points *= depth.meters[..., None]
    points = pose.apply(points)
    with np.errstate(all='ignore'):
        pixels = camera.project(points)
        seen = np.stack([pixels[..., 0], pixels[..., 1], 1 / points[..., 2]]).astype(np.float32)
    height, width = camera.size_hw
    lost = ~((seen[0] > -_MOST_STEPS) & (seen[0] < width + _MOST_STEPS))
    lost |= ~((seen[1] > -_MOST_STEPS) & (seen[1] < height + _MOST_STEPS))
    seen[:, lost] = np.nan
    if camera.distortion_model is not DistortionModel.NONE:
        seen[:, _folded(points, seen, camera)] = np.nan
    return seen


def _folded(points_m: Float64Array, seen: Float32Array, camera: CameraModel) -> BoolArray:
    """Points whose pixel does not look at them, or lies beside the image, where none can tell."""
    height, width = camera.size_hw
    columns, rows = np.rint(np.nan_to_num(seen[:2], nan=-1.0)).astype(np.int64)
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    folded: BoolArray = np.ones(inside.shape, np.bool_)
    rays = camera.rays()[rows[inside], columns[inside]]
    away = points_m[inside][:, :2] / points_m[inside][:, 2:] - rays
    # Farther out a lens packs more of the scene into a pixel: compare where the lens puts both.
    limit = _FOLDED / min(camera.fx, camera.fy) * (1 + (rays**2).sum(axis=1))
    folded[inside] = ~(np.abs(away).max(axis=1) < limit)
    return folded


def _on_one_surface(meters: Float32Array, focal: float) -> BoolArray:
    """Whether each square of four neighboring pixels shows one surface: (H - 1, W - 1)."""
    corners = meters[:-1, :-1], meters[:-1, 1:], meters[1:, :-1], meters[1:, 1:]
    low, high = np.minimum.reduce(corners), np.maximum.reduce(corners)
    together: BoolArray = high <= low * np.float32(1 + max(_NOISE, _STEEPEST / focal))
    return together


def _steps(seen: Float32Array) -> Float32Array:
    """Into how many parts the sides of each square must be cut to leave no pixel out."""
    right = np.abs(np.diff(seen[:2], axis=2)).sum(axis=0)
    down = np.abs(np.diff(seen[:2], axis=1)).sum(axis=0)
    longest = np.maximum.reduce([right[:-1], right[1:], down[:, :-1], down[:, 1:]])
    steps: Float32Array = np.ceil(np.nan_to_num(longest, nan=0.0) + _CLOSER)
    return steps


def _fill(
    nearest: Float32Array,
    seen: Float32Array,
    rows: Int64Array,
    columns: Int64Array,
    count: int,
) -> None:
    """Put ``count`` x ``count`` points into squares with the given top left corners."""
    first, right = seen[:, rows, columns], seen[:, rows, columns + 1]
    below, across = seen[:, rows + 1, columns], seen[:, rows + 1, columns + 1]
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
    # Not rint, which takes both neighbors of every second pixel to the same even one.
    u, v = (np.floor(part + np.float32(0.5)).astype(np.int64) for part in (columns, rows))
    inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
    np.minimum.at(nearest.reshape(-1), v[inside] * width + u[inside], 1 / inverse[inside])
