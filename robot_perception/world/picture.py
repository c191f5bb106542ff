"""What a camera makes of light: a picture of bytes, smooth at edges, blurred and noisy."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from robot_perception.core import (
    BoolArray,
    CameraModel,
    Float32Array,
    Float64Array,
    Int64Array,
    UInt8Array,
)
from robot_perception.world.pose import Pose
from robot_perception.world.raycast import Hits, RayCaster
from robot_perception.world.shading import radiance
from robot_perception.world.shadows import smooth_visibility, ThingsSeen
from robot_perception.world.stage import Lens, Stage

# Edges are looked at three times within the pixel, no two in one row or column.
_SAMPLES_XY = ((-1 / 3, 0.0), (0.0, 1 / 3), (1 / 3, -1 / 3))
_EDGE_CONTRAST = 0.15
_LENS_WIDTH = 640


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A camera at a place.

    Attributes:
        camera: its calibration.
        pose: world from optical frame.

    """

    camera: CameraModel
    pose: Pose

    @property
    def eye_m(self) -> Float32Array:
        """(3,) float32, the optical centre."""
        return self.pose.translation_m.astype(np.float32)

    def directions(self, rays: Float64Array) -> Float32Array:
        """Rays of the world with a depth of 1: (2, N) x/z and y/z -> (3, N) float32."""
        turn = self.pose.rotation
        turned = [turn[k, 0] * rays[0] + turn[k, 1] * rays[1] + turn[k, 2] for k in range(3)]
        return np.stack(turned).astype(np.float32)


def look(caster: RayCaster, view: View) -> tuple[Hits, Float32Array]:
    """Cast the ray of every pixel's centre.

    Returns:
        What they met, N = H W, rows first, and their directions (3, N) float32.

    """
    rays = view.camera.rays().astype(np.float64)
    directions = view.directions(rays.reshape(-1, 2).T)
    return caster.cast(view.eye_m, directions), directions


def paint_picture(
    stage: Stage, caster: RayCaster, view: View, hits: Hits, directions: Float32Array
) -> Float32Array:
    """Light on every pixel: (H, W, 3) float32, 1 = white."""
    size_hw = view.camera.size_hw
    seen = smooth_visibility(stage, caster, hits, size_hw)
    pixel = 1 / view.camera.fx
    light = radiance(stage, view.eye_m, directions, hits, seen.visibility, pixel=pixel)
    edges = np.flatnonzero(_edges(light.reshape(3, *size_hw), hits.thing.reshape(size_hw)))
    if len(edges):
        light[:, edges] = _resample(stage, caster, view, edges, seen)
    return np.ascontiguousarray(light.T).reshape(*size_hw, 3)


def expose(light: Float32Array, lens: Lens, rng: np.random.Generator) -> UInt8Array:
    """Make the bytes: (H, W, 3) float32 light -> (H, W, 3) uint8."""
    height, width = light.shape[:2]
    sigma = lens.blur * width / _LENS_WIDTH
    blurred = cv2.GaussianBlur(light, (0, 0), sigma) if sigma > 0.2 else light
    blurred = blurred * lens.gain
    if lens.vignette > 0:
        blurred *= _vignette(height, width, lens.vignette)[..., None]
    # Bright light is compressed, not cut off; the root is the camera's gamma.
    display = np.sqrt(blurred * (1 + blurred * np.float32(0.12)) / (1 + blurred * np.float32(0.3)))
    noise = rng.standard_normal(light.shape, np.float32)
    display += noise * (np.float32(lens.noise) + np.float32(lens.grain) * display)
    picture: UInt8Array = np.clip(display * 255 + np.float32(0.5), 0, 255).astype(np.uint8)
    return picture


def _edges(light: Float32Array, thing: Int64Array) -> BoolArray:
    """Pixels that differ from a neighbour: (3, H, W) light, (H, W) things -> (H, W) bool."""
    edges = np.zeros(thing.shape, np.bool_)
    down, right = thing[1:] != thing[:-1], thing[:, 1:] != thing[:, :-1]
    for channel in np.sqrt(light):
        down |= np.abs(channel[1:] - channel[:-1]) > _EDGE_CONTRAST
        right |= np.abs(channel[:, 1:] - channel[:, :-1]) > _EDGE_CONTRAST
    edges[1:] |= down
    edges[:-1] |= down
    edges[:, 1:] |= right
    edges[:, :-1] |= right
    return edges


def _resample(
    stage: Stage, caster: RayCaster, view: View, pixels: Int64Array, seen: ThingsSeen
) -> Float32Array:
    """Mean light of three rays through each of M pixels: (3, M) float32."""
    camera = view.camera
    width = camera.size_hw[1]
    offsets = np.array(_SAMPLES_XY)
    u = ((pixels % width) + offsets[:, :1] - camera.cx) / camera.fx
    v = ((pixels // width) + offsets[:, 1:] - camera.cy) / camera.fy
    directions = view.directions(np.stack([u.reshape(-1), v.reshape(-1)]))
    hits = caster.cast(view.eye_m, directions)
    near = seen.borrow(hits.thing, np.tile(pixels, len(_SAMPLES_XY)))
    light = radiance(stage, view.eye_m, directions, hits, near, pixel=0.5 / camera.fx)
    mean: Float32Array = light.reshape(3, len(_SAMPLES_XY), len(pixels)).mean(axis=1)
    return mean


def _vignette(height: int, width: int, share: float) -> Float32Array:
    row = (np.arange(height, dtype=np.float32) - (height - 1) / 2) / (width / 2)
    column = (np.arange(width, dtype=np.float32) - (width - 1) / 2) / (width / 2)
    kept: Float32Array = 1 - np.float32(share / 1.5) * (row[:, None] ** 2 + column**2)
    return kept
