"""Lifting of objects to 3D: from pixels and depth to position and box."""

from __future__ import annotations

import math

import numpy as np

from robot_perception.core import (
    BoolArray,
    Box3D,
    CameraModel,
    Depth,
    Detections,
    Float32Array,
    Float64Array,
    Masks,
    MetricDepth,
    ObjectPosition,
    SceneObject,
)
from robot_perception.pipeline.outliers import inlier_mask, median
from robot_perception.pipeline.surfaces import fill_unknown, main_surface
from robot_perception.pipeline.upright_box import upright_box
from robot_perception.pipeline.visibility import measure_visibility, Visibility

# Fewer points give no position.
_MIN_POINTS = 12
# Depths further than this many robust standard deviations from the median are background. Those of
# an object with uniformly distributed depths lie within 2.
_MAX_DEVIATIONS = 3.0
# Median absolute deviation to standard deviation, for a normal distribution.
_MAD_TO_SIGMA = 1.4826
# Larger objects are sampled on a grid of every second, third ... pixel: the statistics hardly
# change, and the edges of the box move by less than one step of the grid.
_MAX_PIXELS = 16384
# Noise of sensors and networks as a share of depth: the least spread that a flat object has.
_RELATIVE_NOISE = 0.01


def lift_objects(
    detections: Detections,
    masks: Masks | None,
    depth: MetricDepth,
    camera: CameraModel,
    gravity_up: Float64Array | None = None,
) -> tuple[ObjectPosition | None, ...]:
    """Compute the 3D position of each object.

    Args:
        detections: N objects.
        masks: their pixels; without masks, the pixels of each box whose depth is near the median.
        depth: meters at the image's size.
        camera: calibration of the image.
        gravity_up: (3,) float64 of length 1, away from the ground in the optical frame. With it
            boxes are upright, otherwise aligned with the camera's axes.

    Returns:
        N positions in the optical frame; None for an object with fewer than 12 pixels of known
        depth.
    """
    positions = []
    for index, box_xyxy in enumerate(detections.boxes_xyxy):
        if masks is None:
            window = _subsample(*_window(box_xyxy, depth.size_hw))
            points = _points(camera.rays_in(window), depth.meters[window], None)
            positions.append(None if points is None else _position(points, gravity_up))
            continue
        # A mask may reach beyond its box.
        rows, columns = window = _subsample(*masks.window(index))
        corner = np.array((columns.start, rows.start) * 2, np.float32)
        positions.append(
            _masked_position(
                camera.rays_in(window),
                depth.meters[window],
                masks.pixels[index][window],
                (box_xyxy - corner) / np.float32(rows.step),
                pixel=rows.step / min(camera.fx, camera.fy),
                gravity_up=gravity_up,
            )
        )
    return tuple(positions)


def _masked_position(
    rays: Float32Array,
    meters: Float32Array,
    mask: BoolArray,
    box_xyxy: Float32Array,
    *,
    pixel: float,
    gravity_up: Float64Array | None,
) -> ObjectPosition | None:
    """Compute the position of an object from the main surface of its mask, of one window.

    ``box_xyxy`` and ``pixel`` are those of `main_surface`.
    """
    filled = fill_unknown(meters)
    inside = main_surface(filled, mask, pixel, box_xyxy)
    points = _points(rays, meters, inside)
    if points is None or filled is meters:
        return None if points is None else _position(points, gravity_up)
    holes = inside & ~np.isfinite(meters)
    return _position(points, gravity_up, _points_in_holes(rays, filled, holes, points))


def _subsample(rows: slice, columns: slice) -> tuple[slice, slice]:
    """Return the window with steps that leave at most `_MAX_PIXELS` pixels."""
    pixels = (rows.stop - rows.start) * (columns.stop - columns.start)
    step = 1 + math.isqrt(max(0, pixels - 1) // _MAX_PIXELS)
    return slice(rows.start, rows.stop, step), slice(columns.start, columns.stop, step)


def _window(box_xyxy: Float32Array, size_hw: tuple[int, int]) -> tuple[slice, slice]:
    """Return the pixels whose centers lie in the box."""
    left, top, right, bottom = (float(side) for side in box_xyxy)
    height, width = size_hw
    return (
        slice(max(0, math.ceil(top - 0.5)), max(0, min(height, math.ceil(bottom - 0.5)))),
        slice(max(0, math.ceil(left - 0.5)), max(0, min(width, math.ceil(right - 0.5)))),
    )


def _points(
    rays: Float32Array, meters: Float32Array, inside: BoolArray | None
) -> Float64Array | None:
    """Compute the points of an object without outliers, (N, 3) float64; None for too few."""
    known = np.isfinite(meters) & np.isfinite(rays[..., 0])
    if inside is not None:
        known &= inside
    z = meters[known]
    if len(z) < _MIN_POINTS:
        return None
    kept = _near_median(z) if inside is None else inlier_mask(z, _min_gap(z))
    if not kept.all():
        known[known] = kept
        z = z[kept]
    if len(z) < _MIN_POINTS:
        return None
    # One axis after the other in memory, the order in which they are read below.
    points: Float64Array = np.empty((3, len(z))).T
    for axis in range(2):
        points[:, axis] = rays[..., axis][known]
    points[:, :2] *= z[:, None]
    points[:, 2] = z
    return points


def _points_in_holes(
    rays: Float32Array, filled: Float32Array, holes: BoolArray, points_m: Float64Array
) -> Float64Array:
    """Compute points at the pixels of ``holes`` in the range of depth of the others, (M, 3)."""
    z = filled[holes].astype(np.float64)
    points: Float64Array = np.concatenate([rays[holes] * z[:, None], z[:, None]], axis=1)
    within = (z >= points_m[:, 2].min()) & (z <= points_m[:, 2].max())
    kept: Float64Array = points[within & np.isfinite(points[:, 0])]
    return kept


def _near_median(z: Float32Array) -> BoolArray:
    """Return which depths of a box without a mask are near the median.

    Gaps are no criterion there: the background may begin at the depth where the object ends.
    """
    middle = median(z)
    distance = np.abs(z - middle)
    deviation = _MAD_TO_SIGMA * median(distance)
    kept: BoolArray = distance <= _MAX_DEVIATIONS * max(deviation, _RELATIVE_NOISE * middle)
    return kept


def _min_gap(z: Float32Array) -> float:
    """Return the narrowest gap in depth that separates outliers from the object, meters."""
    return _MAX_DEVIATIONS * _RELATIVE_NOISE * median(z)


def _position(
    points_m: Float64Array, gravity_up: Float64Array | None, in_holes_m: Float64Array | None = None
) -> ObjectPosition:
    """Summarize (N, 3) points by centroid, covariance and box.

    The (M, 3) points in holes of the depth count for the centroid alone: a side of the object that
    the sensor cannot measure would move it to the other.
    """
    mean = points_m.mean(axis=0)
    offsets = points_m - mean
    centroid = mean
    if in_holes_m is not None and len(in_holes_m):
        centroid = mean + (in_holes_m - mean).sum(axis=0) / (len(points_m) + len(in_holes_m))
    return ObjectPosition(
        depth_m=median(points_m[:, 2]),
        centroid_m=(float(centroid[0]), float(centroid[1]), float(centroid[2])),
        # BLAS takes twice as long for three columns.
        points_covariance_m2=np.einsum('ni,nj->ij', offsets, offsets) / len(points_m),
        box=_aligned_box(points_m) if gravity_up is None else upright_box(points_m, gravity_up),
    )


def _aligned_box(points_m: Float64Array) -> Box3D:
    """Return the box around points that is aligned with the camera's axes."""
    low, high = points_m.min(axis=0), points_m.max(axis=0)
    x, y, z = ((low + high) / 2).tolist()
    width, height, depth = (high - low).tolist()
    return Box3D(center_m=(x, y, z), size_m=(width, height, depth))


def locate_objects(
    detections: Detections | None,
    masks: Masks | None,
    depth: Depth | None,
    camera: CameraModel | None,
    up_vector: Float64Array | None,
) -> tuple[SceneObject, ...]:
    """Join each detection with its 3D position and its visibility, where they are known.

    Positions need metric depth and the calibration; ``up_vector`` is that of `lift_objects`.
    """
    if detections is None:
        return ()
    positions: tuple[ObjectPosition | None, ...] = (None,) * len(detections)
    if isinstance(depth, MetricDepth) and camera is not None:
        positions = lift_objects(detections, masks, depth, camera, up_vector)
    visibilities: tuple[Visibility, ...] = (Visibility(),) * len(detections)
    if masks is not None:
        visibilities = measure_visibility(masks, depth)
    return tuple(
        SceneObject.from_detections(
            detections,
            index,
            position,
            truncated=visibility.truncated,
            occluded=visibility.occluded,
        )
        for index, (position, visibility) in enumerate(zip(positions, visibilities, strict=True))
    )
