"""Fixed colors of class names and instances, the same in every drawing."""

from __future__ import annotations

from functools import lru_cache
import hashlib
import math

from robot_perception.core.scene_object import SceneObject

Rgb = tuple[int, int, int]

_GOLDEN_ANGLE_DEG = 180 * (3 - math.sqrt(5))
# OKLCH lightness: mid-tones keep a contrast of 3 to white and to black. Two of them distinguish
# names of similar hue.
_LIGHTNESS = (0.57, 0.64)
_MAX_CHROMA = 0.25
_CHROMA_STEP = 0.005

# Chosen so that frequent names (person, chair, cup, bottle, book ...) get different colors.
_SALT = b'1466'


def class_color(name: str) -> Rgb:
    """Return the color of a class: the same name has the same color on every machine.

    >>> class_color('cup') == class_color('cup') != class_color('person')
    True
    """
    digest = hashlib.blake2b(name.encode(), digest_size=4, salt=_SALT).digest()
    return _golden(int.from_bytes(digest, 'little'))


def instance_color(index: int) -> Rgb:
    """Return the color of the object at ``index``; consecutive objects differ strongly in hue.

    >>> instance_color(0) != instance_color(1)
    True
    """
    return _golden(index)


def object_color(item: SceneObject) -> Rgb:
    """Return the color of an object: that of its track, or of its index without tracking."""
    return instance_color(item.number)


def _golden(index: int) -> Rgb:
    hue_deg = index * _GOLDEN_ANGLE_DEG % 360
    return _from_oklch(_LIGHTNESS[index % len(_LIGHTNESS)], hue_deg)


@lru_cache(maxsize=1024)
def _from_oklch(lightness: float, hue_deg: float) -> Rgb:
    """Return the sRGB color of highest chroma with that lightness and hue."""
    chroma = _MAX_CHROMA
    linear = _oklch_to_linear(lightness, chroma, hue_deg)
    while not all(0 <= channel <= 1 for channel in linear):
        chroma -= _CHROMA_STEP
        linear = _oklch_to_linear(lightness, chroma, hue_deg)
    red, green, blue = (round(255 * _encode(channel)) for channel in linear)
    return red, green, blue


def _oklch_to_linear(
    lightness: float, chroma: float, hue_deg: float
) -> tuple[float, float, float]:
    # Constants of the OKLab definition (Ottosson 2020).
    a = chroma * math.cos(math.radians(hue_deg))
    b = chroma * math.sin(math.radians(hue_deg))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )


def _encode(linear: float) -> float:
    """Apply the sRGB transfer curve to a channel in [0, 1]."""
    if linear <= 0.0031308:  # noqa: PLR2004 - from the sRGB standard
        return 12.92 * linear
    return 1.055 * math.pow(linear, 1 / 2.4) - 0.055
