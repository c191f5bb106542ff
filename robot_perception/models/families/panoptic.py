"""Classes and objects in the outputs of networks that return one mask for each query."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import torch

from robot_perception.core import NO_CLASS, UInt16Array
from robot_perception.models.families.class_upsampling import chunks, to_uint16, upsample
from robot_perception.models.resize import SizeHW

_MASK = 0.5
# Of the area of a mask, the part that no other query wins must be larger.
_MIN_WON = 0.8


class PanopticRule(NamedTuple):
    """How queries compete for pixels.

    Attributes:
        min_score: queries with lower scores are dropped.
        keeps_inside: whether logits are upsampled, not probabilities, and a query gets only
            pixels where its own probability is at least 0.5, not multiplied by its score.
    """

    min_score: float = 0.5
    keeps_inside: bool = False


def class_scores(masks: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Return the sum over all queries of the score of each class at each pixel: (L, h, w).

    Args:
        masks: (Q, h, w) logits.
        classes: (Q, L + 1) logits, the last one of no object.
    """
    return torch.einsum('qc,qhw->chw', classes.softmax(-1)[:, :-1], masks.sigmoid())


def read_panoptic(
    masks: torch.Tensor,
    classes: torch.Tensor,
    things: Collection[int],
    size_hw: SizeHW,
    rule: PanopticRule,
) -> tuple[UInt16Array, UInt16Array]:
    """Return the class and the number of the object of each pixel.

    Args:
        masks: (Q, h, w) logits.
        classes: (Q, L + 1) logits, the last one of no object.
        things: ids of the classes whose objects are separated.
        size_hw: rows and columns of the image.
        rule: of the family.

    Returns:
        Two (H, W): class ids, 65535 = none; and numbers from 1 on, 0 = no single object.
    """
    scores, ids = classes.softmax(-1).max(-1)
    is_kept = (ids != classes.shape[-1] - 1) & (scores > rule.min_score)
    winners, is_segment = _compete(masks[is_kept], scores[is_kept], size_hw, rule)
    # Class and number of each query; the last row is that of pixels without one.
    table = [[NO_CLASS, 0] for _ in range(len(is_segment) + 1)]
    objects = 0
    for query, name in enumerate(ids[is_kept].tolist()):
        if is_segment[query]:
            objects += name in things
            table[query] = [name, objects if name in things else 0]
    found = torch.tensor(table, device=winners.device)[winners]
    return to_uint16(found[..., 0]), to_uint16(found[..., 1])


def _compete(
    masks: torch.Tensor, scores: torch.Tensor, size_hw: SizeHW, rule: PanopticRule
) -> tuple[torch.Tensor, list[bool]]:
    """Return the query that wins each pixel, Q for none, and whether each query is a segment."""
    count = len(masks)
    winners = torch.full(size_hw, count, device=masks.device)
    is_inside = torch.zeros(size_hw, dtype=torch.bool, device=masks.device)
    best = torch.full(size_hw, -torch.inf, device=masks.device)
    areas = [torch.zeros(0, dtype=torch.int64, device=masks.device)]
    for part in chunks(count):
        if rule.keeps_inside:
            probabilities = upsample(masks[part], size_hw).sigmoid()
        else:
            probabilities = upsample(masks[part].sigmoid(), size_hw)
        weighted = probabilities * scores[part, None, None]
        inside = (probabilities if rule.keeps_inside else weighted) >= _MASK
        areas.append(inside.sum(dim=(1, 2)))
        values, indices = weighted.max(dim=0)
        is_larger = values > best
        winners = torch.where(is_larger, indices + part.start, winners)
        is_inside = torch.where(is_larger, inside.gather(0, indices[None])[0], is_inside)
        best = torch.where(is_larger, values, best)
    won = torch.bincount(winners.flatten(), minlength=count + 1)[:count]
    area = torch.cat(areas)
    is_segment = (area > 0) & (won / area.clamp(min=1) > _MIN_WON)
    if rule.keeps_inside:
        winners = torch.where(is_inside, winners, count)
    return winners, is_segment.tolist()
