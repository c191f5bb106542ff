"""How two results for one frame differ; neither is the truth."""

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

# Values of a frame by the name of the figure; empty where nothing can be compared.
Values = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class FrameDifference:
    """One frame in two results.

    Attributes:
        stamp_ns: of the frame.
        values: figure -> one number for each thing compared, all finite.
        one_sided: parts that only one of the two has: 'objects', 'masks', 'depth', 'features'.
        renamed: objects at one place that bear two names.

    """

    stamp_ns: int
    values: Mapping[str, Values]
    one_sided: tuple[str, ...]
    renamed: int


def frame_difference(first: Scene, second: Scene) -> FrameDifference:
    """Compare two results for one frame.

    Objects are the same when their names are and their boxes overlap by at least a half; those
    that overlap most are paired first. The figures are:

    - ``agreement``: for each object of either result, whether the other has it too, 0 or 1;
    - ``box IoU``, ``score`` (absolute difference), ``mask IoU``: of the same objects;
    - ``centroid`` (centimetres), ``3D box IoU``: of those that both know the place of;
    - ``placed alike``: for each of the same objects, whether both or neither know its place;
    - ``depth``: mean of |b - a| / a over the pixels that both know, one number;
    - ``depth known once``: share of the pixels that just one knows among those that any knows;
    - ``cosine``: of the feature vectors.

    Raises:
        InputError: their pictures differ in size.

    """
    if first.image.size_hw != second.image.size_hw:
        raise InputError(
            'size_mismatch',
            f'frame {first.image.stamp_ns}: expected pictures of one size, got '
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
        values |= _masks(first.masks, second.masks, pairs) | _places(first, second, pairs)
        for a, b in pairs:
            overlaps[a, :] = overlaps[:, b] = 0
        renamed = len(_pairs(overlaps))
    if isinstance(first.depth, MetricDepth) and isinstance(second.depth, MetricDepth):
        values |= _depth(first.depth, second.depth)
    one_sided = [name for name, (a, b) in parts.items() if (a is None) != (b is None)]
    if first.features is not None and second.features is not None:
        values['cosine'] = _cosine(first.features, second.features)
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
    """Places of the same objects, those that overlap most first."""
    left = overlaps.copy()
    pairs = []
    while left.size and left.max() >= SAME_OBJECT_IOU:
        a, b = divmod(int(left.argmax()), left.shape[1])
        pairs.append((a, b))
        left[a, :] = left[:, b] = 0
    return pairs


def _masks(
    first: Masks | None, second: Masks | None, pairs: list[tuple[int, int]]
) -> dict[str, Values]:
    if first is None or second is None:
        return {}
    both = [(first.pixels[a], second.pixels[b]) for a, b in pairs]
    overlaps = (mask_iou(one, other) if (one | other).any() else 1.0 for one, other in both)
    return {'mask IoU': tuple(overlaps)}


def _places(first: Scene, second: Scene, pairs: list[tuple[int, int]]) -> dict[str, Values]:
    alike, away_cm, overlaps = [], [], []
    for a, b in pairs:
        one, other = first.objects[a].position, second.objects[b].position
        alike.append(float((one is None) == (other is None)))
        if one is not None and other is not None:
            away_cm.append(_CENTIMETERS * math.dist(one.centroid_m, other.centroid_m))
            overlaps.append(1.0 if one.box == other.box else box_iou(one.box, other.box))
    return {
        'placed alike': tuple(alike),
        'centroid': tuple(away_cm),
        '3D box IoU': tuple(overlaps),
    }


def _depth(first: MetricDepth, second: MetricDepth) -> dict[str, Values]:
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


def _cosine(first: SceneFeatures, second: SceneFeatures) -> Values:
    """Cosine of the angle; nothing for different encoders and for a vector of zeros."""
    if first.model != second.model or first.vector.shape != second.vector.shape:
        return ()
    one, other = first.vector.astype(np.float64), second.vector.astype(np.float64)
    if one.any() and np.array_equal(one, other):
        # Rounding would make a little less of it.
        return (1.0,)
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    return (float(one @ other) / lengths,) if lengths else ()
