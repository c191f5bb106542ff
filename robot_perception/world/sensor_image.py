"""Image formation: antialiased radiance, then blur, exposure, vignetting and noise."""

from __future__ import annotations

import cv2
import numpy as np

from robot_perception.core import BoolArray, Float32Array, Int64Array, UInt8Array
from robot_perception.world.light_visibility import estimate_visibility, VisibilityMap
from robot_perception.world.raycast import Hits, RayCaster
from robot_perception.world.scene_spec import SceneSpec, SensorModel
from robot_perception.world.shading import compute_radiance
from robot_perception.world.view import View

# Sub-pixel offsets of the three rays at edges, no two in one row or column.
_SAMPLES_XY = ((-1 / 3, 0.0), (0.0, 1 / 3), (1 / 3, -1 / 3))
_EDGE_CONTRAST = 0.15
_REFERENCE_WIDTH = 640


def cast_camera_rays(caster: RayCaster, view: View) -> tuple[Hits, Float32Array]:
    """Cast the ray of every pixel center: N = H W hits, row-major, and directions (3, N)."""
    rays = view.camera.rays().astype(np.float64)
    directions = view.directions(rays.reshape(-1, 2).T)
    return caster.cast(view.origin_m, directions), directions


def render_radiance(
    scene: SceneSpec, caster: RayCaster, view: View, hits: Hits, directions: Float32Array
) -> Float32Array:
    """Compute the radiance of every pixel: (H, W, 3) float32, 1 = white."""
    size_hw = view.camera.size_hw
    visibility = estimate_visibility(scene, caster, hits, size_hw)
    pixel = 1 / view.camera.fx
    light = compute_radiance(
        scene, view.origin_m, directions, hits, visibility.visibility, pixel=pixel
    )
    edges = np.flatnonzero(_edges(light.reshape(3, *size_hw), hits.prop_ids.reshape(size_hw)))
    if len(edges):
        light[:, edges] = _resample(scene, caster, view, edges, visibility)
    return np.ascontiguousarray(light.T).reshape(*size_hw, 3)


def apply_sensor(light: Float32Array, sensor: SensorModel, rng: np.random.Generator) -> UInt8Array:
    """Convert radiance to pixel values: (H, W, 3) float32 -> (H, W, 3) uint8."""
    height, width = light.shape[:2]
    sigma = sensor.blur * width / _REFERENCE_WIDTH
    blurred = cv2.GaussianBlur(light, (0, 0), sigma) if sigma > 0.2 else light
    blurred = blurred * sensor.gain
    if sensor.vignette > 0:
        blurred *= _vignette(height, width, sensor.vignette)[..., None]
    # Highlights are compressed rather than clipped; the square root is the gamma.
    display = np.sqrt(blurred * (1 + blurred * np.float32(0.12)) / (1 + blurred * np.float32(0.3)))
    noise = rng.standard_normal(light.shape, np.float32)
    display += noise * (np.float32(sensor.read_noise) + np.float32(sensor.signal_noise) * display)
    pixels: UInt8Array = np.clip(display * 255 + np.float32(0.5), 0, 255).astype(np.uint8)
    return pixels


def _edges(light: Float32Array, prop_ids: Int64Array) -> BoolArray:
    """Find edges of props and of brightness: (3, H, W), (H, W) -> (H, W) bool."""
    edges = np.zeros(prop_ids.shape, np.bool_)
    down, right = prop_ids[1:] != prop_ids[:-1], prop_ids[:, 1:] != prop_ids[:, :-1]
    for channel in np.sqrt(light):
        down |= np.abs(channel[1:] - channel[:-1]) > _EDGE_CONTRAST
        right |= np.abs(channel[:, 1:] - channel[:, :-1]) > _EDGE_CONTRAST
    edges[1:] |= down
    edges[:-1] |= down
    edges[:, 1:] |= right
    edges[:, :-1] |= right
    return edges


def _resample(
    scene: SceneSpec, caster: RayCaster, view: View, pixels: Int64Array, visibility: VisibilityMap
) -> Float32Array:
    """Compute the mean radiance of three rays through each of M pixels: (3, M) float32."""
    camera = view.camera
    width = camera.size_hw[1]
    offsets = np.array(_SAMPLES_XY)
    u = ((pixels % width) + offsets[:, :1] - camera.cx) / camera.fx
    v = ((pixels // width) + offsets[:, 1:] - camera.cy) / camera.fy
    directions = view.directions(np.stack([u.reshape(-1), v.reshape(-1)]))
    hits = caster.cast(view.origin_m, directions)
    near = visibility.sample(hits.prop_ids, np.tile(pixels, len(_SAMPLES_XY)))
    light = compute_radiance(scene, view.origin_m, directions, hits, near, pixel=0.5 / camera.fx)
    mean: Float32Array = light.reshape(3, len(_SAMPLES_XY), len(pixels)).mean(axis=1)
    return mean


def _vignette(height: int, width: int, share: float) -> Float32Array:
    row = (np.arange(height, dtype=np.float32) - (height - 1) / 2) / (width / 2)
    column = (np.arange(width, dtype=np.float32) - (width - 1) / 2) / (width / 2)
    kept: Float32Array = 1 - np.float32(share / 1.5) * (row[:, None] ** 2 + column**2)
    return kept
