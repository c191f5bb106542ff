"""A scene of a seed: place, objects, lamp, lens and the camera's way."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
import math

import numpy as np

from robot_perception.core import Float32Array, Float64Array, InputError
from robot_perception.world.furniture import furnish, Thing
from robot_perception.world.placement import place_objects
from robot_perception.world.pose import look_at, Pose
from robot_perception.world.vocabulary import SCENE_TYPES

_MAX_SEED = 2**63


class Stream(IntEnum):
    """Independent streams of chance of one seed, so that one can change without the others."""

    TYPE = 0
    PLACE = 1
    OBJECTS = 2
    LIGHT = 3
    WAY = 4
    LENS = 5
    NOISE = 6
    DEPTH = 7


@dataclass(frozen=True, slots=True, eq=False)
class Light:
    """One lamp and the light that comes from everywhere.

    Attributes:
        lamp_m: (3,) float64, its middle, metres.
        radius_m: its radius; makes shadows soft.
        lamp: (3,) float32, light on a white sheet that faces it, at the focus.
        reach_m: distance from lamp to focus.
        sky, ground: (3,) float32, light from above and from below.

    """

    lamp_m: Float64Array
    radius_m: float
    lamp: Float32Array
    reach_m: float
    sky: Float32Array
    ground: Float32Array


@dataclass(frozen=True, slots=True, eq=False)
class Lens:
    """What the camera does to light.

    Attributes:
        gain: (3,) float32, exposure times white balance.
        blur: standard deviation of the point spread in pixels of a picture 640 wide.
        noise: standard deviation in the dark, of a white of 1.
        grain: standard deviation added by white.
        vignette: share of light lost in the corners.

    """

    gain: Float32Array
    blur: float
    noise: float
    grain: float
    vignette: float


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """An orbit about the focus that swings in all three directions.

    Attributes:
        focus_m: (3,) float64, metres.
        start: azimuth and elevation in radians, distance in metres at time 0.
        swing: how far each of them swings.
        period_s: how long each swing takes.
        roll_rad: of the camera.

    """

    focus_m: Float64Array
    start: tuple[float, float, float]
    swing: tuple[float, float, float]
    period_s: tuple[float, float, float]
    roll_rad: float

    def pose(self, time_s: float) -> Pose:
        """World from optical frame at a time."""
        azimuth, elevation, distance = (
            begin + reach * math.sin(2 * math.pi * time_s / period)
            for begin, reach, period in zip(self.start, self.swing, self.period_s, strict=True)
        )
        level = math.cos(elevation)
        away = np.array(
            [-math.cos(azimuth) * level, -math.sin(azimuth) * level, math.sin(elevation)]
        )
        return look_at(self.focus_m + distance * away, self.focus_m, self.roll_rad)


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """Everything there is but the camera's sensor noise.

    Attributes:
        seed: which scene this is.
        scene_type: one of `vocabulary.SCENE_TYPES`.
        things: objects first, then what belongs to no class.
        object_count: how many of them are objects.

    """

    seed: int
    scene_type: str
    things: tuple[Thing, ...]
    object_count: int
    light: Light
    lens: Lens
    way: Way

    def chance(self, stream: Stream, frame: int) -> np.random.Generator:
        """Generator of one frame."""
        return np.random.default_rng([self.seed, stream, frame])


def set_stage(seed: int) -> Stage:
    """Draw the scene of a seed.

    Raises:
        InputError: the seed is not a whole number in [0, 2^63).

    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < _MAX_SEED:
        raise InputError(f'seed: expected a whole number in [0, 2^63), got {seed!r}.')

    def stream(number: Stream) -> np.random.Generator:
        return np.random.default_rng([seed, number])

    scene_type = SCENE_TYPES[int(stream(Stream.TYPE).integers(len(SCENE_TYPES)))]
    place = furnish(scene_type, stream(Stream.PLACE))
    way = _draw_way(scene_type, place.focus_m, stream(Stream.WAY))
    objects, clutter = place_objects(place, scene_type, stream(Stream.OBJECTS))
    return Stage(
        seed=seed,
        scene_type=scene_type,
        things=(*objects, *clutter, *place.things),
        object_count=len(objects),
        light=_draw_light(scene_type, place.focus_m, stream(Stream.LIGHT)),
        lens=_draw_lens(stream(Stream.LENS)),
        way=way,
    )


# Elevation in degrees and distance in metres, lowest and highest; azimuth, to either side.
_VIEWS = {
    'table': ((24, 46), (0.65, 1.05), 0.6),
    'floor': ((28, 50), (0.75, 1.35), 0.6),
    'shelf': ((-6, 18), (0.75, 1.10), 0.35),
}


def _draw_way(scene_type: str, focus_m: Float64Array, rng: np.random.Generator) -> Way:
    elevations, distances, aside = _VIEWS[scene_type]
    start = (
        rng.uniform(-aside, aside),
        math.radians(rng.uniform(*elevations)),
        rng.uniform(*distances),
    )
    # Inwards: the way stays where a single picture could have been taken.
    swing = (
        -math.copysign(rng.uniform(0.25, 0.45), start[0]),
        math.radians(rng.uniform(2, 5))
        * math.copysign(1, sum(map(math.radians, elevations)) / 2 - start[1]),
        rng.uniform(0.05, 0.12) * math.copysign(1, sum(distances) / 2 - start[2]),
    )
    period = (rng.uniform(7, 10), rng.uniform(5, 8), rng.uniform(6, 9))
    return Way(focus_m, start, swing, period, math.radians(rng.uniform(-4, 4)))


def _draw_light(scene_type: str, focus_m: Float64Array, rng: np.random.Generator) -> Light:
    # From the camera's half of the room, so that no wall stands between.
    azimuth = math.pi + rng.uniform(-1.3, 1.3)
    # Boards of a shelf would shade everything below them from a lamp high up.
    lowest, highest = (8, 40) if scene_type == 'shelf' else (35, 70)
    elevation, reach = math.radians(rng.uniform(lowest, highest)), rng.uniform(1.4, 2.2)
    away = np.array(
        [
            math.cos(azimuth) * math.cos(elevation),
            math.sin(azimuth) * math.cos(elevation),
            math.sin(elevation),
        ]
    )
    warmth = rng.uniform(-0.12, 0.12)
    tint = np.array([1 + warmth, 1.0, 1 - warmth])
    share = rng.uniform(0.35, 0.6)
    sky = np.array([1 - warmth / 2, 1.0, 1 + warmth / 2]) * share
    return Light(
        lamp_m=focus_m + reach * away,
        radius_m=rng.uniform(0.04, 0.18),
        lamp=(tint * rng.uniform(0.6, 1.1)).astype(np.float32),
        reach_m=reach,
        sky=sky.astype(np.float32),
        ground=(sky * rng.uniform(0.3, 0.6)).astype(np.float32),
    )


def _draw_lens(rng: np.random.Generator) -> Lens:
    balance = 1 + rng.uniform(-0.05, 0.05, 3)
    return Lens(
        gain=(balance * rng.uniform(0.8, 1.15)).astype(np.float32),
        blur=rng.uniform(0.3, 1.1),
        noise=rng.uniform(0.002, 0.010),
        grain=rng.uniform(0.002, 0.018),
        vignette=rng.uniform(0.0, 0.25),
    )
