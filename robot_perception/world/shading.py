"""Shading: diffuse light of one lamp, ambient light and specular highlights."""

from __future__ import annotations

import numpy as np

from robot_perception.core import Float32Array
from robot_perception.world.light_visibility import LightVisibility
from robot_perception.world.materials import Surface
from robot_perception.world.raycast import Hits, NO_HIT
from robot_perception.world.scene_spec import SceneSpec

_SHININESS_DOUBLINGS = 5
_BACKGROUND = 0.75


def compute_radiance(
    scene: SceneSpec,
    origin_m: Float32Array,
    directions: Float32Array,
    hits: Hits,
    visibility: LightVisibility,
    *,
    pixel: float,
) -> Float32Array:
    """Compute the radiance along each ray, (3, N) float32, 1 = white.

    The rays go from one origin, (3,), in directions (3, N); the visibility is that of the light
    sources at their hits. ``pixel``, the width of a pixel at a distance of 1, selects the texture
    level.
    """
    colors, gloss = evaluate_materials(scene, hits, pixel)
    light, normals = scene.light, hits.normals
    to_lamp = light.lamp_m.astype(np.float32)[:, None] - hits.points_m
    square = _dot(to_lamp, to_lamp)
    to_lamp /= np.sqrt(square)
    facing = np.clip(_dot(normals, to_lamp), 0, None)
    near = np.minimum(np.float32(light.reference_m**2) / square, np.float32(2.5))
    lamp = facing * near * visibility.lamp
    upward = (normals[2] + 1) * np.float32(0.5)
    sky = np.float32(0.25) + np.float32(0.75) * visibility.sky
    shine = _highlight(origin_m, hits, to_lamp) * gloss * near * visibility.lamp
    result = np.empty_like(colors)
    for channel in range(3):
        ambient = light.ground[channel] + (light.sky[channel] - light.ground[channel]) * upward
        lit = colors[channel] * (light.lamp[channel] * lamp + ambient * sky)
        result[channel] = lit + light.lamp[channel] * shine
    empty = hits.prop_ids == NO_HIT
    if empty.any():
        climb = directions[2, empty] / np.sqrt(_dot(directions[:, empty], directions[:, empty]))
        result[:, empty] = light.sky[:, None] * (_BACKGROUND + np.float32(0.5) * climb)
    return result


def evaluate_materials(
    scene: SceneSpec, hits: Hits, pixel: float
) -> tuple[Float32Array, Float32Array]:
    """Return the albedo (3, N) and gloss (N,) of every point, 0 where there is none."""
    colors = np.zeros_like(hits.points_m)
    gloss = np.zeros_like(hits.t_hit)
    order = np.argsort(hits.prop_ids, kind='stable')
    edges = np.searchsorted(hits.prop_ids[order], np.arange(len(scene.props) + 1))
    for index, prop in enumerate(scene.props):
        at = order[edges[index] : edges[index + 1]]
        if not len(at):
            continue
        rotation = prop.pose.rotation.astype(np.float32)
        shift = prop.pose.translation_m.astype(np.float32)[:, None]
        surface = Surface(
            _rotate_back(rotation, hits.points_m[:, at] - shift),
            _rotate_back(rotation, hits.normals[:, at]),
            hits.t_hit[at] * np.float32(pixel),
        )
        colors[:, at] = prop.body.material(surface)
        gloss[at] = prop.body.gloss
    return colors, gloss


def _highlight(origin_m: Float32Array, hits: Hits, to_lamp: Float32Array) -> Float32Array:
    """Compute Blinn-Phong highlights, the exponent by repeated squaring."""
    back = origin_m[:, None] - hits.points_m
    back /= np.sqrt(_dot(back, back))
    half = back + to_lamp
    shine = np.clip(_dot(half, hits.normals), 0, None) ** 2 / np.maximum(_dot(half, half), 1e-6)
    for _ in range(_SHININESS_DOUBLINGS - 1):
        shine = shine * shine
    return shine.astype(np.float32)


def _dot(a: Float32Array, b: Float32Array) -> Float32Array:
    product: Float32Array = a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
    return product


def _rotate_back(rotation: Float32Array, vectors: Float32Array) -> Float32Array:
    """Multiply (3, N) vectors by the transpose of ``rotation``."""
    x, y, z = vectors
    return np.stack(
        [rotation[0, k] * x + rotation[1, k] * y + rotation[2, k] * z for k in range(3)]
    )
