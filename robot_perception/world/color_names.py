"""Names of the colors of objects, as people call them: the dominant one of what is visible."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from robot_perception.core import Float32Array, Int64Array

COLOR_NAMES = (
    'red',
    'orange',
    'yellow',
    'green',
    'blue',
    'purple',
    'pink',
    'brown',
    'black',
    'gray',
    'white',
)
_PURPLE, _PINK, _BROWN, _BLACK, _GRAY, _WHITE = (
    COLOR_NAMES.index(name) for name in ('purple', 'pink', 'brown', 'black', 'gray', 'white')
)
# Upper end of the hues of each name in degrees, from red to pink; red begins again after pink.
_HUE_ENDS_DEG = (14, 42, 68, 165, 255, 295, 340)
_BROWN_HUES_DEG = (10, 50)
_PINK_VALUE, _BROWN_VALUE, _BLACK_VALUE, _WHITE_VALUE = 0.6, 0.62, 0.22, 0.8
_GRAY_SATURATION = 0.2
_BROWN_SATURATION = 0.3
# Share of the visible surface that has to have the name.
_DOMINANT = 0.6
# A color that is called otherwise after a change this small has no clear name.
_HUE_MARGIN_DEG, _SATURATION_MARGIN, _VALUE_MARGIN = 5.0, 0.04, 0.05


def color_numbers(names: Sequence[str | None]) -> Int64Array:
    """Return the index in `COLOR_NAMES` of each name, -1 for None.

    >>> color_numbers(['red', None]).tolist()
    [0, -1]
    """
    indices = [-1 if name is None else COLOR_NAMES.index(name) for name in names]
    return np.array(indices, np.int64)


def dominant_color(albedo: Float32Array) -> str | None:
    """Return the name of the color that most of a surface has, None if it has no clear name.

    Args:
        albedo: (3, N) float32, linear light in [0, 1], of N visible points; N at least 1.
    """
    hue_deg, saturation, value = _hsv(albedo)
    names = _classify(hue_deg, saturation, value)
    counts = np.bincount(names, minlength=len(COLOR_NAMES))
    name = int(counts.argmax())
    if counts[name] < _DOMINANT * len(names):
        return None
    typical = np.median(albedo[:, names == name], axis=1, keepdims=True)
    hue_deg, saturation, value = _hsv(typical)
    near = np.array(
        [
            (0, 0, 0),
            *((sign * _HUE_MARGIN_DEG, 0, 0) for sign in (-1, 1)),
            *((0, sign * _SATURATION_MARGIN, 0) for sign in (-1, 1)),
            *((0, 0, sign * _VALUE_MARGIN) for sign in (-1, 1)),
        ]
    ).T
    called = _classify(
        (hue_deg + near[0]) % 360,
        np.clip(saturation + near[1], 0, 1),
        np.clip(value + near[2], 0, 1),
    )
    return COLOR_NAMES[name] if (called == name).all() else None


def _hsv(albedo: Float32Array) -> tuple[Float32Array, Float32Array, Float32Array]:
    """Return hue in degrees, saturation and value of linear colors as displays show them."""
    red, green, blue = display = np.sqrt(np.clip(albedo, 0, 1))
    value = display.max(axis=0)
    chroma = value - display.min(axis=0)
    safe = np.maximum(chroma, np.float32(1e-6))
    hue = np.where(
        value == red,
        (green - blue) / safe % 6,
        np.where(value == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    return hue * 60, chroma / np.maximum(value, np.float32(1e-6)), value


def _classify(hue_deg: Float32Array, saturation: Float32Array, value: Float32Array) -> Int64Array:
    """Return the index of the name of each color."""
    names = np.searchsorted(_HUE_ENDS_DEG, hue_deg) % len(_HUE_ENDS_DEG)
    names[(names == _PINK) & (value < _PINK_VALUE)] = _PURPLE
    low, high = _BROWN_HUES_DEG
    is_brown = (hue_deg >= low) & (hue_deg <= high) & (value < _BROWN_VALUE)
    names[is_brown & (saturation > _BROWN_SATURATION)] = _BROWN
    is_gray = saturation < _GRAY_SATURATION
    names[is_gray] = np.where(value[is_gray] > _WHITE_VALUE, _WHITE, _GRAY)
    names[value < _BLACK_VALUE] = _BLACK
    return names.astype(np.int64)
