"""What is wrong with the predictions of samples, in five kinds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from robot_perception.core import iou_xyxy, StrEnum
from robot_perception.evaluation.answer_matching import (
    is_exact,
    NO,
    read_yes_no,
    soft_accuracy,
    YES,
)
from robot_perception.evaluation.samples import Box, NamedBox, Prediction, Sample

PRESENCE = 'presence'
"""Kind of the questions whether something is there."""
MIN_IOU = 0.5


class SampleErrorKind(StrEnum):
    """A kind of error."""

    HALLUCINATION = 'hallucination'
    FALSE_NEGATIVE = 'missed object'
    WRONG_LOCATION = 'wrong location'
    WRONG_ANSWER = 'wrong answer'
    WRONG_SCENE = 'wrong scene'


@dataclass(frozen=True, slots=True)
class SampleError:
    """An error in the prediction of a sample.

    Attributes:
        kind: of the error.
        sample: index of the sample.
        text: what is wrong.
        severity: larger is worse, among errors of a kind.
    """

    kind: SampleErrorKind
    sample: int
    text: str
    severity: float


def find_errors(samples: Sequence[Sample], predictions: Sequence[Prediction]) -> list[SampleError]:
    """Return all errors, by kind and worst first.

    A wrong answer whether something is there is a hallucination or a missed object.
    """
    order = list(SampleErrorKind)
    errors = [
        error
        for index, (sample, prediction) in enumerate(zip(samples, predictions, strict=True))
        for error in _find_in_sample(index, sample, prediction)
    ]
    return sorted(errors, key=lambda one: (order.index(one.kind), -one.severity, one.sample))


def _find_in_sample(index: int, sample: Sample, prediction: Prediction) -> Iterator[SampleError]:
    if sample.objects is not None and prediction.objects is not None:
        true, predicted = distinct_names(sample.objects), distinct_names(prediction.objects)
        extra, unnamed = sorted(predicted - true), sorted(true - predicted)
        if extra:
            text = f'named {", ".join(extra)}, which the image lacks'
            yield SampleError(SampleErrorKind.HALLUCINATION, index, text, len(extra))
        if unnamed:
            text = f'did not name {", ".join(unnamed)}'
            yield SampleError(SampleErrorKind.FALSE_NEGATIVE, index, text, len(unnamed))
    for name, overlap in grounding_overlaps(sample, prediction):
        if overlap is not None and overlap < MIN_IOU:
            text = f'{name}: IoU {overlap:.2f}'
            yield SampleError(SampleErrorKind.WRONG_LOCATION, index, text, 1 - overlap)
    yield from _answer_errors(index, sample, prediction.answer)
    if (
        sample.scene is not None
        and prediction.scene is not None
        and not is_scene(prediction.scene, sample.scene)
    ):
        text = f'{prediction.scene!r} instead of {sample.scene!r}'
        yield SampleError(SampleErrorKind.WRONG_SCENE, index, text, 1.0)


def _answer_errors(index: int, sample: Sample, answer: str | None) -> Iterator[SampleError]:
    if sample.answers is None or answer is None:
        return
    text = f'{sample.question}: {answer!r} instead of {sample.answers[0]!r}'
    truth = yes_no_truth(sample)
    if truth is None:
        if not is_exact(answer, sample.answers):
            severity = 1 - soft_accuracy(answer, sample.answers)
            yield SampleError(SampleErrorKind.WRONG_ANSWER, index, text, severity)
        return
    given = read_yes_no(answer)
    if given == truth:
        return
    kind = SampleErrorKind.WRONG_ANSWER
    if sample.kind == PRESENCE and given is not None:
        is_extra = given == YES
        kind = SampleErrorKind.HALLUCINATION if is_extra else SampleErrorKind.FALSE_NEGATIVE
    yield SampleError(kind, index, text, 1.0)


def distinct_names(objects: Sequence[NamedBox]) -> set[str]:
    """Return the distinct names of objects, in lower case."""
    return {one.name.strip().lower() for one in objects}


def is_scene(predicted: str, truth: str) -> bool:
    """Return whether two types of scenes are equal but for case and space around them."""
    return predicted.strip().lower() == truth.strip().lower()


def yes_no_truth(sample: Sample) -> str | None:
    """Return 'yes' or 'no' if that is the true answer of a sample, otherwise None."""
    for answer in (YES, NO):
        if sample.answers is not None and all(is_exact(one, [answer]) for one in sample.answers):
            return answer
    return None


def grounding_overlaps(
    sample: Sample, prediction: Prediction
) -> Iterator[tuple[str, float | None]]:
    """Yield each true name with the IoU of its best predicted box; None where there is no box.

    Of several true objects of a name, that with the largest IoU counts. Boxes are those of
    ``grounded``, or, without it, the first predicted object of the name that has one.
    """
    if sample.objects is None:
        return
    truths: dict[str, list[Box]] = {}
    for item in sample.objects:
        if item.box is not None:
            truths.setdefault(item.name, []).append(item.box)
    if not has_boxes(prediction):
        return
    for name, boxes in truths.items():
        predicted = boxes_of_name(prediction, name)
        if not predicted:
            yield name, None
            continue
        first, others = (np.array(one, np.float32) for one in (predicted[:1], boxes))
        yield name, float(iou_xyxy(first, others).max())


def has_boxes(prediction: Prediction) -> bool:
    """Return whether boxes were predicted, or that there is nothing."""
    if prediction.grounded is not None or prediction.objects == ():
        return True
    return any(item.box is not None for item in prediction.objects or ())


def boxes_of_name(prediction: Prediction, name: str) -> list[Box]:
    """Return the predicted boxes of a name, best first: of ``grounded``, or else of objects."""
    wanted = name.strip().lower()
    if prediction.grounded is not None:
        return [
            box
            for phrase, boxes in prediction.grounded.items()
            if phrase.strip().lower() == wanted
            for box in boxes
        ]
    return [
        item.box
        for item in prediction.objects or ()
        if item.box is not None and item.name.strip().lower() == wanted
    ]
