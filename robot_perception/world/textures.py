"""Precomputed textures of fixed physical size.

A texture holds, for each point of a plane, the blend between two colors and a brightness factor;
the scene chooses the colors. Values come from the mipmap level whose texel matches the footprint
of the pixel, which avoids aliasing at a distance.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from robot_perception.core import Float32Array, Float64Array, Int32Array

# Seed of the precomputed textures: fixed like the vocabulary.
_SEED = 20240
Pattern = tuple[Float64Array, Float64Array]


@dataclass(frozen=True, slots=True, eq=False)
class Texture:
    """A periodic square tile.

    Attributes:
        tile_m: side of the tile, meters.
        texels: side of the finest level, a power of two.
        blend: (T,) float32, all levels concatenated, 0 = first color, 1 = second.
        tone: (T,) float32, brightness factor, about 1.
    """

    tile_m: float
    texels: int
    blend: Float32Array
    tone: Float32Array

    def sample(
        self, u_m: Float32Array, v_m: Float32Array, footprint_m: Float32Array
    ) -> tuple[Float32Array, Float32Array]:
        """Look up blend and tone, (N,) float32 each, at coordinates u and v of the plane.

        The footprint is the width of the pixel at each point.
        """
        finest_m = self.tile_m / self.texels
        level = np.zeros(u_m.shape, np.int32)
        for step in range(1, self.texels.bit_length()):
            level += footprint_m > np.float32(finest_m * 2**step * 0.75)
        side = np.right_shift(self.texels, level)
        scale = side * np.float32(1 / self.tile_m)
        column = np.floor(u_m * scale).astype(np.int32) & (side - 1)
        row = np.floor(v_m * scale).astype(np.int32) & (side - 1)
        at = _level_starts(self.texels)[level] + row * side + column
        return self.blend[at], self.tone[at]


@cache
def texture(name: str) -> Texture:
    """Return a texture of `TEXTURES`, computed once per process."""
    tile_m, texels, pattern = TEXTURES[name]
    rng = np.random.default_rng([_SEED, sorted(TEXTURES).index(name)])
    axis = (np.arange(texels) + 0.5) * (tile_m / texels)
    u_m, v_m = np.meshgrid(axis, axis)
    blend, tone = pattern(u_m, v_m, rng)
    return Texture(tile_m, texels, _pyramid(blend), _pyramid(tone))


@cache
def _level_starts(texels: int) -> Int32Array:
    sizes = [(texels >> level) ** 2 for level in range(texels.bit_length() - 1)]
    starts: Int32Array = np.cumsum([0, *sizes]).astype(np.int32)
    return starts


def _pyramid(finest: Float64Array) -> Float32Array:
    levels = [finest]
    while (half := levels[-1].shape[0] // 2) > 0:
        levels.append(levels[-1].reshape(half, 2, half, 2).mean(axis=(1, 3)))
    return np.concatenate([level.ravel() for level in levels]).astype(np.float32)


def _checker(u_m: Float64Array, v_m: Float64Array, rng: np.random.Generator) -> Pattern:
    """Make squares of 5 cm on woven cloth."""
    blend = (np.floor(u_m / 0.05) + np.floor(v_m / 0.05)) % 2
    return blend, 1 + 0.06 * _smooth_noise(rng, u_m.shape, 1.0, 1.0)


def _planks(u_m: Float64Array, v_m: Float64Array, rng: np.random.Generator) -> Pattern:
    """Make boards 12 cm wide and 96 cm long, with grain along them and dark joints of 2 mm."""
    row = np.floor(v_m / 0.12).astype(int)
    shifted = (u_m + rng.random(8)[row] * 0.96) % 0.96
    grain = (
        _smooth_noise(rng, u_m.shape, 60.0, 1.5) * 0.22
        + _smooth_noise(rng, u_m.shape, 120.0, 6.0) * 0.2
    )
    joint = (v_m % 0.12 < 0.002) | (shifted < 0.002)
    tone = np.where(joint, 0.45, 1 + (rng.random(8) - 0.5)[row] * 0.3)
    return np.clip(0.4 + grain, 0, 1), tone


def _tiles(u_m: Float64Array, v_m: Float64Array, rng: np.random.Generator) -> Pattern:
    """Make tiles of 30 cm with joints of 5 mm, each with its own tone."""
    joint = (u_m % 0.30 < 0.005) | (v_m % 0.30 < 0.005)
    column, row = np.floor(u_m / 0.30).astype(int), np.floor(v_m / 0.30).astype(int)
    tone = 1 + (rng.random((4, 4)) - 0.5)[row, column] * 0.22
    tone += 0.08 * _smooth_noise(rng, u_m.shape, 14.0, 14.0)
    return joint.astype(float), tone


def _bricks(u_m: Float64Array, v_m: Float64Array, rng: np.random.Generator) -> Pattern:
    """Make bricks of 24 x 8 cm, joints of 1 cm included, every other row shifted by half."""
    row = np.floor(v_m / 0.08).astype(int)
    along = (u_m + 0.12 * (row % 2)) % 0.96
    joint = (along % 0.24 < 0.010) | (v_m % 0.08 < 0.010)
    tone = 1 + (rng.random((12, 4)) - 0.5)[row, np.floor(along / 0.24).astype(int)] * 0.4
    return joint.astype(float), tone + 0.1 * _smooth_noise(rng, u_m.shape, 2.0, 2.0)


def _speckle(u_m: Float64Array, _: Float64Array, rng: np.random.Generator) -> Pattern:
    """Make grains of about 3 mm, as in carpet or terrazzo."""
    grains = _smooth_noise(rng, u_m.shape, 1.6, 1.6)
    return np.clip(0.5 + 0.5 * grains, 0, 1), 1 + 0.05 * _smooth_noise(rng, u_m.shape, 40.0, 40.0)


def _weave(u_m: Float64Array, v_m: Float64Array, rng: np.random.Generator) -> Pattern:
    """Make a plaid of 8 cm: a wide and a thin band along each axis."""

    def bands(axis: Float64Array) -> Float64Array:
        phase = axis % 0.08
        return (phase < 0.03) * 0.55 + ((phase > 0.05) & (phase < 0.056)) * 0.8

    blend = np.clip((bands(u_m) + bands(v_m)) / 1.4, 0, 1)
    return blend, 1 + 0.08 * _smooth_noise(rng, u_m.shape, 1.0, 1.0)


def _stripes(u_m: Float64Array, _: Float64Array, rng: np.random.Generator) -> Pattern:
    """Make vertical stripes of 4 cm, as on wallpaper."""
    return np.floor(u_m / 0.04) % 2, 1 + 0.03 * _smooth_noise(rng, u_m.shape, 2.0, 2.0)


def _plaster(u_m: Float64Array, _: Float64Array, rng: np.random.Generator) -> Pattern:
    """Make nearly uniform paint, as on a wall or a board."""
    coarse = _smooth_noise(rng, u_m.shape, 30.0, 30.0)
    fine = _smooth_noise(rng, u_m.shape, 1.5, 1.5)
    return np.clip(0.5 + 0.25 * coarse, 0, 1), 1 + 0.03 * fine


# Name -> side of the tile in meters, texels along it, pattern.
PatternFunction = Callable[[Float64Array, Float64Array, np.random.Generator], Pattern]
TEXTURES: dict[str, tuple[float, int, PatternFunction]] = {
    'bricks': (0.96, 512, _bricks),
    'checker': (0.10, 128, _checker),
    'planks': (0.96, 1024, _planks),
    'plaster': (0.96, 512, _plaster),
    'speckle': (0.48, 512, _speckle),
    'stripes': (0.08, 128, _stripes),
    'tiles': (1.20, 1024, _tiles),
    'weave': (0.08, 128, _weave),
}


def _smooth_noise(
    rng: np.random.Generator, shape: tuple[int, ...], sigma_u: float, sigma_v: float
) -> Float64Array:
    """Make periodic noise, smooth over ``sigma`` texels, of mean 0 and standard deviation 1."""
    height, width = shape
    pad_u, pad_v = (min(int(3 * sigma) + 1, width) for sigma in (sigma_u, sigma_v))
    noise = np.pad(rng.standard_normal(shape), ((pad_v, pad_v), (pad_u, pad_u)), mode='wrap')
    smooth = cv2.GaussianBlur(noise, (0, 0), sigmaX=sigma_u, sigmaY=sigma_v)
    inside = smooth[pad_v : pad_v + height, pad_u : pad_u + width]
    normalized: Float64Array = (inside - inside.mean()) / inside.std()
    return normalized
