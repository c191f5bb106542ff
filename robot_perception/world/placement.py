"""Random placement of objects on supports, without overlap."""

from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np

from robot_perception.core import Float64Array, Pose
from robot_perception.world.layout import Layout, Support
from robot_perception.world.objects import Body, make_clutter, make_object, Prop, SCENERY
from robot_perception.world.view import rotation_about
from robot_perception.world.vocabulary import CLASS_NAMES

_TRIES = 12
_GAP_M = 0.004
# Smallest and largest count of objects.
_COUNTS = {'table': (3, 10), 'floor': (3, 10), 'shelf': (5, 13)}
# Standard deviation of positions, as a fraction of the free margin: from clustered to scattered.
_SPREADS = (0.22, 0.65)
_MAX_CLUTTER = 2
# Of lying on its side, for classes that may.
_LYING_PROBABILITY = {'bottle': 0.2, 'can': 0.2, 'box': 0.25}
_UPRIGHT_PROBABILITY = 0.75
_STACKING_PROBABILITY = 0.2
_BASES, _STACKABLE = {'book', 'box'}, {'book', 'box', 'can', 'cup'}
_SHELF_TURN_RAD = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class _Footprint:
    """Rectangle on a support.

    Attributes:
        support: index of the support.
        center_m: (2,) float64 in the support's axes, meters.
        axes: (2, 2) float64, unit directions of its sides, one per row.
        half_m: (2,) float64, half its sides.
    """

    support: int
    center_m: Float64Array
    axes: Float64Array
    half_m: Float64Array

    def reach(self, directions: Float64Array) -> Float64Array:
        """Compute half the extent along each row of ``directions``."""
        width: Float64Array = np.abs(directions @ (self.axes * self.half_m[:, None]).T).sum(axis=1)
        return width

    def overlaps(self, other: _Footprint) -> bool:
        """Return whether two rectangles overlap (separating axis theorem)."""
        if self.support != other.support:
            return False
        normals = np.concatenate([self.axes, other.axes])
        apart = np.abs(normals @ (self.center_m - other.center_m))
        return bool(np.all(apart < self.reach(normals) + other.reach(normals) + _GAP_M))


@dataclass(slots=True)
class _Placed:
    """An object at its final pose; ``free`` if another may be stacked on it."""

    prop: Prop
    footprint: _Footprint
    top_m: float
    free: bool


@dataclass(slots=True)
class _Arrangement:
    """The layout and the objects placed so far."""

    layout: Layout
    spread: float
    placed: list[_Placed]


def place_objects(
    layout: Layout, scene_type: str, rng: np.random.Generator
) -> tuple[list[Prop], list[Prop]]:
    """Sample objects and clutter with their poses.

    Returns:
        The objects, at least one, and the clutter.
    """
    fewest, most = _COUNTS[scene_type]
    wanted = int(rng.integers(fewest, most + 1))
    # On a shelf objects use the whole board.
    spread = _SPREADS[1] if scene_type == 'shelf' else rng.uniform(*_SPREADS)
    arrangement = _Arrangement(layout, spread, [])
    placed = arrangement.placed
    while len(placed) < wanted:
        class_id = int(rng.integers(len(CLASS_NAMES)))
        # At least one object must fit; after that a failure lowers the count.
        if not _try_place(make_object(class_id, rng), class_id, arrangement, rng) and placed:
            wanted -= 1
    count = len(placed)
    for _ in range(int(rng.integers(0, _MAX_CLUTTER + 1))):
        _try_place(make_clutter(rng), SCENERY, arrangement, rng)
    props = [item.prop for item in placed]
    return props[:count], props[count:]


def _try_place(
    body: Body, class_id: int, arrangement: _Arrangement, rng: np.random.Generator
) -> bool:
    """Place a body at random; return whether it fitted."""
    name = '' if class_id == SCENERY else CLASS_NAMES[class_id]
    if name in _STACKABLE and rng.random() < _STACKING_PROBABILITY:
        for base in arrangement.placed:
            if base.free:
                arrangement.placed.append(_stack(body, class_id, base, arrangement.layout, rng))
                return True
    supports = arrangement.layout.supports
    for _ in range(_TRIES):
        index = min(int(rng.geometric(0.5)) - 1, len(supports) - 1)
        support = supports[index]
        shelved = math.isfinite(support.headroom_m)
        turn = _sample_rotation(name, rng, shelved=shelved)
        footprint, height = _footprint(body, turn, index)
        position = _sample_position(support, footprint, arrangement.spread, rng)
        if position is None or height > support.headroom_m:
            continue
        moved = _Footprint(index, position, footprint.axes, footprint.half_m)
        if not any(moved.overlaps(item.footprint) for item in arrangement.placed):
            free = name in _BASES and not shelved
            prop = Prop(body, _resting_pose(body, support, moved, turn, base_m=0.0), class_id)
            arrangement.placed.append(_Placed(prop, moved, height, free))
            return True
    return False


def _sample_rotation(name: str, rng: np.random.Generator, *, shelved: bool) -> Float64Array:
    """Sample the rotation of an object relative to its support."""
    heading = rng.uniform(-math.pi, math.pi)
    tilt = np.eye(3)
    if shelved and name == 'book':
        # Upright on its short edge, the spine (at low x) to the front.
        if rng.random() < _UPRIGHT_PROBABILITY:
            tilt = rotation_about(0, math.pi / 2)
            heading = rng.uniform(-_SHELF_TURN_RAD, _SHELF_TURN_RAD)
    elif rng.random() < _LYING_PROBABILITY.get(name, 0.0):
        tilt = rotation_about(0, math.pi / 2)
    return Pose(rotation_about(2, heading), np.zeros(3)).compose(Pose(tilt, np.zeros(3))).rotation


def _footprint(body: Body, turn: Float64Array, support: int) -> tuple[_Footprint, float]:
    """Compute base and height of the bounding box of a rotated body."""
    half = (body.mesh.high_m - body.mesh.low_m) / 2
    upright = int(np.argmax(np.abs(turn[2])))
    level = [axis for axis in range(3) if axis != upright]
    axes = turn[:2, level].T
    return _Footprint(support, np.zeros(2), axes, half[level]), float(2 * half[upright])


def _sample_position(
    support: Support, footprint: _Footprint, spread: float, rng: np.random.Generator
) -> Float64Array | None:
    """Sample a center that keeps the footprint on the support; None if it does not fit."""
    margin = np.array(support.half_m) - footprint.reach(np.eye(2))
    if np.any(margin < 0):
        return None
    position: Float64Array = np.clip(rng.normal(0, spread, 2), -1, 1) * margin
    return position


def _resting_pose(
    body: Body, support: Support, footprint: _Footprint, turn: Float64Array, *, base_m: float
) -> Pose:
    """Compute world from body for a body whose box rests on the footprint."""
    mesh = body.mesh
    center = Pose(turn, np.zeros(3)).apply((mesh.low_m + mesh.high_m) / 2)
    # One axis is vertical: its length is the height.
    height = float(np.abs(turn[2]) @ (mesh.high_m - mesh.low_m))
    shift = np.array([*(footprint.center_m - center[:2]), base_m + height / 2 - center[2]])
    return support.pose.compose(Pose(turn, shift))


def _stack(
    body: Body, class_id: int, base: _Placed, layout: Layout, rng: np.random.Generator
) -> _Placed:
    """Stack an upright body on another, centers aligned."""
    turn = rotation_about(2, rng.uniform(-math.pi, math.pi))
    below = base.footprint
    footprint, height = _footprint(body, turn, below.support)
    moved = _Footprint(below.support, below.center_m, footprint.axes, footprint.half_m)
    base.free = False
    pose = _resting_pose(body, layout.supports[below.support], moved, turn, base_m=base.top_m)
    return _Placed(Prop(body, pose, class_id), moved, base.top_m + height, free=False)
