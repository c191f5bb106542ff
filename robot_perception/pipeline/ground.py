"""Detection of the ground plane: the lowest horizontal surface in a depth image."""

from __future__ import annotations

import math

import numpy as np

from robot_perception.core import CameraModel, Depth, Float64Array, MetricDepth, Plane

# Points are sampled on a grid of about this many columns, since the ground is large.
_COLUMNS = 80
# Without a known gravity direction, the most that the ground's normal may deviate from the up axis
# of the camera; that of a wall ahead deviates by 90 degrees.
_MAX_TILT_DEG = 60.0
# Normals within this angle are of one direction.
_SAME_DIRECTION_DEG = 12.0
_MAX_CANDIDATES = 128
# Heights are counted in bins; a horizontal surface fills one or two neighboring ones.
_BIN_M = 0.02
# A surface below the largest one is the ground if it has this share of the largest one's points.
_MIN_SHARE = 0.1
_MIN_POINTS = 40
# Range of plausible distances as factors of a known camera height: the scale error of a network.
_MIN_FACTOR, _MAX_FACTOR = 0.6, 1.7
# Points within this height of the peak belong to the ground.
_TOLERANCE_M = 0.04


def find_ground(
    depth: Depth | None,
    camera: CameraModel | None,
    gravity_up: Float64Array | None = None,
    height_m: float | None = None,
) -> Plane | None:
    """Find the ground plane.

    Normals are computed from neighboring points. Without ``gravity_up``, up is the most common
    normal within 60 degrees of the camera's up axis, so a camera that looks straight down needs
    ``gravity_up``. Among the horizontal points below the camera, the lowest peak in the histogram
    of heights is the ground; a plane is fitted to it by least squares. If only a table is visible,
    it is taken for the ground unless the height of the camera is known.

    Args:
        depth: metric depth; without it there is no plane.
        camera: calibration of the same size; without it there is no plane.
        gravity_up: (3,) float64 of length 1, away from the ground in the optical frame.
        height_m: rough height of the camera above the ground, whose distance must be between 0.6
            and 1.7 times as large.

    Returns:
        The plane, its normal away from the ground; None if too few points are horizontal.
    """
    if camera is None or not isinstance(depth, MetricDepth):
        return None
    points, normals = _surface(depth, camera)
    if gravity_up is None:
        gravity_up = _dominant_up(normals)
    if gravity_up is None:
        return None
    horizontal = points[normals @ gravity_up > math.cos(math.radians(_SAME_DIRECTION_DEG))]
    heights = horizontal @ gravity_up
    nearest, farthest = (
        (0.0, math.inf) if height_m is None else (_MIN_FACTOR * height_m, _MAX_FACTOR * height_m)
    )
    ground = _lowest_peak(heights[(-heights > nearest) & (-heights < farthest)])
    if ground is None:
        return None
    return _fit_plane(horizontal[np.abs(heights - ground) <= _TOLERANCE_M], gravity_up)


def _surface(depth: MetricDepth, camera: CameraModel) -> tuple[Float64Array, Float64Array]:
    """Compute points on a grid and their normals: (N, 3) float64 each."""
    step = max(1, depth.size_hw[1] // _COLUMNS)
    grid = (slice(step // 2, None, step), slice(step // 2, None, step))
    meters = depth.meters[grid].astype(np.float64)
    points = np.dstack([camera.rays_in(grid) * meters[..., None], meters])
    across = points[1:-1, 2:] - points[1:-1, :-2]
    down = points[2:, 1:-1] - points[:-2, 1:-1]
    normals = np.cross(across, down)
    length = np.linalg.norm(normals, axis=-1)
    # Visible surfaces have normals against their rays.
    known = np.isfinite(length) & (length > 0)
    centers = points[1:-1, 1:-1][known]
    normals = normals[known] / length[known][:, None]
    normals *= -np.sign(np.einsum('ij,ij->i', normals, centers))[:, None]
    finite = np.isfinite(centers).all(axis=1)
    return centers[finite], normals[finite]


def _dominant_up(normals: Float64Array) -> Float64Array | None:
    """Return the most common direction of the normals that point upwards, of length 1."""
    upwards = normals[-normals[:, 1] > math.cos(math.radians(_MAX_TILT_DEG))]
    if len(upwards) < _MIN_POINTS:
        return None
    candidates = upwards[:: 1 + (len(upwards) - 1) // _MAX_CANDIDATES]
    same = candidates @ upwards.T > math.cos(math.radians(_SAME_DIRECTION_DEG))
    mean = upwards[same[int(same.sum(axis=1).argmax())]].mean(axis=0)
    direction: Float64Array = mean / np.linalg.norm(mean)
    return direction


def _lowest_peak(heights: Float64Array) -> float | None:
    """Return the height of the lowest peak that is large enough for a surface, meters."""
    if len(heights) < _MIN_POINTS:
        return None
    bins = np.floor(heights / _BIN_M).astype(np.int64)
    counts = np.bincount(bins - bins.min())
    sums = np.convolve(counts, np.ones(3), 'same')
    enough = max(_MIN_POINTS / 2, _MIN_SHARE * sums.max())
    first = int(np.argmax(sums >= enough))
    if sums[first] < enough:
        return None
    # From the first bin that is high enough to the maximum of the same peak.
    peak = first + int(np.argmax(sums[first : first + 3]))
    return float((peak + bins.min() + 0.5) * _BIN_M)


def _fit_plane(points: Float64Array, gravity_up: Float64Array) -> Plane | None:
    centroid = points.mean(axis=0)
    normal = np.linalg.svd(points - centroid, full_matrices=False)[2][-1]
    normal = normal * math.copysign(1.0, float(normal @ gravity_up))
    if normal @ gravity_up < math.cos(math.radians(_SAME_DIRECTION_DEG)):
        return None
    x, y, z = normal.tolist()
    return Plane((x, y, z), float(-(normal @ centroid)))
