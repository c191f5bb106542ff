"""Objects set down on a place so that none stands in another."""

from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np

from robot_perception.core import Float64Array
from robot_perception.world.furniture import Place, SCENERY, Support, Thing
from robot_perception.world.objects import Body, make_clutter, make_object
from robot_perception.world.pose import Pose, rotation_about
from robot_perception.world.vocabulary import CLASS_NAMES

_TRIES = 12
_GAP_M = 0.004
# Fewest and most objects; clutter at most.
_COUNTS = {'table': (3, 10), 'floor': (3, 10), 'shelf': (5, 13)}
# How far objects keep from the middle, as a share of the room they have: heaped or scattered.
_SPREADS = (0.22, 0.65)
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
        width: Float64Array = np.abs(directions @ (self.axes * self.half_m[:, None]).T).sum(axis=1)
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


@dataclass(slots=True)
class _Scatter:
    """Where things may be put, and what stands already."""

    place: Place
    spread: float
    standing: list[_Standing]


def place_objects(
    place: Place, scene_type: str, rng: np.random.Generator
) -> tuple[list[Thing], list[Thing]]:
    """Draw objects and clutter and set them down.

    Returns:
        The objects, one at least, and the clutter.

    """
    fewest, most = _COUNTS[scene_type]
    wanted = int(rng.integers(fewest, most + 1))
    # On a shelf the whole board is used.
    spread = _SPREADS[1] if scene_type == 'shelf' else rng.uniform(*_SPREADS)
    scatter = _Scatter(place, spread, [])
    standing = scatter.standing
    while len(standing) < wanted:
        class_id = int(rng.integers(len(CLASS_NAMES)))
        # The first must find a place; a full board ends the others.
        if not _set_down(make_object(class_id, rng), class_id, scatter, rng) and standing:
            wanted -= 1
    count = len(standing)
    for _ in range(int(rng.integers(0, _CLUTTER + 1))):
        _set_down(make_clutter(rng), SCENERY, scatter, rng)
    things = [item.thing for item in standing]
    return things[:count], things[count:]


def _set_down(body: Body, class_id: int, scatter: _Scatter, rng: np.random.Generator) -> bool:
    """Find a place for a thing; returns whether there was one."""
    name = '' if class_id == SCENERY else CLASS_NAMES[class_id]
    if name in _STACKABLE and rng.random() < _STACKING:
        for base in scatter.standing:
            if base.free:
                scatter.standing.append(_stack(body, class_id, base, scatter.place, rng))
                return True
    supports = scatter.place.supports
    for _ in range(_TRIES):
        index = min(int(rng.geometric(0.5)) - 1, len(supports) - 1)
        support = supports[index]
        shelved = math.isfinite(support.headroom_m)
        turn = _draw_turn(name, rng, shelved=shelved)
        footprint, height = _footprint(body, turn, index)
        spot = _draw_spot(support, footprint, scatter.spread, rng)
        if spot is None or height > support.headroom_m:
            continue
        here = _Footprint(index, spot, footprint.axes, footprint.half_m)
        if not any(here.overlaps(item.footprint) for item in scatter.standing):
            free = name in _BASES and not shelved
            thing = Thing(body, _standing_pose(body, support, here, turn, base_m=0.0), class_id)
            scatter.standing.append(_Standing(thing, here, height, free))
            return True
    return False


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
    half = (body.mesh.high_m - body.mesh.low_m) / 2
    upright = int(np.argmax(np.abs(turn[2])))
    level = [axis for axis in range(3) if axis != upright]
    axes = turn[:2, level].T
    return _Footprint(support, np.zeros(2), axes, half[level]), float(2 * half[upright])


def _draw_spot(
    support: Support, footprint: _Footprint, spread: float, rng: np.random.Generator
) -> Float64Array | None:
    """Draw a middle that keeps the footprint on the support, likelier near its middle."""
    room = np.array(support.half_m) - footprint.reach(np.eye(2))
    if np.any(room < 0):
        return None
    spot: Float64Array = np.clip(rng.normal(0, spread, 2), -1, 1) * room
    return spot


def _standing_pose(
    body: Body, support: Support, footprint: _Footprint, turn: Float64Array, *, base_m: float
) -> Pose:
    """Shift the turned thing so that its box stands on the footprint."""
    mesh = body.mesh
    center = Pose(turn, np.zeros(3)).apply((mesh.low_m + mesh.high_m) / 2)
    # One of its axes is upright, so the box is as high as it is long along that one.
    height = float(np.abs(turn[2]) @ (mesh.high_m - mesh.low_m))
    shift = np.array([*(footprint.middle_m - center[:2]), base_m + height / 2 - center[2]])
    return support.pose.compose(Pose(turn, shift))


def _stack(
    body: Body, class_id: int, base: _Standing, place: Place, rng: np.random.Generator
) -> _Standing:
    """Set a thing upright onto another, middle above middle."""
    turn = rotation_about(2, rng.uniform(-math.pi, math.pi))
    below = base.footprint
    footprint, height = _footprint(body, turn, below.support)
    here = _Footprint(below.support, below.middle_m, footprint.axes, footprint.half_m)
    base.free = False
    pose = _standing_pose(body, place.supports[below.support], here, turn, base_m=base.top_m)
    return _Standing(Thing(body, pose, class_id), here, base.top_m + height, free=False)
