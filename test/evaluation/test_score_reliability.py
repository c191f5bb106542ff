"""Calibration of scores against figures by hand and a second implementation."""

from dataclasses import replace
from functools import partial
from itertools import pairwise
import json

import numpy as np
import pytest
from truths import example_truth, join_objects, perfect

from robot_perception import evaluation
from robot_perception.evaluation import expected_calibration_error, reliability_bins

Evaluation = partial(evaluation.Evaluation, resamples=50)


def test_by_hand():
    scores = np.array([0.9, 0.5, 0.7, 0.6, 0.8, 0.4])
    true_positives = np.array([True, True, False, False, True, False])
    bins = reliability_bins(scores, true_positives, 3)
    assert [(one.low, one.high, one.count) for one in bins] == [
        (0.4, 0.5, 2),
        (0.6, 0.7, 2),
        (0.8, 0.9, 2),
    ]
    assert [one.mean_score for one in bins] == pytest.approx([0.45, 0.65, 0.85])
    assert [one.precision for one in bins] == [0.5, 0.0, 1.0]
    error = expected_calibration_error(scores, true_positives, 3)
    assert error == pytest.approx(((0.5 - 0.45) + 0.65 + (1 - 0.85)) / 3)


def test_bins_hold_as_many_detections_each():
    scores = np.random.default_rng(0).beta(5, 1, 1000)
    bins = reliability_bins(scores, scores > 0.5)
    assert len(bins) == 15
    assert {one.count for one in bins} == {66, 67}
    assert sum(one.count for one in bins) == 1000
    assert all(one.high <= other.low for one, other in pairwise(bins))


def by_width(scores, true_positives, bins):
    """Bins of equal width, the formula of Guo et al. 2017 that torchmetrics implements."""
    numbers = np.minimum((scores * bins).astype(int), bins - 1)
    return sum(
        abs(true_positives[numbers == one].mean() - scores[numbers == one].mean())
        * np.mean(numbers == one)
        for one in range(bins)
    )


def test_bins_of_equal_width_agree_where_each_holds_as_many():
    rng = np.random.default_rng(1)
    scores = np.concatenate([rng.uniform(one / 15, (one + 1) / 15, 20) for one in range(15)])
    true_positives = rng.random(300) < scores**2
    assert expected_calibration_error(scores, true_positives) == pytest.approx(
        by_width(scores, true_positives, 15)
    )


@pytest.mark.parametrize(('power', 'expected'), [(1, 0.0), (2, 1 / 6)])
def test_many_samples_of_a_known_probability(power, expected):
    """The error of scores s that are right with a probability s^2 is the mean of s - s^2."""
    rng = np.random.default_rng(2)
    scores = rng.random(200_000)
    true_positives = rng.random(200_000) < scores**power
    error = expected_calibration_error(scores, true_positives)
    assert error == pytest.approx(expected, abs=0.004)


def test_few_detections_have_few_bins():
    assert reliability_bins(np.zeros(0), np.zeros(0, bool)) == ()
    assert np.isnan(expected_calibration_error(np.zeros(0), np.zeros(0, bool)))
    (only,) = reliability_bins(np.array([0.8]), np.array([True]))
    assert (only.count, only.precision) == (1, 1.0)


def evaluated(scores, frames=6):
    """Every second object of a frame is called something else."""
    found = Evaluation()
    for seed in range(frames):
        truth = example_truth(seed)
        scene = perfect(truth)
        names = tuple(
            name if index % 2 == 0 else 'other'
            for index, name in enumerate(truth.detections.class_names)
        )
        predictions = replace(
            scene.detections, class_names=names, scores=np.array(scores, np.float32)
        )
        objects = join_objects(predictions, [item.position for item in truth.objects])
        found.add(replace(scene, detections=predictions, objects=objects), truth)
    return found.report()


def test_rows_count_detections_above_the_lowest_score():
    report = evaluated([0.95, 0.9, 0.35, 0.29])
    rows = {row.name: row for row in report.rows if row.group == 'score calibration'}
    assert rows['detections of a score of at least 0.3'].value == 18
    assert rows['lowest of their scores'].value == pytest.approx(0.35)
    assert rows['precision'].value == pytest.approx(2 / 3)
    assert rows['mean of their scores'].value == pytest.approx((0.95 + 0.9 + 0.35) / 3)
    # 0.95 and 0.35 are always right, 0.9 never; bins of one or two detections.
    error = rows['expected calibration error']
    assert error.value == pytest.approx((0.05 + 0.9 + 0.65) / 3, abs=0.05)
    assert error.low <= error.value <= error.high
    described = json.loads(json.dumps(report.as_json(), allow_nan=False))
    assert sum(one['count'] for one in described['reliability']) == 18


def test_without_detections_of_such_a_score_there_are_no_rows():
    report = evaluated([0.1, 0.1, 0.2, 0.2])
    assert not [row for row in report.rows if row.group == 'score calibration']
    assert report.reliability == ()


def test_detections_on_ignored_objects_do_not_count():
    truth = example_truth(0, shares=[1, 0.1, 0.1, 0.1])
    found = Evaluation()
    found.add(perfect(truth), truth)
    (only,) = found.report().reliability
    assert (only.count, only.precision) == (1, 1.0)
