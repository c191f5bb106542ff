"""Auxiliary dense heads, which give feature maps a direct training signal."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from robot_perception.world.training.batches import Batch
from robot_perception.world.training.boxes import elementwise_iou
from robot_perception.world.vocabulary import CLASS_NAMES

_CLASS_COUNT = len(CLASS_NAMES) + 1
_EDGES = 4
_IGNORED = -100


class DenseHeads(nn.ModuleList):
    """One head per feature map that predicts class and box of the object at each cell."""

    def __init__(self, levels: int, channels: int) -> None:
        """Create the heads of so many feature maps, each of so many channels."""
        super().__init__(nn.Conv2d(channels, _CLASS_COUNT + _EDGES, 1) for _ in range(levels))

    def forward(self, maps: Sequence[torch.Tensor], batch: Batch) -> torch.Tensor:
        """Sum the losses of the first ``levels`` maps, (B, C, h, w) each."""
        losses = [dense_loss(head(level), batch) for head, level in zip(self, maps, strict=False)]
        return torch.stack(losses).sum()


def dense_loss(predictions: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Compute cross entropy of the class at each cell center plus 1 - IoU of its box.

    Predictions (B, K + 4, h, w) are class logits, then distances to the box edges before softplus.
    """
    height, width = predictions.shape[-2:]
    rows = (torch.arange(height) + 0.5) / height
    columns = (torch.arange(width) + 0.5) / width
    size_hw = batch.instances.shape[-2:]
    at_rows, at_columns = (rows * size_hw[0]).long(), (columns * size_hw[1]).long()
    instance = batch.instances[:, at_rows[:, None], at_columns[None]]
    row = torch.clamp(instance - 1, min=0).flatten(1)
    classes = batch.classes.gather(1, row).view_as(instance)
    labeled = (instance > 0) & (classes >= 0)
    # Background is the last class; cells of barely visible objects are ignored.
    target = torch.where(labeled, classes, _CLASS_COUNT - 1)
    target = torch.where((instance > 0) & (classes < 0), _IGNORED, target)
    loss = functional.cross_entropy(predictions[:, :_CLASS_COUNT], target, ignore_index=_IGNORED)
    if not labeled.any():
        return loss
    boxes = batch.boxes_relative.gather(1, row[..., None].expand(-1, -1, _EDGES))
    boxes = boxes.view(*instance.shape, _EDGES)[labeled]
    centers = torch.stack([columns.expand(height, width), rows[:, None].expand(height, width)], -1)
    centers = centers.expand(*instance.shape, 2)[labeled]
    cell = torch.tensor([1 / width, 1 / height])
    distances = functional.softplus(predictions[:, _CLASS_COUNT:].movedim(1, -1)[labeled])
    predicted = torch.cat(
        [centers - distances[:, :2] * cell, centers + distances[:, 2:] * cell], -1
    )
    return loss + (1 - elementwise_iou(predicted, boxes)).mean()
