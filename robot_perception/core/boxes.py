"""Functions on boxes in ``xyxy`` format: left, top, right, bottom in pixels."""

from __future__ import annotations

import numpy as np

from robot_perception.core.arrays import checked, Float32Array, Float64Array, Int64Array


def clip_xyxy(boxes_xyxy: Float32Array, size_hw: tuple[int, int]) -> Float32Array:
    """Clip (N, 4) float32 boxes to an image of ``size_hw`` rows and columns.

    A box outside the image becomes one of zero area on its border.

    >>> clip_xyxy(np.array([[-5, 2, 30, 9]], np.float32), (8, 20)).tolist()
    [[0.0, 2.0, 20.0, 8.0]]
    """
    boxes = checked('boxes_xyxy', boxes_xyxy, (None, 4), np.float32, 'Pass one row per box.')
    height, width = size_hw
    upper = np.array([width, height, width, height], np.float32)
    return np.clip(boxes, np.float32(0), upper).astype(np.float32)


def area_xyxy(boxes_xyxy: Float32Array) -> Float64Array:
    """Compute the area of each box: (N,) float64, square pixels.

    >>> area_xyxy(np.array([[0, 0, 4, 3]], np.float32)).tolist()
    [12.0]
    """
    boxes = checked('boxes_xyxy', boxes_xyxy, (None, 4), np.float32, 'Pass one row per box.')
    sides = np.clip(boxes[:, 2:].astype(np.float64) - boxes[:, :2], 0, None)
    return sides[:, 0] * sides[:, 1]


def iou_xyxy(first_xyxy: Float32Array, second_xyxy: Float32Array) -> Float64Array:
    """Compute the intersection over union of every pair of (N, 4) and (M, 4) float32 boxes.

    Returns:
        (N, M) float64 in [0, 1]; 0 where the union has zero area.

    >>> a = np.array([[0, 0, 2, 2]], np.float32)
    >>> iou_xyxy(a, np.array([[1, 0, 3, 2], [5, 5, 6, 6]], np.float32)).round(3).tolist()
    [[0.333, 0.0]]
    """
    first = first_xyxy.astype(np.float64)
    second = second_xyxy.astype(np.float64)
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    overlap = np.prod(np.clip(high - low, 0, None), axis=-1)
    union = area_xyxy(first_xyxy)[:, None] + area_xyxy(second_xyxy)[None, :] - overlap
    iou: Float64Array = np.divide(overlap, union, out=np.zeros_like(overlap), where=union > 0)
    return iou


def non_max_suppression(boxes_xyxy: Float32Array, max_iou: float) -> Int64Array:
    """Select boxes by greedy, class-agnostic non-maximum suppression.

    Args:
        boxes_xyxy: (N, 4), best first.
        max_iou: in [0, 1]; a box that overlaps a selected one by more is dropped. 1 keeps all.

    Returns:
        Indices of the selected boxes, ascending.
    """
    overlap = iou_xyxy(boxes_xyxy, boxes_xyxy) > max_iou
    kept: list[int] = []
    for index in range(len(boxes_xyxy)):
        if not overlap[index, kept].any():
            kept.append(index)
    return np.array(kept, np.int64)
