"""Soft shadows: how much of the lamp and of the ambient light reaches each pixel.

Costs one ray per light and two pixels: in each 4 x 4 window a checkerboard of eight pixels samples
points all over the lamp, and the mean is taken over the pixels that show the same prop.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
import math

import cv2
import numpy as np

from robot_perception.core import AnyArray, BoolArray, Float32Array, Int64Array
from robot_perception.world.raycast import Hits, RayCaster
from robot_perception.world.scene_spec import Light, SceneSpec

_SIDE = 4
_POINTS, _EIGHTHS = 64, 8
_OFF_SURFACE_M = 1.5e-3
_SKY_REACH_M = 0.35
_NEIGHBORS = [(row, column) for row in (0, -1, 1) for column in (0, -1, 1)]
_WINDOW = [(row, column) for row in range(-2, 2) for column in range(-2, 2)]


@dataclass(frozen=True, slots=True, eq=False)
class LightVisibility:
    """Visible fraction of lamp and sky at N points: (N,) float32, 0 (full shadow) to 1."""

    lamp: Float32Array
    sky: Float32Array


@dataclass(frozen=True, slots=True, eq=False)
class VisibilityMap:
    """Light visibility of the N = H W pixels of an image.

    Attributes:
        size_hw: rows and columns.
        prop_ids: (N,) int64, as in `Hits`.
        visibility: at the point in the center of each pixel.
    """

    size_hw: tuple[int, int]
    prop_ids: Int64Array
    visibility: LightVisibility

    def sample(self, prop_ids: Int64Array, pixels: Int64Array) -> LightVisibility:
        """Return the visibility of M points, each from the nearest pixel that shows its prop.

        ``pixels`` are those the points are in, (M,) int64, row-major.
        """
        source = pixels.copy()
        missing = np.arange(len(pixels))
        for step in _NEIGHBORS:
            neighbor = _neighbor(pixels[missing], step, self.size_hw)
            same = self.prop_ids[neighbor] == prop_ids[missing]
            source[missing[same]] = neighbor[same]
            missing = missing[~same]
        return LightVisibility(self.visibility.lamp[source], self.visibility.sky[source])


def estimate_visibility(
    scene: SceneSpec, caster: RayCaster, hits: Hits, size_hw: tuple[int, int]
) -> VisibilityMap:
    """Estimate the light visibility of all pixels by shadow rays."""
    sampled, point = _pattern(size_hw)
    rays = np.flatnonzero(sampled)
    raw = np.zeros((2, sampled.size), np.float32)
    raw[:, rays] = _trace(caster, scene.light, hits, rays, point[rays])
    # Half of the pixels of every window were sampled.
    means = [2 * cv2.blur(values.reshape(size_hw), (_SIDE, _SIDE)).reshape(-1) for values in raw]
    prop_ids = hits.prop_ids.reshape(size_hw).astype(np.int16)
    boundary = np.flatnonzero(_differs(prop_ids, _SIDE))
    totals, count = np.zeros((2, len(boundary)), np.float32), np.zeros(len(boundary), np.float32)
    for step in _WINDOW:
        neighbor = _neighbor(boundary, step, size_hw)
        same = sampled[neighbor] & (hits.prop_ids[neighbor] == hits.prop_ids[boundary])
        count += same
        totals += same * raw[:, neighbor]
    # A prop without any sampled pixel in the window keeps the mean of all pixels.
    found = count > 0
    # Ambient shadows are soft: a second blur removes blotches.
    sky = cv2.blur(means[1].reshape(size_hw), (_SIDE + 1, _SIDE + 1)).reshape(-1)
    even = ~_differs(prop_ids, 2 * _SIDE + 1).reshape(-1)
    means[1][even] = sky[even]
    for mean, total in zip(means, totals, strict=True):
        mean[boundary[found]] = total[found] / count[found]
    return VisibilityMap(size_hw, hits.prop_ids, LightVisibility(*means))


@lru_cache(maxsize=4)
def _pattern(size_hw: tuple[int, int]) -> tuple[BoolArray, Int64Array]:
    """Compute which pixels cast shadow rays, (N,) bool, and toward which sphere point, (N,)."""
    row, column = np.indices(size_hw)
    sampled = (row + column) % 2 == 0
    # Stratified: each window takes one point of each eighth; the choice varies between windows to
    # avoid banding in penumbras.
    eighth = (row % _SIDE * 2 + column % _SIDE // 2) * 3 % _EIGHTHS
    member = _MEMBERS[row // _SIDE % len(_MEMBERS), column // _SIDE % len(_MEMBERS)]
    point: Int64Array = eighth * (_POINTS // _EIGHTHS) + member
    return sampled.reshape(-1), point.reshape(-1)


def _differs(prop_ids: AnyArray, side: int) -> BoolArray:
    """Return whether the window of ``side`` pixels about each pixel shows several props."""
    window = np.ones((side, side), np.uint8)
    differs: BoolArray = cv2.dilate(prop_ids, window) != cv2.erode(prop_ids, window)
    return differs


def _trace(
    caster: RayCaster, light: Light, hits: Hits, which: Int64Array, point: Int64Array
) -> tuple[Float32Array, Float32Array]:
    """Cast one ray toward the lamp and one ambient ray per point; return both visibilities."""
    normals = hits.normals[:, which]
    start = hits.points_m[:, which] + np.float32(_OFF_SURFACE_M) * normals
    ball = _SPHERE_POINTS[:, point]
    to_lamp = light.lamp_m.astype(np.float32)[:, None] + np.float32(light.radius_m) * ball - start
    # A point on the unit sphere about the tip of the normal: cosine-weighted directions.
    ambient = (normals + np.float32(0.98) * ball) * np.float32(_SKY_REACH_M)
    return caster.unoccluded(start, to_lamp), caster.unoccluded(start, ambient)


def _neighbor(pixels: Int64Array, step: tuple[int, int], size_hw: tuple[int, int]) -> Int64Array:
    """Return the pixels at an offset, clamped to the image."""
    height, width = size_hw
    row = np.clip(pixels // width + step[0], 0, height - 1)
    column = np.clip(pixels % width + step[1], 0, width - 1)
    neighbor: Int64Array = row * width + column
    return neighbor


def _fibonacci_sphere(count: int) -> Float32Array:
    """Compute (3, count) points evenly on the unit sphere, from top to bottom."""
    number = np.arange(count)
    z = 1 - (2 * number + 1) / count
    turn = number * (math.pi * (3 - math.sqrt(5)))
    level = np.sqrt(1 - z * z)
    return np.stack([level * np.cos(turn), level * np.sin(turn), z]).astype(np.float32)


# Fixed like the vocabulary: a change alters all images.
_MEMBERS = np.random.default_rng(64).integers(0, _POINTS // _EIGHTHS, (16, 16))
_SPHERE_POINTS = _fibonacci_sphere(_POINTS)
