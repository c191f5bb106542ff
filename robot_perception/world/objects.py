"""Random objects of each class, and clutter of no class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import math

import numpy as np

from robot_perception.core import Float32Array, Pose, Vector3
from robot_perception.world import colors
from robot_perception.world.materials import (
    BookCover,
    Material,
    Plain,
    Printed,
    Sectors,
    Vessel,
    Wrapped,
)
from robot_perception.world.mesh import bent_tube, cuboid, lathe, merge, Mesh, sphere
from robot_perception.world.vocabulary import CLASSES

SCENERY = -1
_NO_CAP = 2.0
_COVER_M = 0.003
_HANDLE_TUBE_M = 0.0048


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """A shape at the origin: z up, standing on z = 0.

    Attributes:
        mesh: surface.
        material: color of each surface point.
        gloss: strength of the specular highlight in [0, 1].
    """

    mesh: Mesh
    material: Material
    gloss: float


@dataclass(frozen=True, slots=True, eq=False)
class Prop:
    """A body placed in the world.

    Attributes:
        body: shape and material.
        pose: world from body.
        class_id: index in `vocabulary.CLASSES`, or `SCENERY`.
    """

    body: Body
    pose: Pose
    class_id: int = SCENERY


def make_object(class_id: int, rng: np.random.Generator) -> Body:
    """Sample an object of a class, within the size range of `CLASSES`."""
    kind = CLASSES[class_id]
    low, high = np.array(kind.smallest_m), np.array(kind.largest_m)
    part = rng.random(3)
    if kind.smallest_m[0] == kind.smallest_m[1]:
        part[1] = part[0]
    x, y, z = (low + (high - low) * part).tolist()
    return _FACTORIES[kind.name]((x, y, z), rng)


def make_clutter(rng: np.random.Generator) -> Body:
    """Sample an object of no class: a sheet of paper, a cone or a ring."""
    return _CLUTTER[int(rng.integers(len(_CLUTTER)))](rng)


def _ball(size: Vector3, rng: np.random.Generator) -> Body:
    radius = size[0] / 2
    first, second, third = (colors.vivid(rng) for _ in range(3))
    sectors = (
        [first],
        [first, second],
        [first, second, first, third],
        [first, colors.whitish(rng)] * 3,
    )[int(rng.integers(4))]
    cap = 0.92 if len(sectors) > 2 else _NO_CAP
    material = Sectors(np.stack(sectors), cap)
    return Body(sphere(radius).moved((0, 0, radius)), material, rng.uniform(0, 0.5))


def _book(size: Vector3, rng: np.random.Generator) -> Body:
    x, y, z = size[0] / 2, size[1] / 2, size[2]
    inner = _COVER_M * 0.8
    mesh = merge(
        [
            cuboid((-x, -y, 0), (x, y, _COVER_M)),
            cuboid((-x, -y, z - _COVER_M), (x, y, z)),
            cuboid((-x, -y, _COVER_M), (-x + _COVER_M, y, z - _COVER_M)),
            cuboid((-x + _COVER_M, -y + inner, _COVER_M), (x - inner, y - inner, z - _COVER_M)),
        ]
    )
    printed = Printed(colors.label(rng), colors.vivid(rng), 2, (-x, -y, 0), (x, y, z))
    material = BookCover(printed, colors.whitish(rng) * np.float32(0.9), _COVER_M)
    return Body(mesh, material, rng.uniform(0, 0.3))


def _bottle(size: Vector3, rng: np.random.Generator) -> Body:
    r, h = size[0] / 2, size[2]
    shoulder, neck, cap = 0.58 * h, 0.80 * h, 0.89 * h
    bend = [
        (r * (0.36 + 0.64 * (0.5 + 0.5 * math.cos(t * math.pi))), shoulder + (neck - shoulder) * t)
        for t in np.linspace(0, 1, 8)[1:].tolist()
    ]
    profile = [(0, 0), (0.9 * r, 0), (r, 0.02 * h), (r, shoulder), *bend, (0.36 * r, cap)]
    profile += [(0.43 * r, cap), (0.43 * r, 0.99 * h), (0.38 * r, h), (0, h)]
    glass = colors.glassy(rng)
    bands = np.stack([glass, colors.vivid(rng)])
    low = rng.uniform(0.12, 0.25) * h
    label = colors.label(rng) if rng.random() < 0.8 else None
    material = Wrapped(
        np.array([cap], np.float32), bands, label, (low, low + rng.uniform(0.2, 0.33) * h)
    )
    return Body(lathe(profile), material, rng.uniform(0.4, 0.9))


def _bowl(size: Vector3, rng: np.random.Generator) -> Body:
    r, h, wall = size[0] / 2, size[2], 0.004
    foot = 0.45 * r
    turn = np.linspace(0, math.pi / 2, 8)
    radii, heights = foot + (r - foot) * np.sin(turn), h * (1 - np.cos(turn))
    outer = list(zip(radii.tolist(), heights.tolist(), strict=True))
    inner = [(a - wall, wall + b * (h - wall) / h) for a, b in reversed(outer)]
    material = Vessel(
        *_china(rng), _ring(h, rng), np.array([(a - wall / 2, b) for a, b in outer], np.float32), r
    )
    return Body(lathe([(0, 0), *outer, *inner, (0, wall)]), material, rng.uniform(0.2, 0.8))


def _box(size: Vector3, rng: np.random.Generator) -> Body:
    x, y, z = size[0] / 2, size[1] / 2, size[2]
    low, high = (-x, -y, 0.0), (x, y, z)
    material = Printed(colors.label(rng), colors.vivid(rng), 1, low, high)
    return Body(cuboid(low, high), material, rng.uniform(0, 0.3))


def _can(size: Vector3, rng: np.random.Generator) -> Body:
    r, h = size[0] / 2, size[2]
    profile = [(0, 0), (0.8 * r, 0), (r, 0.06 * h), (r, 0.92 * h), (0.86 * r, h)]
    profile += [(0.80 * r, h), (0.80 * r, 0.975 * h), (0, 0.975 * h)]
    metal = colors.linear(np.full(3, rng.uniform(0.65, 0.85)))
    bands = np.stack([metal, colors.vivid(rng), metal])
    ends = np.array([0.05 * h, 0.93 * h], np.float32)
    material = Wrapped(ends, bands, colors.label(rng), (0.08 * h, 0.90 * h))
    return Body(lathe(profile), material, rng.uniform(0.3, 0.9))


def _cup(size: Vector3, rng: np.random.Generator) -> Body:
    r, h, wall = size[1] / 2, size[2], 0.0035
    profile = [(0, 0), (0.82 * r, 0), (r, 0.14 * h), (r, h), (r - wall, h)]
    profile += [(r - wall, 0.15 * h), (0.8 * r, wall), (0, wall)]
    reach = size[0] - size[1] - _HANDLE_TUBE_M
    half = 0.31 * h
    angles = np.linspace(-math.pi / 2, math.pi / 2, 15)
    across, up = r - 0.001 + (reach + 0.001) * np.cos(angles), 0.52 * h + half * np.sin(angles)
    path = np.stack([across, np.zeros(15), up], axis=1)
    mesh = merge([lathe(profile), bent_tube(path, _HANDLE_TUBE_M)])
    half_wall = wall / 2
    wall_rz = np.array([(0.8 * r, wall), (r - half_wall, 0.15 * h), (r - half_wall, h)])
    material = Vessel(*_china(rng), _ring(h, rng), wall_rz.astype(np.float32), r)
    return Body(mesh, material, rng.uniform(0.2, 0.8))


def _china(rng: np.random.Generator) -> tuple[Float32Array, Float32Array, Float32Array]:
    outside = colors.whitish(rng) if rng.random() < 0.3 else colors.vivid(rng)
    inside = colors.whitish(rng) if rng.random() < 0.7 else outside
    return outside, inside, colors.vivid(rng)


def _ring(height_m: float, rng: np.random.Generator) -> tuple[float, float]:
    if rng.random() < 0.5:
        return (1.0, 1.0)
    low = rng.uniform(0.35, 0.8) * height_m
    return (low, low + rng.uniform(0.006, 0.02))


_FACTORIES: dict[str, Callable[[Vector3, np.random.Generator], Body]] = {
    'ball': _ball,
    'book': _book,
    'bottle': _bottle,
    'bowl': _bowl,
    'box': _box,
    'can': _can,
    'cup': _cup,
}


def _paper(rng: np.random.Generator) -> Body:
    """Make a sheet of A4 paper."""
    low, high = (-0.105, -0.1485, 0.0), (0.105, 0.1485, 0.0006)
    material = Printed(colors.written_page(rng), np.full(3, 0.85, np.float32), 2, low, high)
    return Body(cuboid(low, high), material, 0.0)


def _cone(rng: np.random.Generator) -> Body:
    radius, height = rng.uniform(0.045, 0.055), rng.uniform(0.13, 0.16)
    bands = np.stack([colors.vivid(rng), colors.whitish(rng), colors.vivid(rng)])
    ends = np.array([0.35 * height, 0.6 * height], np.float32)
    mesh = lathe([(0, 0), (radius, 0), (0.1 * radius, height), (0, height)])
    return Body(mesh, Wrapped(ends, bands), rng.uniform(0, 0.3))


def _ring_toy(rng: np.random.Generator) -> Body:
    middle, tube = rng.uniform(0.045, 0.055), rng.uniform(0.012, 0.016)
    angles = np.linspace(-math.pi, math.pi, 21).tolist()
    profile = [(middle + tube * math.cos(t), tube + tube * math.sin(t)) for t in angles]
    return Body(lathe(profile), Plain(colors.vivid(rng)), rng.uniform(0, 0.6))


_CLUTTER: tuple[Callable[[np.random.Generator], Body], ...] = (_paper, _cone, _ring_toy)
