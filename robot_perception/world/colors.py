"""Random colors and printed labels, all linear light, (3,) float32 in [0, 1]."""

from __future__ import annotations

import colorsys

import cv2
import numpy as np

from robot_perception.core import AnyArray, Float32Array

_LABEL_SIDE = 96
_INK = 0.12


def linear(display: AnyArray) -> Float32Array:
    """Convert display values in [0, 1] to linear light (gamma 2)."""
    return np.square(np.asarray(display, np.float32))


def vivid(rng: np.random.Generator) -> Float32Array:
    """Sample a color of a man-made object: mostly saturated, sometimes gray."""
    saturation = rng.uniform(0.0, 0.15) if rng.random() < 0.2 else rng.uniform(0.45, 0.95)
    return _hsv(rng.random(), saturation, rng.uniform(0.3, 0.95))


def muted(rng: np.random.Generator) -> Float32Array:
    """Sample a color of walls, carpets and tiles: mostly gray to beige."""
    if rng.random() < 0.7:
        return _hsv(rng.uniform(0.04, 0.14), rng.uniform(0.0, 0.3), rng.uniform(0.4, 0.95))
    return _hsv(rng.random(), rng.uniform(0.05, 0.28), rng.uniform(0.4, 0.9))


def wooden(rng: np.random.Generator) -> Float32Array:
    """Sample two colors of wood, dark and light grain: (2, 3)."""
    hue, saturation = rng.uniform(0.06, 0.11), rng.uniform(0.25, 0.6)
    value = rng.uniform(0.4, 0.85)
    return np.stack([_hsv(hue, saturation + 0.12, value * 0.75), _hsv(hue, saturation, value)])


def whitish(rng: np.random.Generator) -> Float32Array:
    """Sample a color of china or paper."""
    return _hsv(rng.uniform(0.05, 0.15), rng.uniform(0.0, 0.12), rng.uniform(0.82, 0.97))


def glassy(rng: np.random.Generator) -> Float32Array:
    """Sample a color of a bottle: green, brown or blue glass, or any plastic."""
    if rng.random() < 0.3:
        return vivid(rng)
    hue = (0.33, 0.08, 0.58)[int(rng.integers(3))] + rng.uniform(-0.03, 0.03)
    return _hsv(hue, rng.uniform(0.4, 0.8), rng.uniform(0.25, 0.7))


def second_to(first: Float32Array, rng: np.random.Generator) -> Float32Array:
    """Sample a color clearly lighter or darker than ``first``, of similar hue."""
    factor = rng.uniform(0.25, 0.5) if float(first.mean()) > 0.3 else rng.uniform(2.0, 3.0)
    tint = 1 + rng.uniform(-0.15, 0.15, 3)
    return np.clip(first * factor * tint + 0.01, 0, 0.95).astype(np.float32)


def label(rng: np.random.Generator) -> Float32Array:
    """Sample a printed label: background, emblem, headline and lines of text.

    Returns:
        (96, 96, 3) float32.
    """
    side = _LABEL_SIDE
    background, accent = vivid(rng), vivid(rng)
    image = np.empty((side, side, 3), np.float32)
    image[:] = background
    band = int(rng.integers(8, 30))
    top = int(rng.integers(0, side - band))
    if rng.random() < 0.6:
        image[top : top + band] = accent
    center = (int(rng.integers(side // 4, 3 * side // 4)), int(rng.integers(20, side - 20)))
    emblem = vivid(rng).tolist()
    if rng.random() < 0.5:
        cv2.circle(image, center, int(rng.integers(10, 24)), emblem, -1)
    else:
        reach = int(rng.integers(10, 22))
        corners = [(center[0] + dx * reach, center[1] + dy * reach) for dx, dy in _DIAMOND]
        cv2.fillConvexPoly(image, np.array(corners, np.int32), emblem)
    _print_text(image, rng)
    return image


def written_page(rng: np.random.Generator) -> Float32Array:
    """Sample a sheet of paper with lines of text: (96, 96, 3) float32."""
    page = np.full((_LABEL_SIDE, _LABEL_SIDE, 3), 0.85, np.float32)
    for row in range(10, _LABEL_SIDE - 10, 4):
        if rng.random() < 0.85:
            page[row : row + 2, 10 : int(rng.integers(40, _LABEL_SIDE - 8))] = 0.25
    return page


_DIAMOND = ((0, -1), (1, 0), (0, 1), (-1, 0))


def _print_text(image: Float32Array, rng: np.random.Generator) -> None:
    ink = np.float32(_INK if float(image.mean()) > 0.25 else 0.85)
    row = int(rng.integers(8, 30))
    left = int(rng.integers(4, 20))
    image[row : row + 7, left : left + int(rng.integers(35, 70))] = ink
    for line in range(int(rng.integers(2, 6))):
        at = 62 + 6 * line
        image[at : at + 2, left : left + int(rng.integers(20, 70))] = ink


def _hsv(hue: float, saturation: float, value: float) -> Float32Array:
    return linear(np.array(colorsys.hsv_to_rgb(hue % 1, min(saturation, 1.0), value)))
