"""What every cell of a feature map shows: an exercise that teaches maps where objects end."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from robot_perception.world.training.batches import Batch
from robot_perception.world.vocabulary import CLASS_NAMES

_KINDS = len(CLASS_NAMES) + 1
_EDGES = 4
_IGNORED = -100


class CellExercise(nn.ModuleList):
    """For each of some maps a head that answers what every cell shows, and how far edges are."""

    def __init__(self, levels: int, channels: int) -> None:
        """Make the heads.

        Args:
            levels: count of maps.
            channels: of each of them.

        """
        super().__init__(nn.Conv2d(channels, _KINDS + _EDGES, 1) for _ in range(levels))

    def forward(self, maps: Sequence[torch.Tensor], batch: Batch) -> torch.Tensor:
        """Sum the loss over the first maps, (B, C, h, w) each; further ones are left out."""
        losses = [cell_loss(head(level), batch) for head, level in zip(self, maps, strict=False)]
        return torch.stack(losses).sum()


def cell_loss(answers: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Cross entropy of the class at the middle of each cell, and 1 - IoU of its object's box.

    Args:
        answers: (B, K + 4, h, w), for cells that cover the whole picture.
        batch: the pictures.

    """
    height, width = answers.shape[-2:]
    rows = (torch.arange(height) + 0.5) / height
    columns = (torch.arange(width) + 0.5) / width
    size_hw = batch.instances.shape[-2:]
    at_rows, at_columns = (rows * size_hw[0]).long(), (columns * size_hw[1]).long()
    instance = batch.instances[:, at_rows[:, None], at_columns[None]]
    place = torch.clamp(instance - 1, min=0).flatten(1)
    classes = batch.classes.gather(1, place).view_as(instance)
    shown = (instance > 0) & (classes >= 0)
    # Background is the last kind; cells of objects that hardly show do not count.
    target = torch.where(shown, classes, _KINDS - 1)
    target = torch.where((instance > 0) & (classes < 0), _IGNORED, target)
    loss = functional.cross_entropy(answers[:, :_KINDS], target, ignore_index=_IGNORED)
    if not shown.any():
        return loss
    boxes = batch.boxes_relative.gather(1, place[..., None].expand(-1, -1, _EDGES))
    boxes = boxes.view(*instance.shape, _EDGES)[shown]
    middles = torch.stack([columns.expand(height, width), rows[:, None].expand(height, width)], -1)
    middles = middles.expand(*instance.shape, 2)[shown]
    cell = torch.tensor([1 / width, 1 / height])
    reach = functional.softplus(answers[:, _KINDS:].movedim(1, -1)[shown])
    told = torch.cat([middles - reach[:, :2] * cell, middles + reach[:, 2:] * cell], -1)
    return loss + (1 - iou_xyxy(told, boxes)).mean()


def iou_xyxy(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Intersection over union of (..., 4) boxes, element by element."""
    low = torch.maximum(one[..., :2], other[..., :2])
    high = torch.minimum(one[..., 2:], other[..., 2:])
    common = (high - low).clamp(min=0).prod(-1)
    areas = [(boxes[..., 2:] - boxes[..., :2]).prod(-1) for boxes in (one, other)]
    return common / (areas[0] + areas[1] - common).clamp(min=1e-9)
