"""Figures of POPE: of answers to questions whose true answer is yes or no."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from robot_perception.core import Float64Array, Int64Array
from robot_perception.evaluation.answer_matching import read_yes_no, YES
from robot_perception.evaluation.bootstrap import Statistic
from robot_perception.evaluation.sample_errors import PRESENCE, yes_no_truth
from robot_perception.evaluation.samples import Prediction, Sample


@dataclass(frozen=True, slots=True)
class YesNoFigure:
    """A figure over questions.

    Attributes:
        group: which questions.
        name: of the figure.
        statistic: from counts of each image to its value.
        count: questions that it stands on.
        better: whether more is better; None if neither is.
    """

    group: str
    name: str
    statistic: Statistic
    count: int
    better: bool | None


def yes_no_figures(
    pairs: Sequence[tuple[Sample, Prediction]], images: Sequence[int]
) -> Iterator[YesNoFigure]:
    """Yield the figures over all questions whose true answer is yes or no, and by sampling.

    Those of a sampling are over the questions for something absent that are of it, and over those
    for something present that are of it or of none in particular. An empty answer is wrong, and
    neither yes nor no.

    Args:
        pairs: samples with their predictions.
        images: index of the image of each.
    """
    yield from _figures('yes-no questions', pairs, images, lambda _: True)
    for sampling in dict.fromkeys(name for sample, _ in pairs for name in sample.sampling):
        is_of = partial(_is_of_sampling, sampling)
        yield from _figures(f'presence, {sampling} absent', pairs, images, is_of)


def _is_of_sampling(sampling: str, sample: Sample) -> bool:
    if sample.kind != PRESENCE:
        return False
    return sampling in sample.sampling or (not sample.sampling and yes_no_truth(sample) == YES)


def _figures(
    group: str,
    pairs: Sequence[tuple[Sample, Prediction]],
    images: Sequence[int],
    is_of: Callable[[Sample], bool],
) -> Iterator[YesNoFigure]:
    counts = np.zeros((max(images, default=-1) + 1, 5), np.int64)
    for image, (sample, prediction) in zip(images, pairs, strict=True):
        if is_of(sample):
            counts[image] += _counts(sample, prediction)
    asked = int(counts[:, 4].sum())

    def ratio(numerator: str, denominator: str) -> Statistic:
        above, below = (_COUNTS[name] for name in (numerator, denominator))

        def statistic(weights: Int64Array) -> Float64Array:
            totals = weights @ counts
            total = float(totals @ below)
            return np.array([totals @ above / total if total else np.nan])

        return statistic

    for name, numerator, denominator, better in (
        ('accuracy', 'right', 'asked', True),
        ('precision', 'true yes', 'answered yes', True),
        ('recall', 'true yes', 'is yes', True),
        ('F1', 'twice true yes', 'answered yes and is yes', True),
        ('share of yes', 'answered yes', 'asked', None),
    ):
        yield YesNoFigure(group, name, ratio(numerator, denominator), asked, better)


# Weights of true yes, false yes, true no, all that are yes, all that are asked.
_COUNTS: Mapping[str, Int64Array] = {
    name: np.array(weights, np.int64)
    for name, weights in {
        'right': (1, 0, 1, 0, 0),
        'true yes': (1, 0, 0, 0, 0),
        'twice true yes': (2, 0, 0, 0, 0),
        'answered yes': (1, 1, 0, 0, 0),
        'is yes': (0, 0, 0, 1, 0),
        'answered yes and is yes': (1, 1, 0, 1, 0),
        'asked': (0, 0, 0, 0, 1),
    }.items()
}


def _counts(sample: Sample, prediction: Prediction) -> tuple[int, ...]:
    truth = yes_no_truth(sample)
    if truth is None or prediction.answer is None:
        return (0,) * 5
    given = read_yes_no(prediction.answer)
    is_yes, answered_yes = truth == YES, given == YES
    answered_no = given is not None and not answered_yes
    return (
        answered_yes and is_yes,
        answered_yes and not is_yes,
        answered_no and not is_yes,
        is_yes,
        True,
    )
