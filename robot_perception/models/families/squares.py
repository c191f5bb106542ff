"""Overlapping squares that cover an image."""

from __future__ import annotations

from dataclasses import dataclass
import math

import torch


@dataclass(frozen=True, slots=True)
class Squares:
    """Squares in a row along the long side of an image, whose short side is at most as long.

    Attributes:
        side: rows and columns of a square, pixels.
    """

    side: int

    def cut(self, values: torch.Tensor, padding: torch.Tensor) -> torch.Tensor:
        """Return the N squares of each of (B, C, h, w) images after the other: (B * N, C, s, s).

        Args:
            values: short sides of at most ``side``; what they lack below or at the right is
                filled.
            padding: (1, C, 1, 1), to fill with.
        """
        height, width = values.shape[-2:]
        shape = (max(height, self.side), max(width, self.side))
        padded = padding.to(values.device).repeat(len(values), 1, *shape)
        padded[..., :height, :width] = values
        axis = -2 if height > width else -1
        starts = self._starts(max(height, width))
        squares = [padded.narrow(axis, start, self.side) for start in starts]
        return torch.stack(squares, dim=1).flatten(0, 1)

    def join(self, squares: torch.Tensor, size_hw: tuple[int, int]) -> torch.Tensor:
        """Return the mean of (N, C, s, s) squares at each pixel of an image: (C, h, w)."""
        height, width = size_hw
        axis = -2 if height > width else -1
        shape = (squares.shape[1], max(height, self.side), max(width, self.side))
        total, count = squares.new_zeros(shape), squares.new_zeros(shape)
        starts = self._starts(max(height, width))
        for square, start in zip(squares, starts, strict=True):
            total.narrow(axis, start, self.side).add_(square)
            count.narrow(axis, start, self.side).add_(1)
        return (total / count)[:, :height, :width]

    def _starts(self, length: int) -> list[int]:
        """Return where the squares begin."""
        count = math.ceil(length / self.side)
        overlap = (count * self.side - length) / max(count - 1, 1) if count > 1 else 0
        return [int(index * (self.side - overlap)) for index in range(count)]
