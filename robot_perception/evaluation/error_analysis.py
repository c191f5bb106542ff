"""Types of detection errors, and the average precision that each type costs.

The types and the order in which they are tested are those of TIDE (Bolya et al. 2020, TIDE:
A General Toolbox for Identifying Object Detection Errors).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from robot_perception.core import BoolArray, Float64Array, Int64Array, iou_xyxy
from robot_perception.evaluation.matching import match
from robot_perception.evaluation.precision import FrameBoxes, RECALLS

# IoU from which a prediction matches an object, and up to which it is background.
_SAME_IOU, _NOTHING_IOU = 0.5, 0.1
_NO_OBJECT = -1


class ErrorType(Enum):
    """Why a prediction is a false positive, or an object a false negative."""

    CLASS = 'class'
    LOCATION = 'location'
    BOTH = 'class and location'
    DUPLICATE = 'duplicate'
    BACKGROUND = 'background'
    MISS = 'missed'


@dataclass(frozen=True, slots=True, eq=False)
class _Outcomes:
    """All predictions of all frames that are not ignored, best first in each frame.

    Attributes:
        frame: (N,) int64.
        score: (N,) float64.
        name: (N,) int64, index of the class; -1 for a class without objects.
        true_positive: (N,) bool.
        error: N values, the ErrorType of each false positive, None for the others.
        object: (N,) int64, index of the object that a false positive would match if it were
            corrected, -1 for none.
        object_frame: (M,) int64, frame of each object.
        object_name: (M,) int64, index of the class of each object.
        false_negative: (M,) bool, objects that no prediction matches, even if corrected.
    """

    frame: Int64Array
    score: Float64Array
    name: Int64Array
    true_positive: BoolArray
    error: list[ErrorType | None]
    object: Int64Array
    object_frame: Int64Array
    object_name: Int64Array
    false_negative: BoolArray


class ErrorAnalysis:
    """Error types of all predictions, and their costs."""

    def __init__(
        self,
        frames: Sequence[FrameBoxes],
        class_names: Sequence[str],
        recalls: Float64Array = RECALLS,
    ) -> None:
        """Classify the predictions of F frames, with the classes of the objects that count.

        Precision is averaged over the recalls.
        """
        self._outcomes = _classify(frames, {name: index for index, name in enumerate(class_names)})
        outcomes = self._outcomes
        self.counts = {
            error: int(outcomes.false_negative.sum())
            if error is ErrorType.MISS
            else sum(one is error for one in outcomes.error)
            for error in ErrorType
        }
        objects = np.zeros((len(frames), len(class_names)))
        np.add.at(objects, (outcomes.object_frame, outcomes.object_name), 1)
        left = objects.copy()
        false_negative = outcomes.false_negative
        frame, name = outcomes.object_frame, outcomes.object_name
        np.subtract.at(left, (frame[false_negative], name[false_negative]), 1)
        fixed = [_fix(outcomes, error) for error in ErrorType if error is not ErrorType.MISS]
        self._variants = [
            _Curves(_unchanged(outcomes), objects, recalls),
            *(_Curves(points, objects, recalls) for points in fixed),
            _Curves(_unchanged(outcomes), left, recalls),
        ]

    def costs(self, weights: Int64Array) -> Float64Array:
        """Compute AP at an IoU of 0.5, and its gain when all errors of a type are fixed.

        A wrong class or location is corrected if its object was not detected and no better
        prediction is corrected to it, and removed otherwise; other false positives are removed;
        missed objects no longer count.

        The weights, (F,) int64, are how often each frame is drawn.

        Returns:
            (7,) float64: AP, then the gain (>= 0) of each `ErrorType`, or NaN without objects.
        """
        values = np.array([curves.ap(weights) for curves in self._variants])
        gains = np.where(np.isnan(values[1:]), np.nan, np.maximum(values[1:] - values[0], 0))
        return np.concatenate([values[:1], gains])


@dataclass(frozen=True, slots=True, eq=False)
class _Points:
    """Predictions of a precision-recall curve: frame, class, score and true positive or not."""

    frame: Int64Array
    name: Int64Array
    score: Float64Array
    true_positive: BoolArray


class _Curves:
    """Precision over recall of each class, for resamples of frames."""

    def __init__(self, points: _Points, objects: Float64Array, recalls: Float64Array) -> None:
        order = np.argsort(-points.score, kind='stable')
        self._objects = objects
        self._recalls = recalls
        self._classes = []
        for index in range(objects.shape[1]):
            own = order[points.name[order] == index]
            self._classes.append((points.frame[own], points.true_positive[own]))

    def ap(self, weights: Int64Array) -> float:
        """Return the mean over classes of the precision averaged over the recalls."""
        totals = weights @ self._objects
        values = [
            _average(weights[frame], true_positive, float(total), self._recalls)
            for (frame, true_positive), total in zip(self._classes, totals, strict=True)
        ]
        known = [value for value in values if value is not None]
        return float(np.mean(known)) if known else float('nan')


def _average(
    taken: Int64Array, true_positive: BoolArray, total: float, recalls: Float64Array
) -> float | None:
    if not total:
        # No object counts any more: the remaining predictions are false positives.
        return 0.0 if taken.any() else None
    detected = np.cumsum(taken * true_positive)
    every = np.cumsum(taken)
    precision = detected / np.maximum(every, 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    indices = np.searchsorted(detected / total, recalls, side='left')
    return float(best[indices[indices < len(best)]].sum() / len(recalls))


def _unchanged(outcomes: _Outcomes) -> _Points:
    return _Points(outcomes.frame, outcomes.name, outcomes.score, outcomes.true_positive)


def _fix(outcomes: _Outcomes, error: ErrorType) -> _Points:
    """Correct the errors of one type that can be corrected, and remove the others."""
    errors = np.array([one is error for one in outcomes.error], np.bool_)
    repaired = errors & _best_for_object(outcomes)
    name = outcomes.name.copy()
    name[repaired] = outcomes.object_name[outcomes.object[repaired]]
    kept = ~errors | repaired
    return _Points(
        outcomes.frame[kept],
        name[kept],
        outcomes.score[kept],
        (outcomes.true_positive | repaired)[kept],
    )


def _best_for_object(outcomes: _Outcomes) -> BoolArray:
    """Return which predictions have the best score of all that would match one object."""
    best = np.zeros(len(outcomes.object), np.bool_)
    order = np.argsort(-outcomes.score, kind='stable')
    order = order[outcomes.object[order] != _NO_OBJECT]
    _, first = np.unique(outcomes.object[order], return_index=True)
    best[order[first]] = True
    return best


def _classify(frames: Sequence[FrameBoxes], indices: dict[str, int]) -> _Outcomes:
    frame, score, name, true_positive, partner = [], [], [], [], []
    error: list[ErrorType | None] = []
    object_frame: list[int] = []
    object_name: list[int] = []
    false_negative: list[bool] = []
    for number, one in enumerate(frames):
        first = len(object_frame)
        counted = np.flatnonzero(one.counted)
        matches = match(one.predictions, one.truth, one.counted, [_SAME_IOU])
        detected = np.isin(counted, matches.truth[0][matches.true_positives[0]])
        overlaps = iou_xyxy(one.predictions.boxes_xyxy, one.truth.boxes_xyxy[counted])
        truth_names = np.array([one.truth.class_names[index] for index in counted], np.str_)
        could_be = np.zeros(len(counted), np.bool_)
        for index in np.flatnonzero(~matches.ignored[0]):
            own = bool(matches.true_positives[0, index])
            error_type, other = (
                (None, _NO_OBJECT)
                if own
                else _error_type(
                    overlaps[index], truth_names == one.predictions.class_names[index], detected
                )
            )
            if other != _NO_OBJECT:
                could_be[other] = True
            frame.append(number)
            score.append(float(one.predictions.scores[index]))
            name.append(indices.get(one.predictions.class_names[index], _NO_OBJECT))
            true_positive.append(own)
            error.append(error_type)
            partner.append(_NO_OBJECT if other == _NO_OBJECT else first + other)
        object_frame.extend([number] * len(counted))
        object_name.extend(indices[str(one_name)] for one_name in truth_names)
        false_negative.extend((~detected & ~could_be).tolist())
    return _Outcomes(
        np.array(frame, np.int64),
        np.array(score, np.float64),
        np.array(name, np.int64),
        np.array(true_positive, np.bool_),
        error,
        np.array(partner, np.int64),
        np.array(object_frame, np.int64),
        np.array(object_name, np.int64),
        np.array(false_negative, np.bool_),
    )


def _error_type(
    overlaps: Float64Array, same: BoolArray, detected: BoolArray
) -> tuple[ErrorType, int]:
    """Return the type of a false positive, and the object that it would match if corrected."""
    if not len(overlaps):
        return ErrorType.BACKGROUND, _NO_OBJECT
    own = np.where(same, overlaps, 0.0)
    best = int(own.argmax())
    if _NOTHING_IOU <= own[best] <= _SAME_IOU:
        return ErrorType.LOCATION, _NO_OBJECT if detected[best] else best
    other = np.where(same, 0.0, overlaps)
    best = int(other.argmax())
    if other[best] >= _SAME_IOU:
        return ErrorType.CLASS, _NO_OBJECT if detected[best] else best
    if (own[detected] >= _SAME_IOU).any():
        return ErrorType.DUPLICATE, _NO_OBJECT
    if overlaps.max() <= _NOTHING_IOU:
        return ErrorType.BACKGROUND, _NO_OBJECT
    return ErrorType.BOTH, _NO_OBJECT
