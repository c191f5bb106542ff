"""Why predictions are wrong, and what average precision each reason costs.

The reasons and the order in which they are looked for are those of TIDE (Bolya et al. 2020, TIDE:
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

# Overlap from which a prediction is an object, and up to which it is nothing.
_SAME_IOU, _NOTHING_IOU = 0.5, 0.1
_NOBODY = -1


class ErrorType(Enum):
    """Why a prediction is wrong, or an object not found."""

    CLASS = 'class'
    LOCATION = 'location'
    BOTH = 'class and location'
    DUPLICATE = 'duplicate'
    BACKGROUND = 'background'
    MISSED = 'missed'


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """All predictions of all frames that are right or wrong, best first in each frame.

    Attributes:
        frame: (N,) int64.
        score: (N,) float64.
        name: (N,) int64, place of the class; -1 for one that no object has.
        right: (N,) bool.
        reason: (N,) object, ErrorType of each that is wrong, None of the others.
        object: (N,) int64, number of the object that a wrong one would be if it were put right,
            -1 for none.
        object_frame: (M,) int64, frame of each object.
        object_name: (M,) int64, place of the class of each object.
        missed: (M,) bool, objects that no prediction is or could be put right to.

    """

    frame: Int64Array
    score: Float64Array
    name: Int64Array
    right: BoolArray
    reason: list[ErrorType | None]
    object: Int64Array
    object_frame: Int64Array
    object_name: Int64Array
    missed: BoolArray


class ErrorAnalysis:
    """Predictions of all frames, each with its reason."""

    def __init__(self, frames: Sequence[FrameBoxes], class_names: Sequence[str]) -> None:
        """Judge each frame.

        Args:
            frames: F frames.
            class_names: K classes of the objects that count.

        """
        self._judged = _judge(frames, {name: place for place, name in enumerate(class_names)})
        judged = self._judged
        self.counts = {
            reason: int(judged.missed.sum())
            if reason is ErrorType.MISSED
            else sum(one is reason for one in judged.reason)
            for reason in ErrorType
        }
        objects = np.zeros((len(frames), len(class_names)))
        np.add.at(objects, (judged.object_frame, judged.object_name), 1)
        left = objects.copy()
        np.subtract.at(
            left, (judged.object_frame[judged.missed], judged.object_name[judged.missed]), 1
        )
        wrong: list[ErrorType | None] = [
            reason for reason in ErrorType if reason is not ErrorType.MISSED
        ]
        fixed = [_fixed(judged, reason) for reason in wrong]
        self._variants = [
            _Curves(_as_it_is(judged), objects),
            *(_Curves(points, objects) for points in fixed),
            _Curves(_as_it_is(judged), left),
        ]

    def costs(self, weights: Int64Array) -> Float64Array:
        """Give AP at an overlap of 0.5, and what it gains when all errors of a reason are fixed.

        A wrong class or location is put right if its object was not found and no better
        prediction is put right to it, and taken away otherwise; the other wrong predictions are
        taken away; a missed object is no longer asked for.

        Args:
            weights: (F,) int64, how often each frame is taken.

        Returns:
            (7,) float64: AP, then the gain of each `ErrorType` in order, >= 0; NaN without objects.

        """
        values = np.array([curves.ap(weights) for curves in self._variants])
        gains = np.where(np.isnan(values[1:]), np.nan, np.maximum(values[1:] - values[0], 0))
        return np.concatenate([values[:1], gains])


@dataclass(frozen=True, slots=True, eq=False)
class _Points:
    """Predictions on their way into a curve: frame, class, score, and whether each is right."""

    frame: Int64Array
    name: Int64Array
    score: Float64Array
    right: BoolArray


class _Curves:
    """Precision over recall of each class, for mixtures of frames."""

    def __init__(self, points: _Points, objects: Float64Array) -> None:
        order = np.argsort(-points.score, kind='stable')
        self._objects = objects
        self._classes = []
        for place in range(objects.shape[1]):
            own = order[points.name[order] == place]
            self._classes.append((points.frame[own], points.right[own]))

    def ap(self, weights: Int64Array) -> float:
        """Mean over classes of the precision averaged over 101 recalls."""
        totals = weights @ self._objects
        values = [
            _average(weights[frame], right, float(total))
            for (frame, right), total in zip(self._classes, totals, strict=True)
        ]
        known = [value for value in values if value is not None]
        return float(np.mean(known)) if known else float('nan')


def _average(taken: Int64Array, right: BoolArray, total: float) -> float | None:
    if not total:
        # All objects were missed and are no longer asked for: what is left is wrong.
        return 0.0 if taken.any() else None
    found = np.cumsum(taken * right)
    every = np.cumsum(taken)
    precision = found / np.maximum(every, 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(found / total, RECALLS, side='left')
    return float(best[places[places < len(best)]].sum() / len(RECALLS))


def _as_it_is(judged: _Judged) -> _Points:
    return _Points(judged.frame, judged.name, judged.score, judged.right)


def _fixed(judged: _Judged, reason: ErrorType | None) -> _Points:
    """Put right what can be put right of one reason, and take the rest away."""
    errors = np.array([one is reason for one in judged.reason], np.bool_)
    mended = errors & _best_of_their_object(judged)
    name = judged.name.copy()
    name[mended] = judged.object_name[judged.object[mended]]
    kept = ~errors | mended
    return _Points(
        judged.frame[kept], name[kept], judged.score[kept], (judged.right | mended)[kept]
    )


def _best_of_their_object(judged: _Judged) -> BoolArray:
    """Tell which predictions have the best score of all that would be one object."""
    best = np.zeros(len(judged.object), np.bool_)
    order = np.argsort(-judged.score, kind='stable')
    order = order[judged.object[order] != _NOBODY]
    _, first = np.unique(judged.object[order], return_index=True)
    best[order[first]] = True
    return best


def _judge(frames: Sequence[FrameBoxes], places: dict[str, int]) -> _Judged:
    frame, score, name, right, partner = [], [], [], [], []
    reason: list[ErrorType | None] = []
    object_frame: list[int] = []
    object_name: list[int] = []
    missed: list[bool] = []
    for number, one in enumerate(frames):
        first = len(object_frame)
        counted = np.flatnonzero(one.counted)
        matches = match(one.found, one.truth, one.counted, [_SAME_IOU])
        found = np.isin(counted, matches.truth[0][matches.right[0]])
        overlaps = iou_xyxy(one.found.boxes_xyxy, one.truth.boxes_xyxy[counted])
        truth_names = np.array([one.truth.class_names[place] for place in counted], np.str_)
        could_be = np.zeros(len(counted), np.bool_)
        for place in np.flatnonzero(~matches.ignored[0]):
            own = bool(matches.right[0, place])
            why, other = (
                (None, _NOBODY)
                if own
                else _why(overlaps[place], truth_names == one.found.class_names[place], found)
            )
            if other != _NOBODY:
                could_be[other] = True
            frame.append(number)
            score.append(float(one.found.scores[place]))
            name.append(places.get(one.found.class_names[place], _NOBODY))
            right.append(own)
            reason.append(why)
            partner.append(_NOBODY if other == _NOBODY else first + other)
        object_frame.extend([number] * len(counted))
        object_name.extend(places[str(one_name)] for one_name in truth_names)
        missed.extend((~found & ~could_be).tolist())
    return _Judged(
        np.array(frame, np.int64),
        np.array(score, np.float64),
        np.array(name, np.int64),
        np.array(right, np.bool_),
        reason,
        np.array(partner, np.int64),
        np.array(object_frame, np.int64),
        np.array(object_name, np.int64),
        np.array(missed, np.bool_),
    )


def _why(overlaps: Float64Array, same: BoolArray, found: BoolArray) -> tuple[ErrorType, int]:
    """Give the reason of a wrong prediction, and the object it would be if it were put right."""
    if not len(overlaps):
        return ErrorType.BACKGROUND, _NOBODY
    own = np.where(same, overlaps, 0.0)
    best = int(own.argmax())
    if _NOTHING_IOU <= own[best] <= _SAME_IOU:
        return ErrorType.LOCATION, _NOBODY if found[best] else best
    other = np.where(same, 0.0, overlaps)
    best = int(other.argmax())
    if other[best] >= _SAME_IOU:
        return ErrorType.CLASS, _NOBODY if found[best] else best
    if (own[found] >= _SAME_IOU).any():
        return ErrorType.DUPLICATE, _NOBODY
    if overlaps.max() <= _NOTHING_IOU:
        return ErrorType.BACKGROUND, _NOBODY
    return ErrorType.BOTH, _NOBODY
