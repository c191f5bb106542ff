"""Specification of a scene, drawn from a seed: layout, objects, light, sensor, trajectory."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
import math

import numpy as np

from robot_perception.core import Float32Array, Float64Array, InputError, Pose
from robot_perception.world.layout import sample_layout
from robot_perception.world.objects import Prop
from robot_perception.world.placement import place_objects
from robot_perception.world.view import look_at
from robot_perception.world.vocabulary import SCENE_TYPES

_MAX_SEED = 2**63


class RandomStream(IntEnum):
    """Independent random streams of one seed: a change to one leaves the others as they are."""

    TYPE = 0
    LAYOUT = 1
    OBJECTS = 2
    LIGHT = 3
    TRAJECTORY = 4
    SENSOR = 5
    NOISE = 6
    DEPTH = 7


@dataclass(frozen=True, slots=True, eq=False)
class Light:
    """One spherical lamp and ambient light.

    Attributes:
        lamp_m: (3,) float64, center of the lamp, meters.
        radius_m: radius of the lamp; softens shadows.
        lamp: (3,) float32, irradiance at the focus on a surface that faces the lamp.
        reference_m: distance from lamp to focus, where `lamp` holds.
        sky, ground: (3,) float32, ambient light from above and from below.
    """

    lamp_m: Float64Array
    radius_m: float
    lamp: Float32Array
    reference_m: float
    sky: Float32Array
    ground: Float32Array


@dataclass(frozen=True, slots=True, eq=False)
class SensorModel:
    """Response of the image sensor.

    Attributes:
        gain: (3,) float32, exposure times white balance.
        blur: standard deviation of the point spread function, pixels at an image width of 640.
        read_noise: standard deviation at black, where white is 1.
        signal_noise: standard deviation added at white, proportional to the signal.
        vignette: fraction of light lost in the corners.
    """

    gain: Float32Array
    blur: float
    read_noise: float
    signal_noise: float
    vignette: float


@dataclass(frozen=True, slots=True, eq=False)
class CameraTrajectory:
    """An orbit about the focus: azimuth, elevation and distance oscillate.

    Attributes:
        focus_m: (3,) float64, meters.
        start: azimuth and elevation in radians, distance in meters at time 0.
        amplitude: of each oscillation.
        period_s: of each oscillation.
        roll_rad: roll of the camera.
    """

    focus_m: Float64Array
    start: tuple[float, float, float]
    amplitude: tuple[float, float, float]
    period_s: tuple[float, float, float]
    roll_rad: float

    def pose(self, time_s: float) -> Pose:
        """Compute world_from_optical at a time."""
        azimuth, elevation, distance = (
            begin + amplitude * math.sin(2 * math.pi * time_s / period)
            for begin, amplitude, period in zip(
                self.start, self.amplitude, self.period_s, strict=True
            )
        )
        level = math.cos(elevation)
        away = np.array(
            [-math.cos(azimuth) * level, -math.sin(azimuth) * level, math.sin(elevation)]
        )
        return look_at(self.focus_m + distance * away, self.focus_m, self.roll_rad)


@dataclass(frozen=True, slots=True, eq=False)
class SceneSpec:
    """Everything that determines a scene, except the noise of its frames.

    Attributes:
        scene_type: one of `vocabulary.SCENE_TYPES`.
        props: objects first, then clutter and scenery, which have no class.
        object_count: how many of them are objects.
    """

    seed: int
    scene_type: str
    props: tuple[Prop, ...]
    object_count: int
    light: Light
    sensor: SensorModel
    trajectory: CameraTrajectory

    def rng(self, stream: RandomStream, frame: int) -> np.random.Generator:
        """Create the generator of one frame."""
        return np.random.default_rng([self.seed, stream, frame])


def sample_scene(seed: int) -> SceneSpec:
    """Sample the scene of a seed; raise InputError unless it is an integer in [0, 2^63)."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < _MAX_SEED:
        raise InputError(
            'out_of_range', f'seed: expected a whole number in [0, 2^63), got {seed!r}.'
        )

    def rng(number: RandomStream) -> np.random.Generator:
        return np.random.default_rng([seed, number])

    scene_type = SCENE_TYPES[int(rng(RandomStream.TYPE).integers(len(SCENE_TYPES)))]
    layout = sample_layout(scene_type, rng(RandomStream.LAYOUT))
    trajectory = _sample_trajectory(scene_type, layout.focus_m, rng(RandomStream.TRAJECTORY))
    objects, clutter = place_objects(layout, scene_type, rng(RandomStream.OBJECTS))
    return SceneSpec(
        seed=seed,
        scene_type=scene_type,
        props=(*objects, *clutter, *layout.props),
        object_count=len(objects),
        light=_sample_light(scene_type, layout.focus_m, rng(RandomStream.LIGHT)),
        sensor=_sample_sensor(rng(RandomStream.SENSOR)),
        trajectory=trajectory,
    )


# Ranges of elevation in degrees and of distance in meters; largest absolute azimuth in radians.
_VIEWS = {
    'table': ((24, 46), (0.65, 1.05), 0.6),
    'floor': ((28, 50), (0.75, 1.35), 0.6),
    'shelf': ((-6, 18), (0.75, 1.10), 0.35),
}


def _sample_trajectory(
    scene_type: str, focus_m: Float64Array, rng: np.random.Generator
) -> CameraTrajectory:
    elevations, distances, aside = _VIEWS[scene_type]
    start = (
        rng.uniform(-aside, aside),
        math.radians(rng.uniform(*elevations)),
        rng.uniform(*distances),
    )
    # Inward: the camera stays within the ranges that single images are drawn from.
    amplitude = (
        -math.copysign(rng.uniform(0.25, 0.45), start[0]),
        math.radians(rng.uniform(2, 5))
        * math.copysign(1, sum(map(math.radians, elevations)) / 2 - start[1]),
        rng.uniform(0.05, 0.12) * math.copysign(1, sum(distances) / 2 - start[2]),
    )
    period = (rng.uniform(7, 10), rng.uniform(5, 8), rng.uniform(6, 9))
    return CameraTrajectory(focus_m, start, amplitude, period, math.radians(rng.uniform(-4, 4)))


def _sample_light(scene_type: str, focus_m: Float64Array, rng: np.random.Generator) -> Light:
    # On the camera's side, so that no wall blocks the light.
    azimuth = math.pi + rng.uniform(-1.3, 1.3)
    # A lamp high above a shelf would leave everything below its boards in shadow.
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
        reference_m=reach,
        sky=sky.astype(np.float32),
        ground=(sky * rng.uniform(0.3, 0.6)).astype(np.float32),
    )


def _sample_sensor(rng: np.random.Generator) -> SensorModel:
    balance = 1 + rng.uniform(-0.05, 0.05, 3)
    return SensorModel(
        gain=(balance * rng.uniform(0.8, 1.15)).astype(np.float32),
        blur=rng.uniform(0.3, 1.1),
        read_noise=rng.uniform(0.002, 0.010),
        signal_noise=rng.uniform(0.002, 0.018),
        vignette=rng.uniform(0.0, 0.25),
    )
