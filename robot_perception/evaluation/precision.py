"""Average precision and recall of boxes, for any mixture of frames.

COCO's own evaluation (`coco`) goes through all frames at once. For a confidence interval the
same figures are wanted of thousands of mixtures of the frames. Which prediction is right does not
depend on the mixture, so this is found once, and only summed up anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from robot_perception.core import BoolArray, Detections, Float64Array, Int64Array, requires
from robot_perception.evaluation.matching import best_first, match

# COCO's limits of overlap, levels of recall, and most predictions of one frame.
IOU_LIMITS: tuple[float, ...] = tuple(np.linspace(0.5, 0.95, 10).tolist())
RECALLS = np.linspace(0, 1, 101)
MAX_DETECTIONS = 100

_AP50, _AP75 = 0, 5
_TINY = np.spacing(1)


@dataclass(frozen=True, slots=True, eq=False)
class FrameBoxes:
    """Boxes of one frame.

    Attributes:
        found: predictions, at most `MAX_DETECTIONS`, best first.
        truth: M true objects.
        counted: (M,) bool, objects that have to be found.

    """

    found: Detections
    truth: Detections
    counted: BoolArray

    @classmethod
    def of(cls, found: Detections, truth: Detections, counted: BoolArray) -> FrameBoxes:
        """Keep the best of the predictions."""
        return cls(found[best_first(found)[:MAX_DETECTIONS]], truth, counted)


@dataclass(frozen=True, slots=True, eq=False)
class DetectionMetrics:
    """Figures in [0, 1] over all classes, and of each; NaN where no object counts.

    Attributes:
        ap: mean over classes and `IOU_LIMITS` of the precision averaged over 101 recalls.
        ap50: the same at an overlap of 0.5 alone.
        ap75: the same at 0.75.
        ar: mean over classes and `IOU_LIMITS` of the recall.
        class_ap: (K,) float64, `ap` of each class.

    """

    ap: float
    ap50: float
    ap75: float
    ar: float
    class_ap: Float64Array

    @classmethod
    def of(cls, precision: Float64Array, recall: Float64Array) -> DetectionMetrics:
        """Average what is known.

        Args:
            precision: (T, R, K) precision at limits of overlap, recalls and classes, NaN unknown.
            recall: (T, K), NaN unknown.

        """
        by_class = precision.mean(axis=(0, 1))
        return cls(
            ap=_known_mean(by_class),
            ap50=_known_mean(precision[_AP50].mean(axis=0)),
            ap75=_known_mean(precision[_AP75].mean(axis=0)),
            ar=_known_mean(recall.mean(axis=0)),
            class_ap=by_class,
        )

    def as_array(self) -> Float64Array:
        """(4 + K,) float64: ap, ap50, ap75, ar, class_ap."""
        return np.array([self.ap, self.ap50, self.ap75, self.ar, *self.class_ap.tolist()])


@dataclass(frozen=True, slots=True, eq=False)
class _Ranked:
    """All N predictions of one class, best first.

    Most are wrong at every limit of overlap. They are summed up once for all limits, and only the
    other M apart: between these, precision falls and recall stays, so that no other point of the
    curve is needed.

    Attributes:
        frame: (N,) int64, the frame of each.
        always_wrong: (N,) bool, those wrong at every limit.
        places: (M,) int64, places of the others.
        right: (T, M) bool.
        wrong: (T, M) bool.
        objects: (F,) int64, true objects that count in each frame.

    """

    frame: Int64Array
    always_wrong: BoolArray
    places: Int64Array
    right: BoolArray
    wrong: BoolArray
    objects: Int64Array

    @classmethod
    def of(
        cls, frame: Int64Array, right: BoolArray, wrong: BoolArray, objects: Int64Array
    ) -> _Ranked:
        """Tell those that are always wrong from the others."""
        always: BoolArray = np.asarray(wrong.all(axis=0))
        places = np.flatnonzero(~always)
        return cls(frame, always, places, right[:, places], wrong[:, places], objects)


class PrecisionCurves:
    """Predictions of all frames, matched once."""

    def __init__(self, frames: Sequence[FrameBoxes], class_names: Sequence[str]) -> None:
        """Match each frame.

        Args:
            frames: F frames.
            class_names: K classes to look at; predictions of others are left out, as COCO does.

        """
        matches = [match(one.found, one.truth, one.counted, IOU_LIMITS) for one in frames]
        counts = [len(one.found) for one in frames]
        frame = np.repeat(np.arange(len(frames)), counts)
        scores = np.concatenate([np.zeros(0), *(one.found.scores for one in frames)])
        order = np.argsort(-scores.astype(np.float64), kind='stable')
        empty = np.zeros((len(IOU_LIMITS), 0), np.bool_)
        right = np.concatenate([empty, *(one.right for one in matches)], axis=1)[:, order]
        wrong = np.concatenate([empty, *(one.wrong for one in matches)], axis=1)[:, order]
        names = np.array([name for one in frames for name in one.found.class_names], np.str_)
        self._classes = []
        for name in class_names:
            own = names[order] == name
            self._classes.append(
                _Ranked.of(frame[order][own], right[:, own], wrong[:, own], _objects(frames, name))
            )

    def figures(self, weights: Int64Array) -> DetectionMetrics:
        """Sum up frames that were taken ``weights``, (F,) int64, times each."""
        return DetectionMetrics.of(*self.curves(weights))

    def curves(self, weights: Int64Array) -> tuple[Float64Array, Float64Array]:
        """Give the precision at `RECALLS` and the recall of all predictions of such a mixture.

        Returns:
            (T, R, K) and (T, K) float64 at `IOU_LIMITS`, of each class; NaN where no object counts.

        """
        precision = np.full((len(IOU_LIMITS), len(RECALLS), len(self._classes)), np.nan)
        recall = np.full((len(IOU_LIMITS), len(self._classes)), np.nan)
        for place, ranked in enumerate(self._classes):
            total = int(weights @ ranked.objects)
            if total:
                precision[..., place], recall[..., place] = _curve(ranked, weights, total)
        return precision, recall


def _objects(frames: Sequence[FrameBoxes], name: str) -> Int64Array:
    counts = [
        sum(
            counted and own == name
            for own, counted in zip(one.truth.class_names, one.counted.tolist(), strict=True)
        )
        for one in frames
    ]
    return np.array(counts, np.int64)


def _curve(ranked: _Ranked, weights: Int64Array, total: int) -> tuple[Float64Array, Float64Array]:
    """Precision at each recall, (T, R), and the recall of all predictions, (T,)."""
    precision = np.zeros((len(IOU_LIMITS), len(RECALLS)))
    if not len(ranked.places):
        return precision, np.zeros(len(IOU_LIMITS))
    taken = weights[ranked.frame]
    wrong_before = np.cumsum(taken * ranked.always_wrong)[ranked.places]
    taken = taken[ranked.places]
    right = np.cumsum(ranked.right * taken, axis=1)
    wrong = np.cumsum(ranked.wrong * taken, axis=1) + wrong_before
    recalls = right / total
    # Of several operating points with at least some recall, the best.
    reached = right / (right + wrong + _TINY)
    reached = np.maximum.accumulate(reached[:, ::-1], axis=1)[:, ::-1]
    for row, recall, best in zip(precision, recalls, reached, strict=True):
        places = np.searchsorted(recall, RECALLS, side='left')
        inside = places < len(recall)
        row[inside] = best[places[inside]]
    return precision, recalls[:, -1]


def _known_mean(values: Float64Array) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float('nan')


_ALL_AREAS, _MOST_DETECTIONS = 0, -1


def check_installation() -> None:
    """Raise MissingLibraryError unless faster-coco-eval can be imported."""
    with requires('"faster-coco-eval>=1.6.7"'):
        import_module('faster_coco_eval')


def coco_metrics(frames: Sequence[FrameBoxes], class_names: Sequence[str]) -> DetectionMetrics:
    """Evaluate boxes as COCO does; objects that do not count are its crowds.

    Args:
        frames: at least one.
        class_names: classes to look at, at least one.

    """
    from faster_coco_eval import COCO, COCOeval_faster  # noqa: PLC0415 - takes 0.3 s to import

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
    return DetectionMetrics.of(_known(precision), _known(recall))


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
