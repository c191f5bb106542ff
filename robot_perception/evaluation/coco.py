"""COCO's evaluation of boxes, by the library faster-coco-eval."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from robot_perception.core import Detections, Float64Array, PerceptionError
from robot_perception.evaluation.precision import (
    FrameBoxes,
    IOU_LIMITS,
    MAX_DETECTIONS,
    PrecisionFigures,
)

_ALL_AREAS, _MOST_DETECTIONS = 0, -1


def check_installation() -> None:
    """Raise PerceptionError unless the library is there."""
    if find_spec('faster_coco_eval') is None:
        raise PerceptionError(
            'faster-coco-eval: expected it for average precision, got a Python without it. '
            'Install it: pip install "faster-coco-eval>=1.6.7".'
        )


def coco_figures(frames: Sequence[FrameBoxes], class_names: Sequence[str]) -> PrecisionFigures:
    """Evaluate boxes as COCO does; objects that do not count are its crowds.

    Args:
        frames: at least one.
        class_names: classes to look at, at least one.

    """
    from faster_coco_eval import COCO, COCOeval_faster  # noqa: PLC0415 - an optional library

    images = [{'id': number} for number in range(len(frames))]
    categories = [{'id': number, 'name': name} for number, name in enumerate(class_names)]
    table = {'images': images, 'categories': categories}
    ids = {name: number for number, name in enumerate(class_names)}
    truth: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    for number, one in enumerate(frames):
        crowds = (~one.counted).astype(int).tolist()
        for item, crowd in zip(_annotations(one.truth, number, ids), crowds, strict=True):
            truth.append({**item, 'id': len(truth) + 1, 'iscrowd': crowd})
        for item, score in zip(
            _annotations(one.found, number, ids), one.found.scores.tolist(), strict=True
        ):
            if item['category_id'] >= 0:
                found.append({**item, 'id': len(found) + 1, 'iscrowd': 0, 'score': score})
    run = COCOeval_faster(
        COCO({**table, 'annotations': truth}), COCO({**table, 'annotations': found}), 'bbox'
    )
    run.params.maxDets = [MAX_DETECTIONS]
    run.params.iouThrs = np.array(IOU_LIMITS)
    run.evaluate()
    run.accumulate()
    precision = np.asarray(run.eval['precision'])[..., _ALL_AREAS, _MOST_DETECTIONS]
    recall = np.asarray(run.eval['recall'])[..., _ALL_AREAS, _MOST_DETECTIONS]
    return PrecisionFigures.of(_known(precision), _known(recall))


def _annotations(objects: Detections, image: int, ids: dict[str, int]) -> list[dict[str, Any]]:
    """COCO's dictionaries, category -1 for a class that is not looked at."""
    corners = objects.boxes_xyxy.astype(np.float64)
    sides = corners[:, 2:] - corners[:, :2]
    boxes = np.concatenate([corners[:, :2], sides], axis=1)
    return [
        {
            'image_id': image,
            'category_id': ids.get(name, -1),
            'bbox': box,
            'area': box[2] * box[3],
        }
        for name, box in zip(objects.class_names, boxes.tolist(), strict=True)
    ]


def _known(values: Float64Array) -> Float64Array:
    """COCO's -1 as NaN."""
    known: Float64Array = np.where(values < 0, np.nan, values)
    return known
