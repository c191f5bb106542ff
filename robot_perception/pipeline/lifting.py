"""From pixels of an object to its place in space."""

from __future__ import annotations

import math

import numpy as np

from robot_perception.core import (
    BoolArray,
    Box3D,
    CameraModel,
    Detections,
    Float32Array,
    Float64Array,
    Masks,
    MetricDepth,
    ObjectPosition,
)
from robot_perception.pipeline.outline import main_surface
from robot_perception.pipeline.strays import without_strays
from robot_perception.pipeline.upright_box import upright_box

# Fewer points say nothing about a size.
_MIN_POINTS = 12
# Depths further than this many robust standard deviations from the median are background seen
# through or beside the object. Depths spread evenly over an object lie within 2.
_MAX_DEVIATIONS = 3.0
# Median absolute deviation to standard deviation, for a normal distribution.
_MAD_TO_SIGMA = 1.4826
# Larger objects are looked at on a grid of every second, third ... pixel: the statistics stay, and
# the edges of the box move by less than one step of the grid.
_MAX_PIXELS = 16384
# A flat object has no spread; sensors and networks still wobble by about this share of depth.
_RELATIVE_NOISE = 0.01


def lift_objects(
    detections: Detections,
    masks: Masks | None,
    depth: MetricDepth,
    camera: CameraModel,
    up: Float64Array | None = None,
) -> tuple[ObjectPosition | None, ...]:
    """Find where each object is.

    Args:
        detections: N objects.
        masks: their pixels; without them the pixels of the boxes are used, of which the
            robust trimming keeps what lies near the median depth.
        depth: metres at the image's size.
        camera: calibration of the image.
        up: (3,) float64 of length 1, away from the ground in the optical frame; boxes are upright
            then, and otherwise have the camera's axes.

    Returns:
        N positions in the optical frame; None for an object with fewer than 12 pixels of known
        depth.

    """
    rays = camera.rays()
    positions = []
    for index in range(len(detections)):
        if masks is None:
            rows, columns = _window(detections.boxes_xyxy[index], depth.size_hw)
        else:
            # A mask may reach beyond its box.
            rows, columns = masks.window(index)
        window = _thinned(rows, columns)
        metres = depth.meters[window]
        inside = None
        if masks is not None:
            pixel = window[0].step / min(camera.fx, camera.fy)
            inside = main_surface(metres, masks.pixels[index][window], pixel)
        points = _points(rays[window], metres, inside)
        positions.append(None if points is None else _position(points, up))
    return tuple(positions)


def _thinned(rows: slice, columns: slice) -> tuple[slice, slice]:
    pixels = (rows.stop - rows.start) * (columns.stop - columns.start)
    step = 1 + math.isqrt(max(0, pixels - 1) // _MAX_PIXELS)
    return slice(rows.start, rows.stop, step), slice(columns.start, columns.stop, step)


def _window(box_xyxy: Float32Array, size_hw: tuple[int, int]) -> tuple[slice, slice]:
    """Pixels whose centres lie in the box."""
    left, top, right, bottom = (float(side) for side in box_xyxy)
    height, width = size_hw
    return (
        slice(max(0, math.ceil(top - 0.5)), max(0, min(height, math.ceil(bottom - 0.5)))),
        slice(max(0, math.ceil(left - 0.5)), max(0, min(width, math.ceil(right - 0.5)))),
    )


def _points(
    rays: Float32Array, metres: Float32Array, inside: BoolArray | None
) -> Float64Array | None:
    """Points about the median depth, (N, 3) float64; None for too few."""
    known = np.isfinite(metres) & np.isfinite(rays[..., 0])
    if inside is not None:
        known &= inside
    places = np.flatnonzero(known)
    if len(places) < _MIN_POINTS:
        return None
    z = metres.ravel()[places]
    kept = _about_the_median(z) if inside is None else without_strays(z, _gap(z))
    if not kept.all():
        places, z = places[kept], z[kept]
    if len(places) < _MIN_POINTS:
        return None
    # Axis by axis in memory, as everything that follows goes through them.
    points: Float64Array = np.empty((3, len(places))).T
    points[:, :2] = rays.reshape(-1, 2)[places]
    points[:, :2] *= z[:, None]
    points[:, 2] = z
    return points


def _about_the_median(z: Float32Array) -> BoolArray:
    """Depths of a box without a mask, in which the background may go on where the object ends."""
    median = np.median(z)
    distance = np.abs(z - median)
    deviation = _MAD_TO_SIGMA * np.median(distance)
    kept: BoolArray = distance <= _MAX_DEVIATIONS * max(deviation, _RELATIVE_NOISE * median)
    return kept


def _gap(z: Float32Array) -> float:
    """Narrowest gap between an object and a stray."""
    return float(_MAX_DEVIATIONS * _RELATIVE_NOISE * np.median(z))


def _position(points_m: Float64Array, up: Float64Array | None) -> ObjectPosition:
    """Describe (N, 3) points by centroid, spread and box."""
    centroid = points_m.mean(axis=0)
    offsets = points_m - centroid
    return ObjectPosition(
        depth_m=float(np.median(points_m[:, 2])),
        centroid_m=(float(centroid[0]), float(centroid[1]), float(centroid[2])),
        covariance_m2=offsets.T @ offsets / len(points_m),
        box=_level_box(points_m) if up is None else upright_box(points_m, up),
    )


def _level_box(points_m: Float64Array) -> Box3D:
    """Put a box along the camera's axes."""
    low, high = points_m.min(axis=0), points_m.max(axis=0)
    x, y, z = ((low + high) / 2).tolist()
    width, height, depth = (high - low).tolist()
    return Box3D(center_m=(x, y, z), size_m=(width, height, depth))
