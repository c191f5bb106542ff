"""Simulated stereo depth camera: noise, quantization to millimeters, and holes."""

from __future__ import annotations

import cv2
import numpy as np

from robot_perception.core import BoolArray, CameraModel, Float32Array, MetricDepth, UInt16Array
from robot_perception.world.scene_spec import RandomStream

_MIN_DEPTH_M, _MAX_DEPTH_M = 0.28, 4.0
_BASELINE_M = 0.05
# Stands for no surface.
_FAR_M = 1e3
# Standard deviation at 1 m; it grows with the square of the distance.
_NOISE_M = 0.0015
# Surfaces at a smaller grazing angle return no depth.
_MIN_GRAZING_SINE = 0.17
_EDGE_STEP = 0.03
_SECOND_DIFFERENCE = np.array([1, -2, 1], np.float32)
_EDGE_LOSS = 0.6
_BLOB_SHARE = 0.02
_BLOB_WIDTHS = 35


def depth_sensor_rng(seed: int, index: int = 0) -> np.random.Generator:
    """Return the random numbers of the depth sensor for a frame of the sequence of a seed."""
    return np.random.default_rng([seed, RandomStream.DEPTH, index])


def sense_depth(depth: MetricDepth, camera: CameraModel, rng: np.random.Generator) -> UInt16Array:
    """Simulate the measurement of exact depth, (H, W) uint16 in millimeters, 0 = unknown.

    Holes are pixels without a surface, too near or too far, occluded in the second image beside a
    nearer edge, most pixels at depth edges, surfaces at a grazing angle, and random blobs, such as
    specular reflections cause. The camera has the size of the depth.
    """
    meters = np.nan_to_num(depth.meters, nan=_FAR_M)
    noise = rng.standard_normal(meters.shape, np.float32) * np.float32(_NOISE_M)
    holes = ~((meters > _MIN_DEPTH_M) & (meters < _MAX_DEPTH_M))
    holes |= _occluded_in_second_image(meters, camera.fx)
    holes |= _depth_edges(meters) & (rng.random(meters.shape, np.float32) < _EDGE_LOSS)
    holes |= _grazing_angle(meters, camera)
    holes |= _blobs(meters.shape, rng)
    measured = np.where(holes, 0, meters)
    millimeters = (measured + noise * measured**2) * 1000
    rounded: UInt16Array = np.rint(np.clip(millimeters, 0, 65535)).astype(np.uint16)
    return rounded


def _occluded_in_second_image(meters: Float32Array, fx: float) -> BoolArray:
    """Find pixels that a nearer pixel to their right occludes in the second image."""
    column = np.arange(meters.shape[1], dtype=np.float32) - np.float32(fx * _BASELINE_M) / meters
    leftmost = np.minimum.accumulate(column[:, ::-1], axis=1)[:, ::-1]
    occluded: BoolArray = column > leftmost + np.float32(0.5)
    return occluded


def _depth_edges(meters: Float32Array) -> BoolArray:
    """Find pixels beside a step in depth; on a plane the inverse depth is linear."""
    inverse = 1 / meters
    curvature = [
        cv2.filter2D(inverse, -1, kernel)
        for kernel in (_SECOND_DIFFERENCE[None], _SECOND_DIFFERENCE[:, None])
    ]
    edges: BoolArray = np.maximum(*np.abs(curvature)) * meters > _EDGE_STEP
    return edges


def _grazing_angle(meters: Float32Array, camera: CameraModel) -> BoolArray:
    """Find surfaces at a grazing angle, with normals from the neighbors of each pixel."""
    rays = np.dstack([camera.rays(), np.ones(meters.shape, np.float32)])
    points = rays * meters[..., None]
    normals = np.cross(_step(points, 1), _step(points, 0))
    length = np.sqrt((normals**2).sum(axis=2) * (rays**2).sum(axis=2))
    sine = np.abs((normals * rays).sum(axis=2)) / np.maximum(length, 1e-12)
    grazing: BoolArray = sine < _MIN_GRAZING_SINE
    return grazing


def _step(points: Float32Array, axis: int) -> Float32Array:
    """Compute the difference to the neighbor along an axis that is nearer in depth."""
    steps = np.diff(points, axis=axis)
    first, last = np.take(steps, [0], axis), np.take(steps, [-1], axis)
    before = np.concatenate([first, steps], axis=axis)
    after = np.concatenate([steps, last], axis=axis)
    return np.where(np.abs(before[..., 2:]) < np.abs(after[..., 2:]), before, after)


def _blobs(shape: tuple[int, ...], rng: np.random.Generator) -> BoolArray:
    sigma = shape[1] / _BLOB_WIDTHS / 2
    field = cv2.GaussianBlur(rng.standard_normal(shape, np.float32), (0, 0), sigma)
    blobs: BoolArray = field > np.quantile(field, 1 - _BLOB_SHARE)
    return blobs
