"""Differences of two results for one frame, neither of which is ground truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import math

import numpy as np

from robot_perception.core import (
    Detections,
    Float64Array,
    InputError,
    iou_xyxy,
    Masks,
    MetricDepth,
    Scene,
    SceneFeatures,
)
from robot_perception.evaluation.box_overlap import box_iou
from robot_perception.evaluation.frame import SAME_OBJECT_IOU
from robot_perception.evaluation.masks import mask_iou

_CENTIMETERS = 100.0

# Values of one metric in a frame; empty where nothing can be compared.
Values = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class FrameDifference:
    """One frame in two results.

    Attributes:
        stamp_ns: of the frame.
        values: metric -> one number for each comparison, all finite.
        one_sided: parts that only one of the two has: 'objects', 'masks', 'depth', 'features'.
        renamed: objects whose boxes agree and whose classes differ.
    """

    stamp_ns: int
    values: Mapping[str, Values]
    one_sided: tuple[str, ...]
    renamed: int


def frame_difference(first: Scene, second: Scene) -> FrameDifference:
    """Compare two results for one frame.

    Objects are the same when their classes are equal and their boxes have an IoU of at least 0.5;
    pairs of the largest IoU are made first. The metrics are:

    - ``agreement``: for each object of either result, whether the other has it too, 0 or 1;
    - ``box IoU``, ``score`` (absolute difference), ``mask IoU``: of the same objects;
    - ``centroid`` (centimeters), ``3D box IoU``: of the same objects, where both have a position;
    - ``placed alike``: for each of the same objects, whether both or neither have a position;
    - ``depth``: mean of |b - a| / a over the pixels that are known in both, one number;
    - ``depth known once``: share of the pixels known in only one among those known in any;
    - ``cosine``: of the feature vectors.

    Raises:
        InputError: ``'size_mismatch'``, their images differ in size.
    """
    if first.image.size_hw != second.image.size_hw:
        raise InputError(
            'size_mismatch',
            f'frame {first.image.stamp_ns}: expected images of one size, got '
            f'{first.image.size_hw} and {second.image.size_hw}. '
            'Compare results for one recording.',
        )
    parts = {
        'objects': (first.detections, second.detections),
        'masks': (first.masks, second.masks),
        'depth': (first.depth, second.depth),
        'features': (first.features, second.features),
    }
    values: dict[str, Values] = {}
    renamed = 0
    one, other = first.detections, second.detections
    if one is not None and other is not None:
        overlaps = _overlaps(one, other)
        same = np.array(one.class_names)[:, None] == np.array(other.class_names)[None]
        pairs = _pairs(np.where(same, overlaps, 0))
        alone = len(one) + len(other) - 2 * len(pairs)
        values['agreement'] = (1.0,) * (2 * len(pairs)) + (0.0,) * alone
        values['box IoU'] = tuple(float(overlaps[pair]) for pair in pairs)
        values['score'] = tuple(abs(float(one.scores[a] - other.scores[b])) for a, b in pairs)
        values |= _compare_masks(first.masks, second.masks, pairs) | _compare_positions(
            first, second, pairs
        )
        for a, b in pairs:
            overlaps[a, :] = overlaps[:, b] = 0
        renamed = len(_pairs(overlaps))
    if isinstance(first.depth, MetricDepth) and isinstance(second.depth, MetricDepth):
        values |= _compare_depth(first.depth, second.depth)
    one_sided = [name for name, (a, b) in parts.items() if (a is None) != (b is None)]
    if first.features is not None and second.features is not None:
        values['cosine'] = _compare_features(first.features, second.features)
        if not values['cosine']:
            one_sided.append('features')
    return FrameDifference(first.image.stamp_ns, values, tuple(one_sided), renamed)


def _overlaps(first: Detections, second: Detections) -> Float64Array:
    """(N, M) float64: intersection over union; 1 for equal boxes, even those without an area."""
    overlaps = iou_xyxy(first.boxes_xyxy, second.boxes_xyxy)
    equal = (first.boxes_xyxy[:, None] == second.boxes_xyxy[None]).all(axis=-1)
    overlaps[equal] = 1
    return overlaps


def _pairs(overlaps: Float64Array) -> list[tuple[int, int]]:
    """Return the indices of the same objects, largest IoU first."""
    left = overlaps.copy()
    pairs = []
    while left.size and left.max() >= SAME_OBJECT_IOU:
        a, b = divmod(int(left.argmax()), left.shape[1])
        pairs.append((a, b))
        left[a, :] = left[:, b] = 0
    return pairs


def _compare_masks(
    first: Masks | None, second: Masks | None, pairs: list[tuple[int, int]]
) -> dict[str, Values]:
    if first is None or second is None:
        return {}
    both = [(first.pixels[a], second.pixels[b]) for a, b in pairs]
    overlaps = (mask_iou(one, other) if (one | other).any() else 1.0 for one, other in both)
    return {'mask IoU': tuple(overlaps)}


def _compare_positions(
    first: Scene, second: Scene, pairs: list[tuple[int, int]]
) -> dict[str, Values]:
    both_or_neither, distances_cm, overlaps = [], [], []
    for a, b in pairs:
        one, other = first.objects[a].position, second.objects[b].position
        both_or_neither.append(float((one is None) == (other is None)))
        if one is not None and other is not None:
            distances_cm.append(_CENTIMETERS * math.dist(one.centroid_m, other.centroid_m))
            overlaps.append(1.0 if one.box == other.box else box_iou(one.box, other.box))
    return {
        'placed alike': tuple(both_or_neither),
        'centroid': tuple(distances_cm),
        '3D box IoU': tuple(overlaps),
    }


def _compare_depth(first: MetricDepth, second: MetricDepth) -> dict[str, Values]:
    known = np.isfinite(first.meters), np.isfinite(second.meters)
    both, either = known[0] & known[1], known[0] | known[1]
    if not either.any():
        return {}
    share = 1 - np.count_nonzero(both) / np.count_nonzero(either)
    values: dict[str, Values] = {'depth known once': (float(share),)}
    if both.any():
        one, other = (part.meters[both].astype(np.float64) for part in (first, second))
        values['depth'] = (float((np.abs(other - one) / one).mean()),)
    return values


def _compare_features(first: SceneFeatures, second: SceneFeatures) -> Values:
    """Return the cosine of the angle; empty for different encoders and for a vector of zeros."""
    if first.model != second.model or first.vector.shape != second.vector.shape:
        return ()
    one, other = first.vector.astype(np.float64), second.vector.astype(np.float64)
    if one.any() and np.array_equal(one, other):
        # Rounding would yield a little less than 1.
        return (1.0,)
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    return (float(one @ other) / lengths,) if lengths else ()
