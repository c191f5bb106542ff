"""Reading of the scores and boxes that detectors return."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from robot_perception.core import area_xyxy, clip_xyxy, Detections, non_max_suppression
from robot_perception.models.outputs import to_numpy
from robot_perception.models.resize import SizeHW


def read_objects(
    scores: torch.Tensor,
    boxes: torch.Tensor,
    class_names: Sequence[str],
    size_hw: SizeHW,
    *,
    threshold: float,
    sides_hw: SizeHW | None = None,
    max_iou: float = 1.0,
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
    """
    best, classes = scores.max(-1)
    columns = [boxes, best[:, None], classes[:, None].float()]
    predictions = to_numpy(torch.cat(columns, dim=-1))
    predictions = predictions[np.argsort(-predictions[:, 4], kind='stable')]
    predictions = predictions[predictions[:, 4] > threshold]
    height, width = sides_hw or size_hw
    half = predictions[:, 2:4] / 2
    corners = np.concatenate([predictions[:, :2] - half, predictions[:, :2] + half], axis=1)
    boxes_xyxy = corners * np.array([width, height, width, height], np.float32)
    # Rounding may move the right edge of a narrow box before its left edge.
    boxes_xyxy[:, 2:] = np.maximum(boxes_xyxy[:, 2:], boxes_xyxy[:, :2])
    if max_iou < 1:
        # Shifted so that boxes of different classes do not overlap.
        shifts = predictions[:, 5:] * 2 * max(height, width)
        kept = non_max_suppression(boxes_xyxy + shifts, max_iou)
        boxes_xyxy, predictions = boxes_xyxy[kept], predictions[kept]
    boxes_xyxy = clip_xyxy(boxes_xyxy, size_hw)
    ids = predictions[:, 5].astype(np.int32)
    names = tuple(class_names[index] for index in ids)
    detections = Detections(boxes_xyxy, predictions[:, 4].clip(0, 1), ids, names)
    return detections[np.flatnonzero(area_xyxy(boxes_xyxy) > 0)]
