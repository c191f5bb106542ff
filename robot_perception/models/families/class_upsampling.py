"""Upsampling of the scores of classes to the size of the image."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch.nn import functional

from robot_perception.core import UInt16Array
from robot_perception.models.outputs import NotFiniteError
from robot_perception.models.resize import SizeHW

# Maps that are upsampled at once: all of them would take gigabytes for a large image.
_CHUNK = 8


def best_class(scores: torch.Tensor, size_hw: SizeHW) -> UInt16Array:
    """Upsample (L, h, w) scores bilinearly and return the class of the highest: (H, W).

    Classes that cannot have the highest score anywhere are not upsampled.

    Raises:
        NotFiniteError: there is NaN or infinity among the scores.
    """
    check_finite(scores)
    candidates = _candidates(scores)
    winners = torch.zeros(size_hw, dtype=torch.int64, device=scores.device)
    best = torch.full(size_hw, -torch.inf, device=scores.device)
    scores = scores[candidates]
    for part in chunks(len(scores)):
        values, indices = upsample(scores[part], size_hw).max(dim=0)
        is_higher = values > best
        winners = torch.where(is_higher, indices + part.start, winners)
        best = torch.where(is_higher, values, best)
    return to_uint16(candidates[winners])


def chunks(count: int) -> Iterator[slice]:
    """Yield the ranges of maps that are upsampled together."""
    for start in range(0, count, _CHUNK):
        yield slice(start, start + _CHUNK)


def upsample(maps: torch.Tensor, size_hw: SizeHW) -> torch.Tensor:
    """Interpolate (N, h, w) maps bilinearly: (N, H, W)."""
    return functional.interpolate(maps[None], size_hw, mode='bilinear', align_corners=False)[0]


def check_finite(*outputs: torch.Tensor) -> None:
    """Raise a NotFiniteError if an output contains NaN or infinity."""
    if not all(bool(torch.isfinite(output).all()) for output in outputs):
        raise NotFiniteError


def to_uint16(values: torch.Tensor) -> UInt16Array:
    """Copy integers to the host."""
    return values.cpu().numpy().astype(np.uint16)


def _candidates(scores: torch.Tensor) -> torch.Tensor:
    """Return the indices of classes that may have the highest score after interpolation.

    An interpolated score lies between the smallest and the largest of its four neighbors.
    """
    height, width = scores.shape[1:]
    window = (min(2, height), min(2, width))
    upper = functional.max_pool2d(scores[None], window, stride=1)[0]
    lower = -functional.max_pool2d(-scores[None], window, stride=1)[0]
    # Interpolation rounds.
    margin = 1e-5 * (1 + scores.abs().max())
    possible: torch.Tensor = (upper >= lower.amax(dim=0) - margin).flatten(1).any(dim=1)
    return possible.nonzero()[:, 0]
