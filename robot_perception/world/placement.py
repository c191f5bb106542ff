"""Objects set down on a place so that none stands in another."""

from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np

from robot_perception.core.arrays import Float64Array
from robot_perception.world.furniture import Place, SCENERY, Support, Thing
from robot_perception.world.objects import Body, make_clutter, make_object
from robot_perception.world.pose import Pose, rotation_about
from robot_perception.world.vocabulary import CLASS_NAMES

_TRIES = 12
_GAP_M = 0.004
# Fewest and most objects; clutter at most.
_COUNTS = {'table': (3, 9), 'floor': (3, 8), 'shelf': (5, 12)}
_CLUTTER = 2
# Chance to lie on its side, for classes that may.
_LYING = {'bottle': 0.2, 'can': 0.2, 'box': 0.25}
_SHELVED_UPRIGHT = 0.75
_STACKING = 0.2
_BASES, _STACKABLE = {'book', 'box'}, {'book', 'box', 'can', 'cup'}
_SHELF_TURN_RAD = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class _Footprint:
    """Rectangle on a support.

    Attributes:
        support: index of the support.
        middle_m: (2,) float64 in the support's axes, metres.
        axes: (2, 2) float64, rows are the directions of its sides.
        half_m: (2,) float64, half its sides.

    """

    support: int
    middle_m: Float64Array
    axes: Float64Array
    half_m: Float64Array

    def reach(self, directions: Float64Array) -> Float64Array:
        """Half its width seen along each row of ``directions``."""
        width: Float64Array = np.abs(
            directions @ (self.axes * self.half_m[:, None]).T
        ).sum(axis=1)
        return width

    def overlaps(self, other: _Footprint) -> bool:
        """Whether no straight line has one on each side."""
        if self.support != other.support:
            return False
        normals = np.concatenate([self.axes, other.axes])
        apart = np.abs(normals @ (self.middle_m - other.middle_m))
        return bool(np.all(apart < self.reach(normals) + other.reach(normals) + _GAP_M))


@dataclass(slots=True)
class _Standing:
    """An object that has its place; something may stand on it."""

    thing: Thing
    footprint: _Footprint
    top_m: float
    free: bool


def place_objects(
    place: Place, scene_type: str, rng: np.random.Generator
) -> tuple[list[Thing], list[Thing]]:
    """Draw objects and clutter and set them down.

    Returns:
        The objects, one at least, and the clutter.

    """
    fewest, most = _COUNTS[scene_type]
    wanted = int(rng.integers(fewest, most + 1))
    standing: list[_Standing] = []
    while len(standing) < wanted:
        class_id = int(rng.integers(len(CLASS_NAMES)))
        body = make_object(class_id, rng)
        found = _set_down(body, class_id, place, standing, rng)
        # The first must find a place; a full board ends the others.
        if found is not None:
            standing.append(found)
        elif standing:
            wanted -= 1
    objects = [item.thing for item in standing]
    for _ in range(int(rng.integers(0, _CLUTTER + 1))):
        found = _set_down(make_clutter(rng), SCENERY, place, standing, rng)
        if found is not None:
            standing.append(found)
    return objects, [item.thing for item in standing[len(objects) :]]


def _set_down(
    body: Body,
    class_id: int,
    place: Place,
    standing: list[_Standing],
    rng: np.random.Generator,
) -> _Standing | None:
    name = '' if class_id == SCENERY else CLASS_NAMES[class_id]
    if name in _STACKABLE and rng.random() < _STACKING:
        for base in standing:
            if base.free:
                return _stack(body, class_id, base, place, rng)
    for _ in range(_TRIES):
        index = min(int(rng.geometric(0.5)) - 1, len(place.supports) - 1)
        support = place.supports[index]
        shelved = math.isfinite(support.headroom_m)
        turn = _draw_turn(name, rng, shelved=shelved)
        footprint, height = _footprint(body, turn, index)
        spot = _draw_spot(support, footprint, rng)
        if spot is None or height > support.headroom_m:
            continue
        here = _Footprint(index, spot, footprint.axes, footprint.half_m)
        if not any(here.overlaps(item.footprint) for item in standing):
            free = name in _BASES and not shelved
            return _stand(body, class_id, support, here, turn, base_m=0.0, free=free)
    return None


def _draw_turn(name: str, rng: np.random.Generator, *, shelved: bool) -> Float64Array:
    """Rotation of the thing in the axes of its support."""
    heading = rng.uniform(-math.pi, math.pi)
    tilt = np.eye(3)
    if shelved and name == 'book':
        # On its short edge with the spine, at low x, to the front.
        if rng.random() < _SHELVED_UPRIGHT:
            tilt = rotation_about(0, math.pi / 2)
            heading = rng.uniform(-_SHELF_TURN_RAD, _SHELF_TURN_RAD)
    elif rng.random() < _LYING.get(name, 0.0):
        tilt = rotation_about(0, math.pi / 2)
    return Pose(rotation_about(2, heading), np.zeros(3)).compose(Pose(tilt, np.zeros(3))).rotation


def _footprint(body: Body, turn: Float64Array, support: int) -> tuple[_Footprint, float]:
    """Smallest upright box about the turned thing: its base and its height."""
    low, high = body.mesh.vertices_m.min(axis=0), body.mesh.vertices_m.max(axis=0)
    half = (high - low).astype(np.float64) / 2
    upright = int(np.argmax(np.abs(turn[2])))
    level = [axis for axis in range(3) if axis != upright]
    axes = turn[:2, level].T
    return _Footprint(support, np.zeros(2), axes, half[level]), float(2 * half[upright])


def _draw_spot(
    support: Support, footprint: _Footprint, rng: np.random.Generator
) -> Float64Array | None:
    """Draw a middle that keeps the footprint on the support, likelier near its middle."""
    room = np.array(support.half_m) - footprint.reach(np.eye(2))
    if np.any(room < 0):
        return None
    spot: Float64Array = np.clip(rng.normal(0, 0.55, 2), -1, 1) * room
    return spot


def _stand(
    body: Body,
    class_id: int,
    support: Support,
    footprint: _Footprint,
    turn: Float64Array,
    *,
    base_m: float,
    free: bool,
) -> _Standing:
    """Shift the turned thing so that its box stands on the footprint."""
    turned = Pose(turn, np.zeros(3)).apply(body.mesh.vertices_m.astype(np.float64))
    low, high = turned.min(axis=0), turned.max(axis=0)
    mesh = body.mesh.vertices_m
    middle = (mesh.min(axis=0).astype(np.float64) + mesh.max(axis=0)) / 2
    center = Pose(turn, np.zeros(3)).apply(middle)
    shift = np.array([*(footprint.middle_m - center[:2]), base_m - low[2]])
    pose = support.pose.compose(Pose(turn, shift))
    top = base_m + float(high[2] - low[2])
    return _Standing(Thing(body, pose, class_id), footprint, top, free)


def _stack(
    body: Body, class_id: int, base: _Standing, place: Place, rng: np.random.Generator
) -> _Standing:
    """Set a thing upright onto another, middle above middle."""
    turn = rotation_about(2, rng.uniform(-math.pi, math.pi))
    below = base.footprint
    footprint, _ = _footprint(body, turn, below.support)
    here = _Footprint(below.support, below.middle_m, footprint.axes, footprint.half_m)
    base.free = False
    support = place.supports[below.support]
    return _stand(body, class_id, support, here, turn, base_m=base.top_m, free=False)
