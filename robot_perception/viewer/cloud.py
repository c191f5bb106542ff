"""A point cloud as a picture, drawn without a graphics driver.

The viewer stands a little above and to the side of the camera and looks at the middle of the
cloud, from as far as it takes to see nearly all of it.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from robot_perception.core import AnyArray, Float32Array, Int32Array, PointCloud, Rgb, UInt8Array
from robot_perception.viewer.text import draw_text, text_size_px, text_width

_YAW_DEG, _PITCH_DEG = 22, 14
_TAN_HALF_VIEW = math.tan(math.radians(24))
_NEAREST_M = 1e-3
_VISIBLE_PERCENT = 98
_ENDS = (1, 99)
_FILLED_SHARE = 0.92
_SMALLEST_SPAN = 1e-6
_MAX_SAMPLES = 1 << 15
_TOP: Rgb = (38, 41, 48)
_BOTTOM: Rgb = (14, 15, 18)
_LETTERS: Rgb = (232, 234, 238)
_DEPTH_STEPS = np.iinfo(np.uint16).max
_MAX_POINTS_PER_PIXEL = 2
_MAX_SPLAT = 6
_SHADE = 12.0
_DARKEST = 0.35


def draw_cloud(cloud: PointCloud, size_hw: tuple[int, int]) -> UInt8Array:
    """Draw a cloud as seen from a raised and turned viewpoint.

    Args:
        cloud: organized points; unknown ones are left out.
        size_hw: rows and columns of the picture wanted.

    Returns:
        (H, W, 3) uint8 rgb; the bare background with a note when no point is known.
    """
    picture = _background(size_hw)
    xyz, rgb = _known_points(cloud, size_hw)
    if len(xyz) == 0:
        return _note(picture, 'no point is known')
    columns, rows, depth = _project(_turn(xyz), size_hw)
    inside = (
        (depth > 0) & (columns >= 0) & (columns < size_hw[1]) & (rows >= 0) & (rows < size_hw[0])
    )
    columns, rows, depth = columns[inside], rows[inside], depth[inside]
    if len(depth) == 0:
        return picture
    far_first = _far_first(depth)
    cells = (rows.astype(np.intp) * size_hw[1] + columns.astype(np.intp))[far_first]
    winner = _splat(cells, size_hw, _splat_px(len(xyz), size_hw))
    hit = winner >= 0
    source = far_first[winner[hit]]
    near = np.full(size_hw, np.inf, np.float32)
    near[hit] = depth[source]
    picture[hit] = rgb[inside][source] * _shading(near)[hit][:, None]
    return picture


def _known_points(cloud: PointCloud, size_hw: tuple[int, int]) -> tuple[Float32Array, UInt8Array]:
    """Known points, thinned evenly when there are far more of them than pixels."""
    pixels = size_hw[0] * size_hw[1] * _MAX_POINTS_PER_PIXEL
    points = cloud.size_hw[0] * cloud.size_hw[1]
    step = max(1, math.ceil(math.sqrt(points / max(pixels, 1))))
    return PointCloud(cloud.xyz_m[::step, ::step], cloud.rgb[::step, ::step]).known()


def _turn(xyz: Float32Array) -> Float32Array:
    """Points about their middle, in the axes of the viewer: x right, y down, z away."""
    about_y, _ = cv2.Rodrigues(np.radians([0.0, _YAW_DEG, 0.0]))
    about_x, _ = cv2.Rodrigues(np.radians([_PITCH_DEG, 0.0, 0.0]))
    turned: Float32Array = xyz @ (about_x @ about_y).T.astype(np.float32)
    middle = np.percentile(_sample(turned), _ENDS, axis=0)
    turned -= middle.mean(axis=0).astype(np.float32)
    return turned


def _project(
    turned: Float32Array, size_hw: tuple[int, int]
) -> tuple[Float32Array, Float32Array, Float32Array]:
    """Columns, rows and depth of points, framed so that nearly all of them are seen."""
    x, y, z = turned.T
    needed = np.maximum(np.abs(x), np.abs(y)) / np.float32(_TAN_HALF_VIEW) - z
    distance = max(float(np.percentile(_sample(needed), _VISIBLE_PERCENT)), _NEAREST_M)
    depth = z + np.float32(distance)
    scale = 1 / np.where(depth > 0, depth, np.float32(np.inf))
    plane = np.stack([x * scale, y * scale], axis=-1)
    low, high = np.percentile(_sample(plane), _ENDS, axis=0)
    size_wh = np.array([size_hw[1], size_hw[0]])
    zoom = _FILLED_SHARE * float(np.min(size_wh / np.maximum(high - low, _SMALLEST_SPAN)))
    pixels = (plane - ((low + high) / 2).astype(np.float32)) * np.float32(zoom)
    pixels += (size_wh / 2).astype(np.float32)
    return pixels[:, 0], pixels[:, 1], depth


def _sample(values: Float32Array) -> Float32Array:
    """Every so many rows, enough for a percentile."""
    return values[:: math.ceil(len(values) / _MAX_SAMPLES)]


def _far_first(depth: Float32Array) -> Int32Array:
    """Order that draws near points last; steps of 16 bits sort several times faster."""
    low, high = float(depth.min()), float(depth.max())
    steps = (high - depth) * np.float32(_DEPTH_STEPS / max(high - low, 1e-6))
    order: Int32Array = np.argsort(
        np.clip(steps, 0, _DEPTH_STEPS).astype(np.uint16), kind='stable'
    ).astype(np.int32)
    return order


def _splat_px(points: int, size_hw: tuple[int, int]) -> int:
    """Side of the square that a point covers: larger when points are few."""
    return min(_MAX_SPLAT, math.ceil(1.3 * math.sqrt(size_hw[0] * size_hw[1] / points)))


def _splat(cells: AnyArray, size_hw: tuple[int, int], side: int) -> Int32Array:
    """Number of the nearest point on each pixel, -1 for none.

    Args:
        cells: (N,) flat pixel of each point, far points first.
        size_hw: rows and columns.
        side: of the square that a point covers.

    Returns:
        (H, W) int32.
    """
    nearest = np.full(size_hw, -1, np.int32)
    # Where several are written to one pixel the last stays: the nearest.
    nearest.reshape(-1)[cells] = np.arange(len(cells), dtype=np.int32)
    # A larger number is nearer, so a square splat is a maximum over its neighborhood, which
    # separates into rows and columns.
    for axis in (0, 1):
        source = nearest.copy()
        for shift in range(1, side):
            ahead, behind = (
                (np.s_[shift:], np.s_[:-shift])
                if axis == 0
                else (np.s_[:, shift:], np.s_[:, :-shift])
            )
            np.maximum(nearest[ahead], source[behind], out=nearest[ahead])
    return nearest


def _shading(depth: Float32Array) -> Float32Array:
    """Darken pixels behind their neighbors, which shows shape where colors do not.

    Args:
        depth: (H, W) distance from the viewer, infinite for the background.

    Returns:
        (H, W) float32 in (0, 1].
    """
    log_depth = np.log(depth)
    known = np.isfinite(log_depth)
    log_depth[~known] = log_depth[known].max()
    reach = max(1, min(depth.shape) // 300)
    # Nearest neighbor around each pixel minus the pixel: only what stands before it shades it.
    nearest = cv2.erode(log_depth, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    shade: Float32Array = np.exp(np.float32(_SHADE) * (nearest - log_depth))
    limited: Float32Array = np.maximum(shade, np.float32(_DARKEST))
    return limited


def _background(size_hw: tuple[int, int]) -> UInt8Array:
    shades = np.linspace(_TOP, _BOTTOM, size_hw[0]).round().astype(np.uint8)
    picture: UInt8Array = np.repeat(shades[:, None], size_hw[1], axis=1)
    return picture


def _note(picture: UInt8Array, text: str) -> UInt8Array:
    height, width = picture.shape[:2]
    size_px = text_size_px((height, width))
    left = (width - text_width(text, size_px)) // 2
    if left >= 0 and height >= 2 * size_px:
        draw_text(picture, text, (left, height // 2), size_px, _LETTERS)
    return picture
