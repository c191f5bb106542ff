"""Comparison of the results of a stage with those of torch in fp32."""

from __future__ import annotations

from collections.abc import Mapping
import math

import numpy as np

from robot_perception.core import (
    BoolArray,
    Depth,
    Detections,
    Float32Array,
    iou_xyxy,
    Masks,
    MetricDepth,
    SceneClasses,
    SceneFeatures,
    Semantics,
    Stage,
)

Result = SceneFeatures | Depth | Detections | Masks | SceneClasses | Semantics

# In fp32 results differ where rounding moves an edge by a fraction of a pixel. In bf16 half of
# the accuracy that a runtime may cost (docs/runtimes.md) may go into the difference itself.
# Scores of a scene are a softmax or sigmoid of about 100 times a cosine: an error of 1e-6 of the
# vectors moves a score by 25e-6 at most, and one of 0.005, as in bf16, by 0.01, since the error
# has no preferred direction in some hundred dimensions.
_LIMITS: Mapping[str, tuple[float, float]] = {
    Stage.FEATURES: (1e-5, 2e-3),
    Stage.DEPTH: (1e-5, 1e-2),
    Stage.DETECTOR: (5e-3, 5e-2),
    Stage.SEGMENTER: (5e-3, 5e-2),
    # Pixels at the borders of classes, which are a few hundredths of an image.
    Stage.SEMANTICS: (2e-3, 2e-2),
    Stage.SCENE: (1e-3, 3e-2),
}
# Objects of lower scores may be found by one of both only.
_CLEAR_SCORE = 0.3
_MIN_IOU = 0.5


def result_tolerance(task: str, precision: str) -> float:
    """Return the largest difference of results in a precision."""
    return _LIMITS[task][precision != 'fp32']


def measure_results(expected: Result, found: Result) -> float:
    """Return the difference of two results of one image, infinity for NaN.

    It is one minus the cosine of the angle between feature vectors, the mean difference of depth
    as a fraction of the expected one, the largest difference of the score of a class, or one minus
    the mean IoU of the masks, or of the boxes that lie in one place and are of one class; a box
    without counterpart has IoU 0, and of boxes with masks the larger difference counts. Of
    semantics it is the share of pixels of another class.
    """
    difference = math.inf
    if isinstance(expected, SceneFeatures) and isinstance(found, SceneFeatures):
        one, other = (part.vector.astype(np.float64) for part in (expected, found))
        norms = float(np.linalg.norm(one) * np.linalg.norm(other))
        difference = 1 - float(one @ other) / max(norms, 1e-12)
    elif isinstance(expected, Detections) and isinstance(found, Detections):
        difference = max(_measure_boxes(expected, found), _measure_own_masks(expected, found))
    elif isinstance(expected, SceneClasses) and isinstance(found, SceneClasses):
        difference = float(np.abs(_by_name(expected) - _by_name(found)).max(initial=0))
    elif isinstance(expected, Masks) and isinstance(found, Masks):
        difference = _measure_masks(expected.pixels, found.pixels)
    elif isinstance(expected, Semantics) and isinstance(found, Semantics):
        difference = float((expected.classes != found.classes).mean())
    elif isinstance(expected, Depth) and isinstance(found, Depth):
        difference = _measure_depth(expected, found)
    return difference if math.isfinite(difference) else math.inf


def _by_name(classes: SceneClasses) -> Float32Array:
    """Return the scores in the order of their names, of which some may be equal."""
    return classes.scores[np.argsort(classes.names, kind='stable')]


def _measure_depth(expected: Depth, found: Depth) -> float:
    one, other = (
        part.meters if isinstance(part, MetricDepth) else part.inverse
        for part in (expected, found)
    )
    known = np.isfinite(one)
    if not known.any():
        return 0.0 if not np.isfinite(other).any() else math.inf
    scale = np.maximum(np.abs(one[known]), 1e-6 * float(np.abs(one[known]).max()) + 1e-12)
    return float((np.abs(other[known] - one[known]) / scale).mean(dtype=np.float64))


def _measure_masks(expected: BoolArray, found: BoolArray) -> float:
    union = (expected | found).sum(axis=(1, 2))
    shared = (expected & found).sum(axis=(1, 2))
    return 1 - float(np.where(union, shared / np.maximum(union, 1), 1).mean())


def _measure_own_masks(expected: Detections, found: Detections) -> float:
    """Return one minus the mean IoU of the masks of clear boxes in both, 0 without any."""
    if expected.mask_logits is None or found.mask_logits is None or not len(found):
        return 0.0
    ious = iou_xyxy(expected.boxes_xyxy, found.boxes_xyxy)
    is_clear = (expected.scores >= _CLEAR_SCORE) & (ious.max(axis=1) >= _MIN_IOU)
    own, other = np.flatnonzero(is_clear), ious.argmax(axis=1)[is_clear]
    if not len(own):
        return 0.0
    return _measure_masks(expected.mask_logits[own] > 0, found.mask_logits[other] > 0)


def _measure_boxes(expected: Detections, found: Detections) -> float:
    """Return one minus the mean IoU of each clear box with the nearest one of the other side."""
    ious = np.where(
        expected.class_ids[:, None] == found.class_ids[None],
        iou_xyxy(expected.boxes_xyxy, found.boxes_xyxy),
        0,
    )
    best = [
        ious.max(axis=axis, initial=0)[side.scores >= _CLEAR_SCORE]
        for axis, side in ((1, expected), (0, found))
    ]
    values = np.concatenate(best)
    return 1 - float(np.where(values >= _MIN_IOU, values, 0).mean()) if len(values) else 0.0
