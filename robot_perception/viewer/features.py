"""Patch features as colors: their three strongest directions are red, green and blue."""

from __future__ import annotations

import cv2
import numpy as np

from robot_perception.core import Float32Array, Float64Array, SceneFeatures, UInt8Array

_CHANNELS = 3
_LOW_PERCENT, _HIGH_PERCENT = 1, 99
_MIDDLE_GRAY = 128
# Differences this small against the values, which are float32, are rounding and stay gray.
_ROUNDING = 1e-6


def draw_features(features: SceneFeatures, size_hw: tuple[int, int]) -> UInt8Array:
    """Color an image by what its patches look like to the encoder.

    Patches of like color are alike. Colors of two pictures cannot be compared: each picture
    has its own directions.

    Args:
        features: patch grid of any size; a grid whose patches are all equal becomes gray.
        size_hw: rows and columns of the picture wanted.

    Returns:
        (H, W, 3) uint8 rgb.
    """
    rows, columns = features.grid_hw
    if features.patches.size == 0:
        return np.full((*size_hw, _CHANNELS), _MIDDLE_GRAY, np.uint8)
    components = principal_components(features.patches.reshape(rows * columns, -1))
    grid = _to_bytes(components).reshape(rows, columns, _CHANNELS)
    height, width = size_hw
    picture: UInt8Array = cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    return picture


def principal_components(patches: Float32Array) -> Float64Array:
    """Project patches on the three directions in which they vary most.

    Args:
        patches: (N, C) float32, N >= 1.

    Returns:
        (N, 3) float64, strongest first, each with mean 0; zeros where there are fewer than
        three directions. The sign makes the entry of largest size in a direction positive, so
        that the result does not depend on the linear algebra library.
    """
    centered = patches.astype(np.float64)
    centered -= centered.mean(axis=0)
    components = np.zeros((len(centered), _CHANNELS))
    noise_floor = _ROUNDING * float(np.linalg.norm(patches))
    directions = _directions(centered, noise_floor)
    components[:, : len(directions)] = centered @ directions.T
    return components


def _directions(centered: Float64Array, noise_floor: float) -> Float64Array:
    """Unit directions of most variance, (K, C) with K <= 3, strongest first."""
    count, length = centered.shape
    # The smaller of the two Gram matrices has the same spectrum and is ten times cheaper than
    # the singular values of the whole.
    wide = length > count
    gram = centered @ centered.T if wide else centered.T @ centered
    variances, vectors = np.linalg.eigh(gram)
    strongest = vectors[:, ::-1][:, :_CHANNELS].T
    spread = np.sqrt(np.clip(variances[::-1][:_CHANNELS], 0, None))
    strongest = strongest[spread > noise_floor]
    directions: Float64Array = strongest @ centered if wide else strongest
    directions = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    largest = np.abs(directions).argmax(axis=1)
    signs = np.sign(directions[np.arange(len(directions)), largest])
    stable: Float64Array = directions * signs[:, None]
    return stable


def _to_bytes(components: Float64Array) -> UInt8Array:
    low, high = np.percentile(components, (_LOW_PERCENT, _HIGH_PERCENT), axis=0)
    span = np.where(high > low, high - low, 1)
    scaled = np.where(high > low, (components - low) / span, 0.5)
    levels: UInt8Array = np.rint(np.clip(scaled, 0, 1) * 255).astype(np.uint8)
    return levels
