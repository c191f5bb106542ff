"""How much light gets to a point: soft shadows of the lamp, and corners that little light enters.

They cost one ray a pixel each: sixteen neighbouring pixels look at sixteen points of the lamp, and
the mean is taken over those of the sixteen that show the same thing.
"""

from __future__ import annotations

from dataclasses import dataclass
import math

import cv2
import numpy as np

from robot_perception.core.arrays import Float32Array, Int64Array
from robot_perception.world.raycast import Hits, RayCaster
from robot_perception.world.stage import Light, Stage

_SIDE = 4
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


def smooth_visibility(
    stage: Stage, caster: RayCaster, hits: Hits, size_hw: tuple[int, int]
) -> Visibility:
    """Visibility of each pixel of a picture, N = H W."""
    height, width = size_hw
    row, column = np.arange(height) % _SIDE, np.arange(width) % _SIDE
    raw = _trace(caster, stage.light, hits, (row[:, None] * _SIDE + column).reshape(-1))
    thing = hits.thing.reshape(size_hw).astype(np.int16)
    window = np.ones((_SIDE, _SIDE), np.uint8)
    rims = np.flatnonzero(cv2.dilate(thing, window) != cv2.erode(thing, window))
    means = [cv2.blur(values.reshape(size_hw), (_SIDE, _SIDE)).reshape(-1) for values in raw]
    totals, count = np.zeros((2, len(rims)), np.float32), np.zeros(len(rims), np.float32)
    for step in _WINDOW:
        beside = _beside(rims, step, size_hw)
        same = (hits.thing[beside] == hits.thing[rims]).astype(np.float32)
        count += same
        for total, values in zip(totals, raw, strict=True):
            total += same * values[beside]
    for mean, total in zip(means, totals, strict=True):
        mean[rims] = total / count
    return Visibility(*means)


def borrow_visibility(
    things: Int64Array,
    pixels: Int64Array,
    thing_map: Int64Array,
    seen: Visibility,
    size_hw: tuple[int, int],
) -> Visibility:
    """Visibility of points within pixels, from the nearest pixel that shows the same thing.

    Args:
        things: (M,) int64, what the points belong to.
        pixels: (M,) int64, the pixels they are in, row by row.
        thing_map: (N,) int64, what each pixel shows at its centre.
        seen: visibility there.
        size_hw: rows and columns.

    """
    source = pixels.copy()
    open_ = np.arange(len(pixels))
    for step in _NEIGHBOURS:
        beside = _beside(pixels[open_], step, size_hw)
        same = thing_map[beside] == things[open_]
        source[open_[same]] = beside[same]
        open_ = open_[~same]
    return Visibility(seen.lamp[source], seen.sky[source])


def _trace(
    caster: RayCaster, light: Light, hits: Hits, phase: Int64Array
) -> tuple[Float32Array, Float32Array]:
    """One ray of each point towards the lamp, and one anywhere; the (N,) phase says which."""
    start = hits.points_m + np.float32(_OFF_SURFACE_M) * hits.normals
    ball = _SPHERE_POINTS[:, phase]
    to_lamp = light.lamp_m.astype(np.float32)[:, None] + np.float32(light.radius_m) * ball - start
    # A point on the unit sphere about the normal's tip: directions by the cosine law.
    anywhere = (hits.normals + np.float32(0.98) * ball) * np.float32(_SKY_REACH_M)
    return caster.sees(start, to_lamp), caster.sees(start, anywhere)


def _beside(pixels: Int64Array, step: tuple[int, int], size_hw: tuple[int, int]) -> Int64Array:
    """Pixels some rows and columns away, held within the picture."""
    height, width = size_hw
    row = np.clip(pixels // width + step[0], 0, height - 1)
    column = np.clip(pixels % width + step[1], 0, width - 1)
    beside: Int64Array = row * width + column
    return beside


def _fibonacci_sphere(count: int) -> Float32Array:
    """(3, count) points spread evenly over the unit sphere, neighbours far apart in order."""
    number = (np.arange(count) * 7) % count
    z = 1 - (2 * number + 1) / count
    turn = number * (math.pi * (3 - math.sqrt(5)))
    level = np.sqrt(1 - z * z)
    return np.stack([level * np.cos(turn), level * np.sin(turn), z]).astype(np.float32)


_SPHERE_POINTS = _fibonacci_sphere(_SIDE * _SIDE)
