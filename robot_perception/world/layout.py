"""Layouts of the three scene types: the supports for objects and the room around them.

The z axis points up and the floor is z = 0. The objects are near the origin, the camera is on the
side of negative x.
"""

from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np

from robot_perception.core import Float32Array, Float64Array, Pose
from robot_perception.world import colors
from robot_perception.world.materials import Textured
from robot_perception.world.mesh import cuboid, merge, Mesh, sheet
from robot_perception.world.objects import Body, Prop
from robot_perception.world.textures import texture
from robot_perception.world.view import rotation_about

_FLOOR_SPAN_M = 5.0
_WALL_HEIGHT_M = 2.6


@dataclass(frozen=True, slots=True, eq=False)
class Support:
    """A horizontal rectangle that objects can stand on.

    Attributes:
        pose: world from the center of the rectangle.
        half_m: half its length and width, meters.
        headroom_m: free height above it, meters.
    """

    pose: Pose
    half_m: tuple[float, float]
    headroom_m: float = math.inf


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """A scene without objects.

    Attributes:
        props: furniture, floor and walls.
        supports: surfaces for objects, those nearest to the image center first.
        focus_m: (3,) float64, target of the camera, meters.
    """

    props: tuple[Prop, ...]
    supports: tuple[Support, ...]
    focus_m: Float64Array


def sample_layout(scene_type: str, rng: np.random.Generator) -> Layout:
    """Sample a layout of one of `vocabulary.SCENE_TYPES`."""
    return {'table': _table, 'floor': _floor, 'shelf': _shelf}[scene_type](rng)


def _table(rng: np.random.Generator) -> Layout:
    length, width = rng.uniform(0.70, 0.84), rng.uniform(1.1, 1.5)
    height, slab, inset = rng.uniform(0.70, 0.78), 0.03, 0.04
    x, y = length / 2, width / 2
    leg = 0.03
    feet = [(sx * (x - inset), sy * (y - inset)) for sx in (-1, 1) for sy in (-1, 1)]
    legs = [cuboid((a - leg, b - leg, 0), (a + leg, b + leg, height - slab)) for a, b in feet]
    turn = Pose(rotation_about(2, rng.uniform(-0.3, 0.3)), np.zeros(3))
    cover = str(rng.choice(['planks', 'planks', 'checker', 'weave', 'speckle', 'plaster']))
    frame = Textured(texture('plaster'), _with_darker(colors.muted(rng), rng, 0.2))
    top = _textured(cuboid((-x, -y, height - slab), (x, y, height)), cover, rng)
    props = (
        Prop(top, turn),
        Prop(Body(merge(legs), frame, 0.0), turn),
        *_room(rng, float(rng.uniform(0.55, 1.8))),
    )
    up = np.array([0.0, 0.0, height])
    support = Support(Pose(turn.rotation, up), (x - inset, min(y - inset, 0.5)))
    aside = np.array([rng.uniform(-0.12, 0.05), rng.uniform(-0.12, 0.12), 0.04])
    return Layout(props, (support,), turn.compose(Pose(np.eye(3), up + aside)).translation_m)


def _floor(rng: np.random.Generator) -> Layout:
    support = Support(Pose.identity(), (0.5, 0.55))
    focus = np.array([rng.uniform(-0.1, 0.1), rng.uniform(-0.1, 0.1), 0.03])
    return Layout(tuple(_room(rng, float(rng.uniform(0.65, 2.4)))), (support,), focus)


def _shelf(rng: np.random.Generator) -> Layout:
    depth, half, board = rng.uniform(0.26, 0.32), rng.uniform(0.40, 0.50), 0.02
    gap = rng.uniform(0.29, 0.36)
    heights = [0.25 + gap * level for level in range(5)]
    x = depth / 2
    planks = [cuboid((-x, -half, z - board), (x, half, z)) for z in heights]
    sides = [
        cuboid((-x, side - board / 2, 0), (x, side + board / 2, heights[-1]))
        for side in (-half, half)
    ]
    cover = str(rng.choice(['planks', 'planks', 'plaster', 'speckle']))
    shelf = _textured(merge([*planks, *sides]), cover, rng, swap=True)
    back = _textured(cuboid((x, -half, 0), (x + 0.01, half, heights[-1])), 'plaster', rng)
    middle = int(rng.integers(1, 3))
    supports = tuple(
        Support(Pose(np.eye(3), np.array([0, 0, heights[level]])), (x, half - 0.02), gap - board)
        for level in (middle, middle + 1, middle - 1)
    )
    focus = np.array([-x, rng.uniform(-0.12, 0.12), heights[middle] + rng.uniform(0.05, 0.2)])
    room = _room(rng, x + 0.02, turn=0.0)
    return Layout(
        (Prop(shelf, Pose.identity()), Prop(back, Pose.identity()), *room), supports, focus
    )


def _room(rng: np.random.Generator, far_m: float, turn: float | None = None) -> list[Prop]:
    """Sample the floor and walls; in 12 % of the rooms the far wall is missing."""
    angle = rng.uniform(-0.35, 0.35) if turn is None else turn
    pose = Pose(rotation_about(2, angle), np.zeros(3))
    span = _FLOOR_SPAN_M
    corners = [[-span, -span, 0], [span, -span, 0], [span, span, 0], [-span, span, 0]]
    ground = sheet(np.array(corners), _UP)
    pattern = str(rng.choice(['planks', 'tiles', 'tiles', 'speckle', 'checker']))
    props = [Prop(_textured(ground, pattern, rng), pose)]
    side = rng.uniform(1.6, 3.0)
    wall = str(rng.choice(['plaster', 'plaster', 'bricks', 'stripes']))
    walls = [_wall((-3.0, -side), (-3.0, side)), _wall((-3.0, side), (far_m, side))]
    walls.append(_wall((far_m, -side), (-3.0, -side)))
    open_hall = turn is None and rng.random() < 0.12
    if not open_hall:
        walls.append(_wall((far_m, side), (far_m, -side)))
        edge = cuboid((far_m - 0.015, -side, 0), (far_m, side, 0.08))
        props.append(Prop(_textured(edge, 'plaster', rng), pose))
    props.append(Prop(_textured(merge(walls), wall, rng), pose))
    return props


_UP = (0.0, 0.0, 1.0)
# Contrast between the two colors of a pattern.
_CONTRASTS = {'plaster': 0.15, 'speckle': 0.6, 'stripes': 0.4, 'tiles': 0.7}


def _wall(start: tuple[float, float], end: tuple[float, float]) -> Mesh:
    """Make a wall from ``start`` to ``end`` whose normal points to the right of that direction."""
    length = math.dist(start, end)
    normal = ((end[1] - start[1]) / length, (start[0] - end[0]) / length, 0.0)
    low = [[*start, 0], [*end, 0]]
    high = [[*end, _WALL_HEIGHT_M], [*start, _WALL_HEIGHT_M]]
    return sheet(np.array(low + high), normal)


def _textured(mesh: Mesh, pattern: str, rng: np.random.Generator, *, swap: bool = False) -> Body:
    """Make a body with a textured surface in random colors."""
    gloss = {'planks': 0.12, 'tiles': 0.2}.get(pattern, 0.0)
    return Body(mesh, Textured(texture(pattern), _two_colors(pattern, rng), swap), gloss)


def _two_colors(pattern: str, rng: np.random.Generator) -> Float32Array:
    """Sample the two colors of a pattern: (2, 3)."""
    if pattern == 'planks':
        return colors.wooden(rng)
    if pattern in _CONTRASTS:
        return _with_darker(colors.muted(rng), rng, _CONTRASTS[pattern])
    if pattern == 'bricks':
        painted = rng.random() < 0.5
        shade = rng.uniform(0.85, 1.1)
        brick = colors.linear(shade * np.array([0.62, 0.36, 0.28]))
        first = colors.whitish(rng) if painted else brick
        return np.stack([first, first * np.float32(0.55) if painted else colors.muted(rng)])
    return np.stack([colors.vivid(rng), colors.whitish(rng)])


def _with_darker(first: Float32Array, rng: np.random.Generator, contrast: float) -> Float32Array:
    """Return a color and a darker one: (2, 3)."""
    return np.stack([first, first * np.float32(1 - contrast * rng.uniform(0.6, 1.0))])
