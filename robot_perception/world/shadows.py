"""How much light gets to a point: soft shadows of the lamp, and corners that little light enters.

They cost half a ray a pixel each: of sixteen neighbouring pixels eight, as on a chessboard, look at
points all over the lamp, and the mean is taken over those that show the same thing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
import math

import cv2
import numpy as np

from robot_perception.core import AnyArray, BoolArray, Float32Array, Int64Array
from robot_perception.world.raycast import Hits, RayCaster
from robot_perception.world.stage import Light, Stage

_SIDE = 4
_POINTS, _EIGHTHS = 64, 8
_OFF_SURFACE_M = 1.5e-3
_SKY_REACH_M = 0.35
_NEIGHBOURS = [(row, column) for row in (0, -1, 1) for column in (0, -1, 1)]
_WINDOW = [(row, column) for row in range(-2, 2) for column in range(-2, 2)]


@dataclass(frozen=True, slots=True, eq=False)
class Visibility:
    """How much of the light gets to N points.

    Attributes:
        lamp, sky: (N,) float32 in [0, 1].

    """

    lamp: Float32Array
    sky: Float32Array


@dataclass(frozen=True, slots=True, eq=False)
class ThingsSeen:
    """What each pixel of a picture shows, N = H W, and how much light gets there.

    Attributes:
        size_hw: rows and columns.
        thing: (N,) int64, as in `Hits`.
        visibility: of the point at the pixel's centre.

    """

    size_hw: tuple[int, int]
    thing: Int64Array
    visibility: Visibility

    def borrow(self, things: Int64Array, pixels: Int64Array) -> Visibility:
        """Visibility of points, from the nearest pixel that shows the same thing.

        Args:
            things: (M,) int64, what the points belong to.
            pixels: (M,) int64, the pixels they are in, row by row.

        """
        source = pixels.copy()
        lacking = np.arange(len(pixels))
        for step in _NEIGHBOURS:
            beside = _beside(pixels[lacking], step, self.size_hw)
            same = self.thing[beside] == things[lacking]
            source[lacking[same]] = beside[same]
            lacking = lacking[~same]
        return Visibility(self.visibility.lamp[source], self.visibility.sky[source])


def smooth_visibility(
    stage: Stage, caster: RayCaster, hits: Hits, size_hw: tuple[int, int]
) -> ThingsSeen:
    """Trace the light to the pixels of a picture."""
    asked, point = _pattern(size_hw)
    rays = np.flatnonzero(asked)
    raw = np.zeros((2, asked.size), np.float32)
    raw[:, rays] = _trace(caster, stage.light, hits, rays, point[rays])
    # Half of every window was asked.
    means = [2 * cv2.blur(values.reshape(size_hw), (_SIDE, _SIDE)).reshape(-1) for values in raw]
    thing = hits.thing.reshape(size_hw).astype(np.int16)
    rims = np.flatnonzero(_differs(thing, _SIDE))
    totals, count = np.zeros((2, len(rims)), np.float32), np.zeros(len(rims), np.float32)
    for step in _WINDOW:
        beside = _beside(rims, step, size_hw)
        same = asked[beside] & (hits.thing[beside] == hits.thing[rims])
        count += same
        totals += same * raw[:, beside]
    # What shows on one pixel that was not asked makes do with the mean of all.
    found = count > 0
    # The sky has no sharp shadows: blurred once more it has no blotches either.
    sky = cv2.blur(means[1].reshape(size_hw), (_SIDE + 1, _SIDE + 1)).reshape(-1)
    even = ~_differs(thing, 2 * _SIDE + 1).reshape(-1)
    means[1][even] = sky[even]
    for mean, total in zip(means, totals, strict=True):
        mean[rims[found]] = total[found] / count[found]
    return ThingsSeen(size_hw, hits.thing, Visibility(*means))


@lru_cache(maxsize=4)
def _pattern(size_hw: tuple[int, int]) -> tuple[BoolArray, Int64Array]:
    """Which pixels ask, (N,) bool, and the point of the unit ball that each asks for, (N,)."""
    row, column = np.indices(size_hw)
    asked = (row + column) % 2 == 0
    # Each window asks one of each eighth of the points; which one is another in the next window,
    # lest penumbras fall into bands.
    eighth = (row % _SIDE * 2 + column % _SIDE // 2) * 3 % _EIGHTHS
    member = _MEMBERS[row // _SIDE % len(_MEMBERS), column // _SIDE % len(_MEMBERS)]
    point: Int64Array = eighth * (_POINTS // _EIGHTHS) + member
    return asked.reshape(-1), point.reshape(-1)


def _differs(thing: AnyArray, side: int) -> BoolArray:
    """Whether a window of ``side`` pixels about each pixel shows more than one thing."""
    window = np.ones((side, side), np.uint8)
    differs: BoolArray = cv2.dilate(thing, window) != cv2.erode(thing, window)
    return differs


def _trace(
    caster: RayCaster, light: Light, hits: Hits, which: Int64Array, point: Int64Array
) -> tuple[Float32Array, Float32Array]:
    """One ray of some points towards the lamp, and one anywhere; the (M,) points of the unit ball say where."""
    normals = hits.normals[:, which]
    start = hits.points_m[:, which] + np.float32(_OFF_SURFACE_M) * normals
    ball = _SPHERE_POINTS[:, point]
    to_lamp = light.lamp_m.astype(np.float32)[:, None] + np.float32(light.radius_m) * ball - start
    # A point on the unit sphere about the normal's tip: directions by the cosine law.
    anywhere = (normals + np.float32(0.98) * ball) * np.float32(_SKY_REACH_M)
    return caster.sees(start, to_lamp), caster.sees(start, anywhere)


def _beside(pixels: Int64Array, step: tuple[int, int], size_hw: tuple[int, int]) -> Int64Array:
    """Pixels some rows and columns away, held within the picture."""
    height, width = size_hw
    row = np.clip(pixels // width + step[0], 0, height - 1)
    column = np.clip(pixels % width + step[1], 0, width - 1)
    beside: Int64Array = row * width + column
    return beside


def _fibonacci_sphere(count: int) -> Float32Array:
    """(3, count) points spread evenly over the unit sphere, from its top to its bottom."""
    number = np.arange(count)
    z = 1 - (2 * number + 1) / count
    turn = number * (math.pi * (3 - math.sqrt(5)))
    level = np.sqrt(1 - z * z)
    return np.stack([level * np.cos(turn), level * np.sin(turn), z]).astype(np.float32)


# Part of the vocabulary, like the sizes.
_MEMBERS = np.random.default_rng(64).integers(0, _POINTS // _EIGHTHS, (16, 16))
_SPHERE_POINTS = _fibonacci_sphere(_POINTS)
