"""Mutations of transforms, and which of them no reader may use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
import math
import random

from robot_perception.conversions import Message, MessageFactory, ros
from robot_perception.faults.mutation import Mutated, seeded, Verdict

_NUMBERS = (math.nan, math.inf, -math.inf)
_ROTATIONS = (
    *((0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 2.0), (1.0, 1.0, 1.0, 1.0)),
    *((math.nan, 0.0, 0.0, 1.0), (math.inf, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1e-300)),
)


@dataclass(frozen=True, slots=True)
class TransformFields:
    """The fields of a geometry_msgs/msg/TransformStamped."""

    parent: str = 'map'
    child: str = 'camera_optical_frame'
    sec: int = 0
    nanosec: int = 0
    translation: tuple[float, float, float] = (1.0, 2.0, 3.0)
    rotation: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 1.0)

    def message(self, factory: MessageFactory) -> Message:
        """Build a tf2_msgs/msg/TFMessage with this transform alone."""
        x, y, z = self.translation
        i, j, k, w = self.rotation
        stamp = factory(ros.Time, sec=self.sec, nanosec=self.nanosec)
        one = factory(
            ros.TransformStamped,
            header=factory(ros.Header, stamp=stamp, frame_id=self.parent),
            child_frame_id=self.child,
            transform=factory(
                ros.Transform,
                translation=factory(ros.Vector3, x=x, y=y, z=z),
                rotation=factory(ros.Quaternion, x=i, y=j, z=k, w=w),
            ),
        )
        return factory(ros.TFMessage, transforms=[one])


_Change = Callable[[random.Random, TransformFields], tuple[TransformFields, Verdict]]


def _rotation(rng: random.Random, good: TransformFields) -> tuple[TransformFields, Verdict]:
    return replace(good, rotation=rng.choice(_ROTATIONS)), Verdict.REFUSED


def _translation(rng: random.Random, good: TransformFields) -> tuple[TransformFields, Verdict]:
    axis = rng.randrange(3)
    values = tuple(rng.choice(_NUMBERS) if at == axis else 0.0 for at in range(3))
    return replace(good, translation=values), Verdict.REFUSED  # type: ignore[arg-type]


def _stamp(rng: random.Random, good: TransformFields) -> tuple[TransformFields, Verdict]:
    sec, nanosec = rng.choice(((-1, 0), (-(2**31), 0), (0, 10**9), (0, 2**32 - 1)))
    return replace(good, sec=sec, nanosec=nanosec), Verdict.REFUSED


def _frames(rng: random.Random, good: TransformFields) -> tuple[TransformFields, Verdict]:
    long = 'f' * 65536
    frames = (('', good.child), ('map', ''), ('', ''), ('map', 'map'), ('map', long))
    parent, child = rng.choice(frames)
    return replace(good, parent=parent, child=child), Verdict.REFUSED


def _loop(rng: random.Random, good: TransformFields) -> tuple[TransformFields, Verdict]:
    """Name frames that are elsewhere in no tree, in a circle."""
    first, second = rng.sample(('a', 'b', 'c'), 2)
    return replace(good, parent=first, child=second), Verdict.LEGAL


def _unchanged(_: random.Random, good: TransformFields) -> tuple[TransformFields, Verdict]:
    return good, Verdict.LEGAL


MUTATORS: tuple[_Change, ...] = (_rotation, _translation, _stamp, _frames, _loop, _unchanged)


def mutated_transforms(count: int, seed: int = 0) -> Iterator[Mutated[TransformFields]]:
    """Yield ``count`` transforms of a camera; those that are legal do not move it."""
    rng = seeded(seed)
    for number in range(count):
        change = MUTATORS[number % len(MUTATORS)]
        good = TransformFields(sec=1000 + number)
        fields, verdict = change(rng, good)
        yield Mutated(f'{number}-{change.__name__.lstrip("_")}', fields, verdict)
