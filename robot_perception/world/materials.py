"""Materials: the color of a surface at a point.

Colors are linear albedos, (3,) float32 in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import math

import numpy as np

from robot_perception.core import Float32Array, Vector3
from robot_perception.world.textures import Texture

_FACING_COSINE = np.float32(0.7)


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """N points on a body, in its frame.

    Attributes:
        points: (3, N) float32, meters.
        normals: (3, N) float32, unit length.
        footprint: (N,) float32, width of the pixel at each point, meters.
    """

    points: Float32Array
    normals: Float32Array
    footprint: Float32Array


# Returns the color of each point, (3, N) float32.
Material = Callable[[Surface], Float32Array]


@dataclass(frozen=True, slots=True, eq=False)
class Textured:
    """A texture on each face, mapped along the two axes of the face.

    Attributes:
        texture: the pattern.
        colors: (2, 3) float32, first and second color.
        swap: exchange the two axes on horizontal faces.
    """

    texture: Texture
    colors: Float32Array
    swap: bool = False

    def __call__(self, surface: Surface) -> Float32Array:
        """Return the color of each point."""
        x, y, z = surface.points
        steep = np.abs(surface.normals)
        level = (steep[2] >= steep[0]) & (steep[2] >= steep[1])
        facing_x = ~level & (steep[0] >= steep[1])
        first, second = (y, x) if self.swap else (x, y)
        u = np.where(facing_x, y, np.where(level, first, x))
        v = np.where(level, second, z)
        blend, tone = self.texture.sample(u, v, surface.footprint)
        start, step = self.colors[0][:, None], (self.colors[1] - self.colors[0])[:, None]
        colored: Float32Array = (start + step * blend) * tone
        return colored


@dataclass(frozen=True, slots=True, eq=False)
class Plain:
    """One uniform color: (3,) float32."""

    color: Float32Array

    def __call__(self, surface: Surface) -> Float32Array:
        """Return the color of each point."""
        return _uniform(self.color, surface)


@dataclass(frozen=True, slots=True, eq=False)
class Printed:
    """A box with an image on two opposite faces and a color on the others.

    Attributes:
        label: (H, W, 3) float32, the image.
        color: (3,) float32, of the other faces.
        axis: normal axis of the printed faces, 0 to 2.
        low_m, high_m: corners of the box, meters.
    """

    label: Float32Array
    color: Float32Array
    axis: int
    low_m: Vector3
    high_m: Vector3

    def __call__(self, surface: Surface) -> Float32Array:
        """Return the color of each point."""
        points, normals = surface.points, surface.normals
        colored = _uniform(self.color, surface)
        broad = np.abs(normals[self.axis]) > _FACING_COSINE
        across, along = (0, 1) if self.axis == 2 else (1 - self.axis, 2)
        u, v = (
            (points[axis] - np.float32(self.low_m[axis]))
            / np.float32(self.high_m[axis] - self.low_m[axis])
            for axis in (across, along)
        )
        # Mirrored on one face, so that the image is legible on both.
        u = np.where(normals[self.axis] * (1 if self.axis == 0 else -1) > 0, u, 1 - u)
        image = _sample_image(self.label, u, 1 - v)
        return np.where(broad, image, colored)


@dataclass(frozen=True, slots=True, eq=False)
class Wrapped:
    """A body of revolution with color bands by height and a label around it.

    Attributes:
        heights_m: (B,) float32, ascending boundaries between bands.
        colors: (B + 1, 3) float32.
        label: (H, W, 3) float32 or None, wrapped around once.
        label_m: lower and upper end of the label, meters.
    """

    heights_m: Float32Array
    colors: Float32Array
    label: Float32Array | None = None
    label_m: tuple[float, float] = (0.0, 1.0)

    def __call__(self, surface: Surface) -> Float32Array:
        """Return the color of each point."""
        x, y, z = surface.points
        colored: Float32Array = self.colors.T[:, np.searchsorted(self.heights_m, z)]
        if self.label is None:
            return colored
        low, high = map(np.float32, self.label_m)
        inside = (z > low) & (z < high) & (np.abs(surface.normals[2]) < _FACING_COSINE)
        u = np.arctan2(y, x) * np.float32(0.5 / math.pi) + np.float32(0.5)
        image = _sample_image(self.label, u, (high - z) / (high - low))
        return np.where(inside, image, colored)


@dataclass(frozen=True, slots=True, eq=False)
class Vessel:
    """A vessel: one color inside, another outside with a ring around it.

    Attributes:
        outside, inside, ring: (3,) float32, colors.
        ring_m: lower and upper end of the ring, meters.
        wall_rz: radius and height of points halfway through the wall, bottom to top, meters.
        radius_m: points farther from the axis, such as those of a handle, are outside, meters.
    """

    outside: Float32Array
    inside: Float32Array
    ring: Float32Array
    ring_m: tuple[float, float]
    wall_rz: Float32Array
    radius_m: float

    def __call__(self, surface: Surface) -> Float32Array:
        """Return the color of each point."""
        x, y, z = surface.points
        radius = np.sqrt(x**2 + y**2)
        wall = np.interp(z, self.wall_rz[:, 1], self.wall_rz[:, 0])
        within = (radius < wall) & (radius < self.radius_m) & (z > self.wall_rz[0, 1])
        low, high = self.ring_m
        ringed = (z > low) & (z < high) & ~within
        colored = _uniform(self.outside, surface)
        colored = np.where(ringed, self.ring[:, None], colored)
        return np.where(within, self.inside[:, None], colored)


@dataclass(frozen=True, slots=True, eq=False)
class Sectors:
    """A ball of colored sectors.

    Attributes:
        colors: (K, 3) float32, around the z axis.
        cap: cosine of the polar angle within which the caps have the first color; above 1 there
            are none.
    """

    colors: Float32Array
    cap: float

    def __call__(self, surface: Surface) -> Float32Array:
        """Return the color of each point."""
        normals = surface.normals
        count = len(self.colors)
        turn = np.arctan2(normals[1], normals[0]) * np.float32(count / (2 * math.pi)) + count
        sector = np.floor(turn).astype(np.int32) % count
        sector[np.abs(normals[2]) > self.cap] = 0
        colored: Float32Array = self.colors.T[:, sector]
        return colored


@dataclass(frozen=True, slots=True, eq=False)
class BookCover:
    """A book: a printed cover, a spine at low x, pages on the other three sides.

    Attributes:
        cover: material of the cover.
        pages: (3,) float32.
        inset_m: thickness of the cover, meters.
    """

    cover: Printed
    pages: Float32Array
    inset_m: float

    def __call__(self, surface: Surface) -> Float32Array:
        """Return the color of each point."""
        x, _, z = surface.points
        low, high = self.cover.low_m, self.cover.high_m
        board = np.float32(self.inset_m)
        between = (z > low[2] + board) & (z < high[2] - board)
        paper = between & (x > low[0] + board)
        # Sheets are too fine to resolve: a coarse sine stands for them.
        leaves = 1 + 0.08 * np.sin(z * np.float32(2200))
        covered = self.cover(surface)
        return np.where(paper, self.pages[:, None] * leaves, covered).astype(np.float32)


def _uniform(color: Float32Array, surface: Surface) -> Float32Array:
    return np.repeat(color[:, None], surface.points.shape[1], axis=1)


def _sample_image(label: Float32Array, u: Float32Array, v: Float32Array) -> Float32Array:
    height, width = label.shape[:2]
    column = np.clip((u * width).astype(np.int32), 0, width - 1)
    row = np.clip((v * height).astype(np.int32), 0, height - 1)
    image: Float32Array = label[row, column].T
    return image
