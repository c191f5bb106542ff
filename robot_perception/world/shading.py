"""How bright a point is: a lamp, light from all sides, highlights."""

from __future__ import annotations

import numpy as np

from robot_perception.core import Float32Array
from robot_perception.world.raycast import Hits, NOTHING
from robot_perception.world.shadows import Visibility
from robot_perception.world.stage import Stage

_SHININESS_DOUBLINGS = 5
_BACKGROUND = 0.75


def radiance(
    stage: Stage,
    eye_m: Float32Array,
    directions: Float32Array,
    hits: Hits,
    seen: Visibility,
    *,
    pixel: float,
) -> Float32Array:
    """Light that comes back along each ray.

    Args:
        stage: things and lamp.
        eye_m: (3,) float32, where the rays began.
        directions: (3, N) float32.
        hits: what they met.
        seen: how much light gets there.
        pixel: width of a pixel at a distance of 1, to choose how fine textures are.

    Returns:
        (3, N) float32, 1 = white.

    """
    colors, gloss = _paint(stage, hits, pixel)
    light, normals = stage.light, hits.normals
    to_lamp = light.lamp_m.astype(np.float32)[:, None] - hits.points_m
    square = _dot(to_lamp, to_lamp)
    to_lamp /= np.sqrt(square)
    facing = np.clip(_dot(normals, to_lamp), 0, None)
    near = np.minimum(np.float32(light.reach_m**2) / square, np.float32(2.5))
    lamp = facing * near * seen.lamp
    upward = (normals[2] + 1) * np.float32(0.5)
    sky = np.float32(0.25) + np.float32(0.75) * seen.sky
    shine = _highlight(eye_m, hits, to_lamp) * gloss * near * seen.lamp
    result = np.empty_like(colors)
    for channel in range(3):
        ambient = light.ground[channel] + (light.sky[channel] - light.ground[channel]) * upward
        lit = colors[channel] * (light.lamp[channel] * lamp + ambient * sky)
        result[channel] = lit + light.lamp[channel] * shine
    empty = hits.thing == NOTHING
    if empty.any():
        climb = directions[2, empty] / np.sqrt(_dot(directions[:, empty], directions[:, empty]))
        result[:, empty] = light.sky[:, None] * (_BACKGROUND + np.float32(0.5) * climb)
    return result


def _paint(stage: Stage, hits: Hits, pixel: float) -> tuple[Float32Array, Float32Array]:
    """Colour (3, N) and gloss (N,) of every point, thing by thing."""
    colors = np.zeros_like(hits.points_m)
    gloss = np.zeros_like(hits.reach)
    order = np.argsort(hits.thing, kind='stable')
    edges = np.searchsorted(hits.thing[order], np.arange(len(stage.things) + 1))
    for index, thing in enumerate(stage.things):
        at = order[edges[index] : edges[index + 1]]
        if not len(at):
            continue
        turn = thing.pose.rotation.astype(np.float32)
        shift = thing.pose.translation_m.astype(np.float32)[:, None]
        local = _turn_back(turn, hits.points_m[:, at] - shift)
        normals = _turn_back(turn, hits.normals[:, at])
        colors[:, at] = thing.body.paint(local, normals, hits.reach[at] * np.float32(pixel))
        gloss[at] = thing.body.gloss
    return colors, gloss


def _highlight(eye_m: Float32Array, hits: Hits, to_lamp: Float32Array) -> Float32Array:
    """Blinn-Phong, the power taken by squaring."""
    back = eye_m[:, None] - hits.points_m
    back /= np.sqrt(_dot(back, back))
    half = back + to_lamp
    shine = np.clip(_dot(half, hits.normals), 0, None) ** 2 / np.maximum(_dot(half, half), 1e-6)
    for _ in range(_SHININESS_DOUBLINGS - 1):
        shine = shine * shine
    return shine.astype(np.float32)


def _dot(a: Float32Array, b: Float32Array) -> Float32Array:
    product: Float32Array = a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
    return product


def _turn_back(turn: Float32Array, vectors: Float32Array) -> Float32Array:
    """Transpose of ``turn`` times (3, N) vectors."""
    x, y, z = vectors
    return np.stack([turn[0, k] * x + turn[1, k] * y + turn[2, k] * z for k in range(3)])
