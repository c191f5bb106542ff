"""Boxes as tensors."""

from __future__ import annotations

import torch


def to_corners(boxes: torch.Tensor) -> torch.Tensor:
    """Convert (..., 4) boxes from center and size to left, top, right, bottom."""
    return torch.cat(
        [boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2], -1
    )


def to_centers(boxes_xyxy: torch.Tensor) -> torch.Tensor:
    """Convert (..., 4) boxes from left, top, right, bottom to center and size."""
    low, high = boxes_xyxy[..., :2], boxes_xyxy[..., 2:]
    return torch.cat([(low + high) / 2, high - low], -1)


def elementwise_iou(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Compute the IoU of (..., 4) boxes element by element, with gradients.

    The one of `core` is pairwise on arrays.
    """
    low = torch.maximum(first[..., :2], second[..., :2])
    high = torch.minimum(first[..., 2:], second[..., 2:])
    intersection = (high - low).clamp(min=0).prod(-1)
    areas = [(boxes[..., 2:] - boxes[..., :2]).prod(-1) for boxes in (first, second)]
    return intersection / (areas[0] + areas[1] - intersection).clamp(min=1e-9)
