"""Preprocessing of OWLv2, which keeps the aspect ratio of an image in a square input."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from robot_perception.models.preprocess import Preprocessor


class PaddedSquare:
    """Pads images with black at the right and the bottom, and resizes them.

    What is made smaller passes a Gaussian filter instead of antialiasing.
    """

    def __init__(self, preprocessor: Preprocessor, side: int) -> None:
        """Make inputs of ``side`` pixels, with the constants of ``preprocessor``."""
        self._preprocessor, self._side = preprocessor, side

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """Compute the input; see `Preprocessor`."""
        height, width = pixels.shape[-2:]
        long = max(height, width)
        values = pixels.float() * self._preprocessor.factor
        values = functional.pad(values, (0, long - width, 0, long - height))
        sigma = (long / self._side - 1) / 2
        if sigma > 0:
            values = _blur(values, sigma)
        size_hw = (self._side, self._side)
        values = functional.interpolate(values, size_hw, mode='bilinear', align_corners=False)
        return self._preprocessor.normalize(values)


def _blur(values: torch.Tensor, sigma: float) -> torch.Tensor:
    """Apply a Gaussian filter, which is cut off at three standard deviations."""
    radius = math.ceil(3 * sigma)
    offsets = torch.arange(-radius, radius + 1, device=values.device, dtype=torch.float32)
    weights = torch.exp(-0.5 * (offsets / sigma) ** 2)
    weights = (weights / weights.sum()).expand(3, 1, 1, -1)
    padded = functional.pad(values, [radius] * 4, mode='reflect')
    return functional.conv2d(functional.conv2d(padded, weights, groups=3), weights.mT, groups=3)
