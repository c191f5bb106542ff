"""Reasons and costs of errors: in closed form, and from tidecv 1.0.1."""

from coco_reference import coco_metrics
import numpy as np
import pytest
from random_boxes import NAMES, random_frame

from robot_perception.core import Detections
from robot_perception.evaluation.error_analysis import ErrorAnalysis, ErrorType
from robot_perception.evaluation.precision import FrameBoxes

# AP50 and what each reason costs, and how often it is met, in tide_frames(seed) by tidecv 1.0.1.
BY_TIDE = [
    (
        (
            *(0.413662370187, 0.020595914335, 0.077205269678, 0.010733131699),
            *(0.092068919156, 0.009376041577, 0.176876310425),
        ),
        (8, 11, 4, 38, 3, 17),
    ),
    (
        (
            *(0.445928694492, 0.063251784729, 0.026018473968, 0.006475311657),
            *(0.106010860044, 0.059624946796, 0.079808320782),
        ),
        (11, 5, 6, 33, 15, 7),
    ),
    (
        (
            *(0.379190287917, 0.01530866485, 0.039089873432, 0.00260701342),
            *(0.048201108653, 0.113058694569, 0.11788726876),
        ),
        (13, 9, 5, 49, 30, 11),
    ),
]
CUP, BALL = 'cup', 'ball'


def tide_frames(seed):
    rng = np.random.default_rng(seed)
    frames = [
        random_frame(rng, objects=int(rng.integers(0, 9)), predictions=int(rng.integers(0, 25)))
        for _ in range(10)
    ]
    return [
        FrameBoxes(one.predictions, one.truth, np.ones(len(one.truth), np.bool_)) for one in frames
    ]


@pytest.mark.parametrize('seed', range(3))
def test_they_are_those_of_tide(seed):
    # Its hundredths are quotients; those of COCO, used here, are steps of a sum.
    costs, counts = BY_TIDE[seed]
    predictions = ErrorAnalysis(tide_frames(seed), NAMES, recalls=np.arange(101) / 100)
    assert predictions.costs(np.ones(10, np.int64)) == pytest.approx(costs, abs=1e-9)
    assert tuple(predictions.counts[reason] for reason in ErrorType) == counts


@pytest.mark.parametrize('seed', range(3))
def test_before_any_correction_it_is_ap50(seed):
    rng = np.random.default_rng(seed)
    frames = [random_frame(rng) for _ in range(8)]
    costs = ErrorAnalysis(frames, NAMES).costs(np.ones(8, np.int64))
    assert costs[0] == pytest.approx(coco_metrics(frames, NAMES).ap50, abs=1e-6)


def frame(predictions, truth):
    """Boxes of 10 x 10 at x = left: (left, class, score) and (left, class)."""

    def boxes(lefts):
        return np.array([(left, 0, left + 10, 10) for left in lefts], 'f').reshape(-1, 4)

    def detections(lefts, names, scores):
        ids = np.zeros(len(lefts), np.int32)
        return Detections(boxes(lefts), np.array(scores, 'f'), ids, tuple(names))

    own = [tuple(one) for one in predictions]
    return FrameBoxes.of(
        detections([one[0] for one in own], [one[1] for one in own], [one[2] for one in own]),
        detections([one[0] for one in truth], [one[1] for one in truth], [1] * len(truth)),
        np.ones(len(truth), np.bool_),
    )


def reasons(*frames):
    analysis = ErrorAnalysis(frames, (CUP, BALL))
    return {reason: count for reason, count in analysis.counts.items() if count}


def test_each_reason():
    truth = [(0, CUP)]
    right = (0, CUP, 0.9)
    assert reasons(frame([right], truth)) == {}
    assert reasons(frame([], truth)) == {ErrorType.MISS: 1}
    assert reasons(frame([(0, BALL, 0.9)], truth)) == {ErrorType.CLASS: 1}
    # An overlap of 5 / 15.
    assert reasons(frame([(5, CUP, 0.9)], truth)) == {ErrorType.LOCATION: 1}
    assert reasons(frame([(5, BALL, 0.9)], truth)) == {ErrorType.BOTH: 1, ErrorType.MISS: 1}
    assert reasons(frame([(50, CUP, 0.9)], truth)) == {
        ErrorType.BACKGROUND: 1,
        ErrorType.MISS: 1,
    }
    assert reasons(frame([right, (1, CUP, 0.8)], truth)) == {ErrorType.DUPLICATE: 1}
    assert reasons(frame([right], [])) == {ErrorType.BACKGROUND: 1}


def cost(frames, reason, names=(CUP,)):
    costs = ErrorAnalysis(frames, names).costs(np.ones(len(frames), np.int64))
    return dict(zip(ErrorType, costs[1:], strict=True))[reason]


def test_gain_of_a_corrected_error():
    # One of two found: AP 0.5, of which the recalls up to 0.5 are 51 of 101.
    two = [(0, CUP), (100, CUP)]
    assert cost(
        [frame([(0, CUP, 0.9), (105, CUP, 0.8)], two)], ErrorType.LOCATION
    ) == pytest.approx(50 / 101)
    assert cost([frame([(0, CUP, 0.9)], two)], ErrorType.MISS) == pytest.approx(50 / 101)
    # Precision 1 / 2 at every recall, with the wrong one first.
    assert cost([frame([(50, CUP, 0.9), (0, CUP, 0.8)], [(0, CUP)])], ErrorType.BACKGROUND) == 0.5
    # A duplicate behind everything costs nothing.
    assert cost([frame([(0, CUP, 0.9), (1, CUP, 0.8)], [(0, CUP)])], ErrorType.DUPLICATE) == 0


def test_only_the_best_of_two_is_put_right():
    # Both would be the one object. One becomes right and first, and the other disappears.
    twice = [frame([(5, CUP, 0.9), (-5, CUP, 0.8)], [(0, CUP)])]
    assert cost(twice, ErrorType.LOCATION) == 1
    assert reasons(*twice) == {ErrorType.LOCATION: 2}


def test_mixtures_of_frames():
    frames = tide_frames(1)
    weights = np.array([0, 2, 1, 0, 3, 1, 1, 0, 1, 1])
    repeated = [one for one, count in zip(frames, weights, strict=True) for _ in range(count)]
    assert ErrorAnalysis(frames, NAMES).costs(weights) == pytest.approx(
        ErrorAnalysis(repeated, NAMES).costs(np.ones(len(repeated), np.int64))
    )


def test_without_objects_it_is_unknown():
    empty = FrameBoxes.of(Detections.empty(), Detections.empty(), np.zeros(0, np.bool_))
    assert np.isnan(ErrorAnalysis([empty], NAMES).costs(np.ones(1, np.int64))).all()
