"""Precision, recall and F1 over confidence, and confusion of classes."""

import numpy as np
import pytest
from random_boxes import detections, NAMES, random_frame

from robot_perception.core import Detections
from robot_perception.evaluation.confusion import ConfusionMatrix, frame_confusions
from robot_perception.evaluation.frame_matches import FrameMatches
from robot_perception.evaluation.matching import match
from robot_perception.evaluation.operating_points import operating_points, THRESHOLDS


@pytest.mark.parametrize('seed', range(4))
def test_points_are_those_of_predictions_above_each_threshold(seed):
    rng = np.random.default_rng(seed)
    frames = [random_frame(rng) for _ in range(5)]
    matches = [FrameMatches.of_boxes(one.predictions, one.truth, one.counted) for one in frames]
    every, *classes = operating_points(matches, NAMES)
    assert [one.name for one in classes] == list(NAMES)
    for index in (0, 20, 50, 90, 100):
        right = wrong = objects = 0
        for one in frames:
            above = one.predictions[one.predictions.scores >= THRESHOLDS[index]]
            result = match(above, one.truth, one.counted, [0.5])
            right += int(result.true_positives.sum())
            wrong += int(result.false_positives.sum())
            objects += int(one.counted.sum())
        expected = right / (right + wrong) if right + wrong else 1
        assert every.precision[index] == pytest.approx(expected)
        assert every.recall[index] == pytest.approx(right / objects)
    assert every.f1[every.best] == max(every.f1)


def test_a_score_equal_to_the_threshold_counts():
    truth = detections(np.array([[0.0, 0, 5, 5]]), np.ones(1), np.zeros(1, int))
    predictions = detections(np.array([[0.0, 0, 5, 5]]), np.array([0.7]), np.zeros(1, int))
    frame = FrameMatches.of_boxes(predictions, truth, np.ones(1, np.bool_))
    every = operating_points([frame], NAMES)[0]
    assert (every.recall[70], every.recall[71]) == (1, 0)
    assert (every.precision[70], every.precision[71]) == (1, 1)


def test_confusions_of_one_frame():
    boxes = np.array([[0.0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [60, 0, 70, 10]])
    truth = detections(boxes, np.ones(4), np.array([0, 1, 2, 0]))
    counted = np.array([True, True, True, False])
    # One right, a duplicate, a wrong class, one on nothing, one on the ignored object.
    found = np.concatenate([boxes[[0, 0, 1]], [[80.0, 0, 90, 10]], boxes[[3]]])
    predictions = detections(found, np.array([0.9, 0.8, 0.7, 0.6, 0.5]), np.array([0, 0, 2, 1, 0]))
    pairs = frame_confusions(predictions, truth, counted)
    first, second, third = NAMES[:3]
    assert dict(pairs) == {
        (first, first): 1,
        ('', first): 1,
        (second, third): 1,
        ('', second): 1,
        (third, ''): 1,
    }


@pytest.mark.parametrize('seed', range(4))
def test_sums_of_the_matrix_are_those_of_precision_and_recall(seed):
    rng = np.random.default_rng(seed)
    frames = [random_frame(rng, predictions=12) for _ in range(6)]
    matrix = ConfusionMatrix.of(
        frame_confusions(one.predictions, one.truth, one.counted) for one in frames
    )
    counts = np.array(matrix.counts)
    results = [match(one.predictions, one.truth, one.counted, [0.5]) for one in frames]
    assert counts.diagonal().sum() == sum(int(one.true_positives.sum()) for one in results)
    assert counts[:, :-1].sum() == sum(int((~one.ignored).sum()) for one in results)
    assert counts[:-1].sum() == sum(int(one.counted.sum()) for one in frames)
    joined = np.array(matrix.of_most_errors(2).counts)
    assert joined.shape == (3, 3)
    assert joined.sum() == counts.sum()
    assert joined[-1].sum() == counts[-1].sum()


def test_without_predictions_no_object_is_detected():
    rng = np.random.default_rng(0)
    frame = random_frame(rng)
    pairs = frame_confusions(Detections.empty(), frame.truth, frame.counted)
    assert sum(pairs.values()) == frame.counted.sum()
    assert {predicted for _, predicted in pairs} == {''}
