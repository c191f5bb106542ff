"""Depth as a stereo camera would measure it: noisy, in millimetres, with holes."""

from __future__ import annotations

import cv2
import numpy as np

from robot_perception.core import BoolArray, CameraModel, Float32Array, MetricDepth, UInt16Array

_NEAREST_M, _FARTHEST_M = 0.28, 4.0
_BASELINE_M = 0.05
# Stands for nothing.
_NOWHERE_M = 1e3
# Standard deviation at 1 m; that of a disparity grows with the square of the distance.
_NOISE_M = 0.0015
# A surface seen at a flatter angle than this sends nothing back.
_FLATTEST_SINE = 0.17
_EDGE_STEP = 0.03
_BEND = np.array([1, -2, 1], np.float32)
_EDGE_LOSS = 0.6
_BLOB_SHARE = 0.02
_BLOB_WIDTHS = 35


def sense_depth(depth: MetricDepth, camera: CameraModel, rng: np.random.Generator) -> UInt16Array:
    """Measure exact depth.

    Holes are where there is nothing, what is too near or too far, what the second eye cannot see
    beside a nearer edge, much of the rims themselves, surfaces seen at a flat angle, and blobs
    at random, as gloss makes them.

    Args:
        depth: (H, W), exact.
        camera: of the same size.
        rng: draws noise and blobs.

    Returns:
        (H, W) uint16, millimetres, 0 = unknown.

    """
    metres = np.nan_to_num(depth.meters, nan=_NOWHERE_M)
    noise = rng.standard_normal(metres.shape, np.float32) * np.float32(_NOISE_M)
    lost = ~((metres > _NEAREST_M) & (metres < _FARTHEST_M))
    lost |= _hidden_from_second_eye(metres, camera.fx)
    lost |= _rims(metres) & (rng.random(metres.shape, np.float32) < _EDGE_LOSS)
    lost |= _flat_angle(metres, camera)
    lost |= _blobs(metres.shape, rng)
    measured = np.where(lost, 0, metres)
    millimetres = (measured + noise * measured**2) * 1000
    rounded: UInt16Array = np.rint(np.clip(millimetres, 0, 65535)).astype(np.uint16)
    return rounded


def _hidden_from_second_eye(metres: Float32Array, fx: float) -> BoolArray:
    """Pixels whose place in the second picture a nearer one to their right takes."""
    place = np.arange(metres.shape[1], dtype=np.float32) - np.float32(fx * _BASELINE_M) / metres
    leftmost = np.minimum.accumulate(place[:, ::-1], axis=1)[:, ::-1]
    hidden: BoolArray = place > leftmost + np.float32(0.5)
    return hidden


def _rims(metres: Float32Array) -> BoolArray:
    """Pixels beside a step in depth. Of a plane the inverse depth is even: it has none."""
    inverse = 1 / metres
    bend = [cv2.filter2D(inverse, -1, kernel) for kernel in (_BEND[None], _BEND[:, None])]
    rims: BoolArray = np.maximum(*np.abs(bend)) * metres > _EDGE_STEP
    return rims


def _flat_angle(metres: Float32Array, camera: CameraModel) -> BoolArray:
    """Whether surface and ray meet at a flat angle, from the points beside each pixel."""
    rays = np.dstack([camera.rays(), np.ones(metres.shape, np.float32)])
    points = rays * metres[..., None]
    normals = np.cross(_step(points, 1), _step(points, 0))
    length = np.sqrt((normals**2).sum(axis=2) * (rays**2).sum(axis=2))
    sine = np.abs((normals * rays).sum(axis=2)) / np.maximum(length, 1e-12)
    flat: BoolArray = sine < _FLATTEST_SINE
    return flat


def _step(points: Float32Array, axis: int) -> Float32Array:
    """Way to the neighbour on one side or the other: the one that is on the same surface."""
    steps = np.diff(points, axis=axis)
    first, last = np.take(steps, [0], axis), np.take(steps, [-1], axis)
    before = np.concatenate([first, steps], axis=axis)
    after = np.concatenate([steps, last], axis=axis)
    return np.where(np.abs(before[..., 2:]) < np.abs(after[..., 2:]), before, after)


def _blobs(shape: tuple[int, ...], rng: np.random.Generator) -> BoolArray:
    sigma = shape[1] / _BLOB_WIDTHS / 2
    cloud = cv2.GaussianBlur(rng.standard_normal(shape, np.float32), (0, 0), sigma)
    blobs: BoolArray = cloud > np.quantile(cloud, 1 - _BLOB_SHARE)
    return blobs
