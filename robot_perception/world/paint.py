"""What colour a surface has at a point.

Colours are linear: (3,) float32 in [0, 1], proportional to the light that comes back. Points and
normals come with their components first, (3, N), in the axes of the thing itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import math

import numpy as np

from robot_perception.core import Float32Array, Vector3
from robot_perception.world.textures import Texture

# Points (3, N) metres, normals (3, N), footprint of the pixel (N,) metres -> (3, N).
Paint = Callable[[Float32Array, Float32Array, Float32Array], Float32Array]

_UP = np.float32(0.7)


@dataclass(frozen=True, slots=True, eq=False)
class Textured:
    """A pattern laid flat on each side, in the two axes that lie in it.

    Attributes:
        texture: the pattern.
        colors: (2, 3) float32, first and second colour.
        swap: lay it the other way round on level sides.

    """

    texture: Texture
    colors: Float32Array
    swap: bool = False

    def __call__(
        self, points: Float32Array, normals: Float32Array, footprint: Float32Array
    ) -> Float32Array:
        """Colour the points."""
        x, y, z = points
        steep = np.abs(normals)
        level = (steep[2] >= steep[0]) & (steep[2] >= steep[1])
        facing_x = ~level & (steep[0] >= steep[1])
        first, second = (y, x) if self.swap else (x, y)
        u = np.where(facing_x, y, np.where(level, first, x))
        v = np.where(level, second, z)
        blend, tone = self.texture.sample(u, v, footprint)
        start, step = self.colors[0][:, None], (self.colors[1] - self.colors[0])[:, None]
        colored: Float32Array = (start + step * blend) * tone
        return colored


@dataclass(frozen=True, slots=True, eq=False)
class Plain:
    """One colour all over: (3,) float32."""

    color: Float32Array

    def __call__(
        self, points: Float32Array, normals: Float32Array, footprint: Float32Array
    ) -> Float32Array:
        """Colour the points."""
        del normals, footprint
        return _flood(self.color, points)


@dataclass(frozen=True, slots=True, eq=False)
class Printed:
    """A box with a picture on its two broad sides, another colour on the others.

    Attributes:
        label: (H, W, 3) float32, the picture.
        color: (3,) float32, the other sides.
        axis: the axis the broad sides face, 0 to 2.
        low_m, high_m: corners of the box, metres.

    """

    label: Float32Array
    color: Float32Array
    axis: int
    low_m: Vector3
    high_m: Vector3

    def __call__(
        self, points: Float32Array, normals: Float32Array, footprint: Float32Array
    ) -> Float32Array:
        """Colour the points."""
        del footprint
        colored = _flood(self.color, points)
        broad = np.abs(normals[self.axis]) > _UP
        across, along = (0, 1) if self.axis == 2 else (1 - self.axis, 2)
        u, v = (
            (points[axis] - np.float32(self.low_m[axis]))
            / np.float32(self.high_m[axis] - self.low_m[axis])
            for axis in (across, along)
        )
        # The far side is seen from behind: turned round, its picture reads the right way.
        u = np.where(normals[self.axis] * (1 if self.axis == 0 else -1) > 0, u, 1 - u)
        picture = _look_up(self.label, u, 1 - v)
        return np.where(broad, picture, colored)


@dataclass(frozen=True, slots=True, eq=False)
class Wrapped:
    """A thing turned on a lathe, coloured in bands by height, with a label round it.

    Attributes:
        heights_m: (B,) float32, rising; where a band ends and the next begins.
        colors: (B + 1, 3) float32.
        label: (H, W, 3) float32 or None, once round.
        label_m: lower and upper end of the label, metres.

    """

    heights_m: Float32Array
    colors: Float32Array
    label: Float32Array | None = None
    label_m: tuple[float, float] = (0.0, 1.0)

    def __call__(
        self, points: Float32Array, normals: Float32Array, footprint: Float32Array
    ) -> Float32Array:
        """Colour the points."""
        del footprint
        x, y, z = points
        colored: Float32Array = self.colors.T[:, np.searchsorted(self.heights_m, z)]
        if self.label is None:
            return colored
        low, high = map(np.float32, self.label_m)
        inside = (z > low) & (z < high) & (np.abs(normals[2]) < _UP)
        u = np.arctan2(y, x) * np.float32(0.5 / math.pi) + np.float32(0.5)
        picture = _look_up(self.label, u, (high - z) / (high - low))
        return np.where(inside, picture, colored)


@dataclass(frozen=True, slots=True, eq=False)
class Hollow:
    """A vessel: one colour inside, another outside with a ring round it.

    Attributes:
        outside, inside, ring: (3,) float32, colours.
        ring_m: lower and upper end of the ring, metres.
        wall_rz: radius and height, metres, of points halfway through the wall, upwards.
        reach_m: beyond this radius all is outside: a handle has inner sides too, metres.

    """

    outside: Float32Array
    inside: Float32Array
    ring: Float32Array
    ring_m: tuple[float, float]
    wall_rz: Float32Array
    reach_m: float

    def __call__(
        self, points: Float32Array, normals: Float32Array, footprint: Float32Array
    ) -> Float32Array:
        """Colour the points."""
        del footprint, normals
        radius = np.sqrt(points[0] ** 2 + points[1] ** 2)
        wall = np.interp(points[2], self.wall_rz[:, 1], self.wall_rz[:, 0])
        within = (radius < wall) & (radius < self.reach_m) & (points[2] > self.wall_rz[0, 1])
        low, high = self.ring_m
        ringed = (points[2] > low) & (points[2] < high) & ~within
        colored = _flood(self.outside, points)
        colored = np.where(ringed, self.ring[:, None], colored)
        return np.where(within, self.inside[:, None], colored)


@dataclass(frozen=True, slots=True, eq=False)
class Sectors:
    """A ball of coloured gores, or of two halves.

    Attributes:
        colors: (K, 3) float32, round the axis z.
        cap: cosine above which the poles are of the first colour; above 1: no caps.

    """

    colors: Float32Array
    cap: float

    def __call__(
        self, points: Float32Array, normals: Float32Array, footprint: Float32Array
    ) -> Float32Array:
        """Colour the points."""
        del points, footprint
        count = len(self.colors)
        turn = np.arctan2(normals[1], normals[0]) * np.float32(count / (2 * math.pi)) + count
        gore = np.floor(turn).astype(np.int32) % count
        gore[np.abs(normals[2]) > self.cap] = 0
        colored: Float32Array = self.colors.T[:, gore]
        return colored


@dataclass(frozen=True, slots=True, eq=False)
class Bound:
    """A lying book: a cover with a picture, a spine at low x, pages on the other three sides.

    Attributes:
        cover: how the cover is printed.
        pages: (3,) float32.
        inset_m: where the pages begin, seen from the outside, metres.

    """

    cover: Printed
    pages: Float32Array
    inset_m: float

    def __call__(
        self, points: Float32Array, normals: Float32Array, footprint: Float32Array
    ) -> Float32Array:
        """Colour the points."""
        low, high = self.cover.low_m, self.cover.high_m
        board = np.float32(self.inset_m)
        between = (points[2] > low[2] + board) & (points[2] < high[2] - board)
        paper = between & (points[0] > low[0] + board)
        # Edges of sheets: too fine to see one by one, so a band here and there.
        leaves = 1 + 0.08 * np.sin(points[2] * np.float32(2200))
        covered = self.cover(points, normals, footprint)
        return np.where(paper, self.pages[:, None] * leaves, covered).astype(np.float32)


def _flood(color: Float32Array, points: Float32Array) -> Float32Array:
    return np.repeat(color[:, None], points.shape[1], axis=1)


def _look_up(label: Float32Array, u: Float32Array, v: Float32Array) -> Float32Array:
    height, width = label.shape[:2]
    column = np.clip((u * width).astype(np.int32), 0, width - 1)
    row = np.clip((v * height).astype(np.int32), 0, height - 1)
    picture: Float32Array = label[row, column].T
    return picture
