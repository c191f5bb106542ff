"""The ground: the lowest level surface that a camera sees."""

from __future__ import annotations

import math

import numpy as np

from robot_perception.core import CameraModel, Float64Array, MetricDepth, Plane

# Points are looked at on a grid of about so many columns: the ground is large.
_COLUMNS = 80
# Where nothing tells what is up, the ground is taken to be turned no further than this from the
# camera's own idea of level; a wall ahead is turned by 90 degrees.
_MOST_PITCH_DEG = 60.0
# Directions of surfaces within this of each other are one.
_ALIKE_DEG = 12.0
_MOST_CANDIDATES = 128
# Heights are counted in bins; a level surface fills one or two neighbours.
_BIN_M = 0.02
# A lower surface than the largest is the ground if it has this share of its points.
_LEAST_SHARE = 0.1
_LEAST_POINTS = 40
# Times the height of the camera; a network's metres may be off by so much.
_NEARER, _FARTHER = 0.6, 1.7
_REACH_M = 0.04


def find_ground(
    depth: MetricDepth,
    camera: CameraModel,
    up: Float64Array | None = None,
    height_m: float | None = None,
) -> Plane | None:
    """Find the ground.

    Neighbouring points give each place its normal. Without ``up``, up is the direction that most
    of the normals share, within 60 degrees of the camera's own: a camera that looks straight down
    needs to be told. Of the level places below the camera the lowest heap of heights is the ground;
    a plane is fitted to it by least squares. Where only a table is to be seen, that is taken for the
    ground, unless the height of the camera is known.

    Args:
        depth: metres.
        camera: calibration of the same size.
        up: (3,) float64 of length 1, away from the ground in the optical frame.
        height_m: of the camera above the ground, roughly: the ground lies between 0.6 and 1.7
            times as far below.

    Returns:
        The plane, its normal away from the ground; None where too little is level.

    """
    points, normals = _surface(depth, camera)
    if up is None:
        up = _shared_direction(normals)
        if up is None:
            return None
    level = points[normals @ up > math.cos(math.radians(_ALIKE_DEG))]
    heights = level @ up
    least, most = (
        (0.0, math.inf) if height_m is None else (_NEARER * height_m, _FARTHER * height_m)
    )
    lowest = _lowest_heap(heights[(-heights > least) & (-heights < most)])
    if lowest is None:
        return None
    return _fitted(level[np.abs(heights - lowest) <= _REACH_M], up)


def _surface(depth: MetricDepth, camera: CameraModel) -> tuple[Float64Array, Float64Array]:
    """Points on a grid and the directions that their surfaces face: (N, 3) float64 each."""
    step = max(1, depth.size_hw[1] // _COLUMNS)
    grid = (slice(step // 2, None, step), slice(step // 2, None, step))
    metres = depth.meters[grid].astype(np.float64)
    points = np.dstack([camera.rays()[grid] * metres[..., None], metres])
    across = points[1:-1, 2:] - points[1:-1, :-2]
    down = points[2:, 1:-1] - points[:-2, 1:-1]
    normals = np.cross(across, down)
    length = np.linalg.norm(normals, axis=-1)
    # Points that face the camera have normals against their rays.
    known = np.isfinite(length) & (length > 0)
    middles = points[1:-1, 1:-1][known]
    normals = normals[known] / length[known][:, None]
    normals *= -np.sign(np.einsum('ij,ij->i', normals, middles))[:, None]
    finite = np.isfinite(middles).all(axis=1)
    return middles[finite], normals[finite]


def _shared_direction(normals: Float64Array) -> Float64Array | None:
    upwards = normals[-normals[:, 1] > math.cos(math.radians(_MOST_PITCH_DEG))]
    if len(upwards) < _LEAST_POINTS:
        return None
    candidates = upwards[:: 1 + (len(upwards) - 1) // _MOST_CANDIDATES]
    alike = candidates @ upwards.T > math.cos(math.radians(_ALIKE_DEG))
    mean = upwards[alike[int(alike.sum(axis=1).argmax())]].mean(axis=0)
    direction: Float64Array = mean / np.linalg.norm(mean)
    return direction


def _lowest_heap(heights: Float64Array) -> float | None:
    """Middle of the lowest heap that is a surface, metres along up."""
    if len(heights) < _LEAST_POINTS:
        return None
    bins = np.floor(heights / _BIN_M).astype(np.int64)
    counts = np.bincount(bins - bins.min())
    heaps = np.convolve(counts, np.ones(3), 'same')
    enough = max(_LEAST_POINTS / 2, _LEAST_SHARE * heaps.max())
    first = int(np.argmax(heaps >= enough))
    if heaps[first] < enough:
        return None
    # Uphill from its foot to the top of the same heap.
    top = first + int(np.argmax(heaps[first : first + 3]))
    return float((top + bins.min() + 0.5) * _BIN_M)


def _fitted(points: Float64Array, up: Float64Array) -> Plane | None:
    middle = points.mean(axis=0)
    normal = np.linalg.svd(points - middle, full_matrices=False)[2][-1]
    normal = normal * math.copysign(1.0, float(normal @ up))
    if normal @ up < math.cos(math.radians(_ALIKE_DEG)):
        return None
    x, y, z = normal.tolist()
    return Plane((x, y, z), float(-(normal @ middle)))
