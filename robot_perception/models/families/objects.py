"""Reading of the scores and boxes that detectors return."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from robot_perception.core import (
    area_xyxy,
    clip_xyxy,
    Detections,
    Float32Array,
    Int32Array,
    Int64Array,
    non_max_suppression,
)
from robot_perception.models.outputs import to_numpy
from robot_perception.models.resize import SizeHW

# Of non-maximum suppression, those with the best scores.
_MAX_CANDIDATES = 3000


def read_objects(
    scores: torch.Tensor,
    boxes: torch.Tensor,
    class_names: Sequence[str],
    size_hw: SizeHW,
    *,
    threshold: float,
    sides_hw: SizeHW | None = None,
    max_iou: float = 1.0,
    mask_logits: torch.Tensor | None = None,
) -> Detections:
    """Return one object for each query whose best score is above a threshold, best first.

    Boxes without area inside the image are dropped.

    Args:
        scores: (Q, L) in [0, 1].
        boxes: (Q, 4) center x, center y, width and height, as shares of ``sides_hw``.
        class_names: L names.
        size_hw: of the image, to which boxes are clipped.
        threshold: minimum score.
        sides_hw: rows and columns in pixels that boxes are shares of; None = of the image.
        max_iou: of two boxes of one class that overlap more, the better one is kept.
        mask_logits: (Q, h, w), of networks that give masks.
    """
    best, classes = scores.max(-1)
    columns = [boxes, best[:, None], classes[:, None].float()]
    predictions = to_numpy(torch.cat(columns, dim=-1))
    height, width = sides_hw or size_hw
    half = predictions[:, 2:4] / 2
    corners = np.concatenate([predictions[:, :2] - half, predictions[:, :2] + half], axis=1)
    boxes_xyxy = corners * np.array([width, height, width, height], np.float32)
    return select_objects(
        *(boxes_xyxy, predictions[:, 4], predictions[:, 5].astype(np.int32)),
        *(class_names, size_hw),
        threshold=threshold,
        max_iou=max_iou,
        mask_logits=mask_logits,
    )


def select_objects(
    boxes_xyxy: Float32Array,
    scores: Float32Array,
    ids: Int32Array,
    class_names: Sequence[str],
    size_hw: SizeHW,
    *,
    threshold: float,
    max_iou: float,
    mask_logits: torch.Tensor | None = None,
) -> Detections:
    """Return the objects among candidates whose score is above a threshold, best first.

    Boxes without area inside the image are dropped.

    Args:
        boxes_xyxy: (N, 4) in pixels of the image, to which they are clipped.
        scores: (N,); those above 1 count as 1.
        ids: (N,) class ids; candidates of negative ones are dropped.
        class_names: by class id.
        size_hw: of the image.
        threshold: minimum score.
        max_iou: of two boxes of one class that overlap more, the better one is kept.
        mask_logits: (N, h, w), of networks that give masks.
    """
    order = np.argsort(-scores, kind='stable')
    order = order[(scores[order] > threshold) & (ids[order] >= 0)]
    if max_iou < 1:
        # The overlaps of all pairs are computed.
        order = order[:_MAX_CANDIDATES]
    boxes_xyxy, scores, ids = boxes_xyxy[order], scores[order], ids[order]
    # Rounding may move the right edge of a narrow box before its left edge.
    boxes_xyxy[:, 2:] = np.maximum(boxes_xyxy[:, 2:], boxes_xyxy[:, :2])
    if max_iou < 1:
        kept = _suppress_by_class(boxes_xyxy, ids, max_iou)
        boxes_xyxy, scores, ids, order = boxes_xyxy[kept], scores[kept], ids[kept], order[kept]
    boxes_xyxy = clip_xyxy(boxes_xyxy, size_hw)
    names = tuple(class_names[index] for index in ids)
    # Those of most candidates are not needed on the host.
    logits = None if mask_logits is None else to_numpy(mask_logits[torch.from_numpy(order)])
    detections = Detections(boxes_xyxy, scores.clip(0, 1), ids, names, mask_logits=logits)
    return detections[np.flatnonzero(area_xyxy(boxes_xyxy) > 0)]


def _suppress_by_class(boxes_xyxy: Float32Array, ids: Int32Array, max_iou: float) -> Int64Array:
    """Return the indices that non-maximum suppression keeps in each class, ascending."""
    kept = np.zeros(len(ids), np.bool_)
    for class_id in np.unique(ids):
        of_class = np.flatnonzero(ids == class_id)
        kept[of_class[non_max_suppression(boxes_xyxy[of_class], max_iou)]] = True
    return np.flatnonzero(kept)
