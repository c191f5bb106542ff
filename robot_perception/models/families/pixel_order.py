"""Orders of the pixels of a grid in which those of a window follow one another."""

from __future__ import annotations

from typing import NamedTuple

import torch

from robot_perception.models.resize import SizeHW


class PixelOrder(NamedTuple):
    """The order of the pixels of a grid as tokens.

    Attributes:
        size_hw: rows and columns of the grid.
        window_hw: rows and columns of a window. Windows are in order row by row.
        halvings: 0 orders the pixels of a window row by row. With n, the four pixels of each
            2 x 2 are at the same place of each quarter of the tokens of a window; a quarter has
            the order of n - 1 halvings.
    """

    size_hw: SizeHW
    window_hw: SizeHW
    halvings: int = 0

    def split(self, grid: torch.Tensor) -> torch.Tensor:
        """Rearrange (B, H, W, C) to (B * windows, pixels of a window, C)."""
        (height, width), (rows, columns) = self.size_hw, self.window_hw
        down, across = self._levels()
        parts = grid.reshape(-1, height // rows, *down, width // columns, *across, grid.shape[-1])
        return parts.permute(self._axes()).reshape(-1, rows * columns, grid.shape[-1])

    def join(self, tokens: torch.Tensor) -> torch.Tensor:
        """Rearrange tokens of any shape (..., C) in this order to (B, H, W, C)."""
        counts = [side // part for side, part in zip(self.size_hw, self.window_hw, strict=True)]
        pairs = [side for pair in reversed([*zip(*self._levels(), strict=True)]) for side in pair]
        axes = self._axes()
        inverse = [axes.index(axis) for axis in range(len(axes))]
        parts = tokens.reshape(-1, *counts, *pairs, tokens.shape[-1])
        return parts.permute(inverse).reshape(-1, *self.size_hw, tokens.shape[-1])

    def pooled(self) -> PixelOrder:
        """Return the order of the maxima of the four quarters of the tokens of each window."""
        size_hw, window_hw = ((h // 2, w // 2) for h, w in (self.size_hw, self.window_hw))
        return PixelOrder(size_hw, window_hw, self.halvings - 1)

    def _levels(self) -> tuple[list[int], list[int]]:
        """Return the lengths of the axes of a window, down and across, from coarse to fine."""
        height, width = ([side >> self.halvings, *[2] * self.halvings] for side in self.window_hw)
        return height, width

    def _axes(self) -> list[int]:
        """Return the axes of (B, rows, down..., columns, across..., C) in the order of tokens."""
        second = self.halvings + 3
        # Windows, then the parts of a window from fine to coarse.
        levels = [0, *range(self.halvings + 1, 0, -1)]
        pairs = [axis for level in levels for axis in (1 + level, second + level)]
        return [0, *pairs, 2 * second - 1]
