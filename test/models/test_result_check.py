"""Comparison of results with those of torch in fp32."""

import math

import numpy as np
import pytest

from robot_perception.core import Detections, Masks, MetricDepth, RelativeDepth, SceneFeatures
from robot_perception.models.runtimes.result_check import measure_results, result_tolerance


def boxes(*rows, scores=(0.9, 0.5), ids=(0, 1)):
    count = len(rows)
    names = tuple('ab'[one] for one in ids[:count])
    return Detections(
        np.array(rows, np.float32).reshape(-1, 4),
        np.array(scores[:count], np.float32),
        np.array(ids[:count], np.int32),
        names,
    )


def test_depth_is_compared_by_its_mean_relative_difference():
    one = np.full((4, 6), 2, np.float32)
    other = one.copy()
    other[0, 0] = 4
    for kind in (MetricDepth, RelativeDepth):
        assert measure_results(kind(one), kind(one)) == 0
        assert measure_results(kind(one), kind(other)) == pytest.approx(1 / 24)
    other[0, 0] = np.nan
    assert measure_results(MetricDepth(one), MetricDepth(other)) == math.inf


def test_boxes_are_compared_by_overlap_with_those_of_their_class():
    expected = boxes([0, 0, 10, 10], [20, 20, 40, 40])
    assert measure_results(expected, boxes([20, 20, 40, 40], [0, 0, 10, 10], ids=(1, 0))) == 0
    shifted = boxes([1, 0, 11, 10], [20, 20, 40, 40])
    assert measure_results(expected, shifted) == pytest.approx((1 - 9 / 11) / 2)
    assert measure_results(expected, boxes([0, 0, 10, 10])) == pytest.approx(1 / 3)
    other = boxes([0, 0, 10, 10], [20, 20, 40, 40], ids=(0, 0))
    assert measure_results(expected, other) == pytest.approx(1 / 2)
    low = boxes([0, 0, 10, 10], [60, 20, 70, 40], scores=(0.9, 0.25))
    assert measure_results(boxes([0, 0, 10, 10]), low) == 0, 'found by one of both only'
    assert measure_results(boxes(), boxes()) == 0


def test_masks_and_features():
    one = np.zeros((2, 4, 4), np.bool_)
    one[0, :2] = True
    other = one.copy()
    other[0, 2] = True
    scores = np.ones(2, np.float32)
    assert measure_results(Masks(one, scores), Masks(other, scores)) == pytest.approx(1 / 6)
    vectors = np.array([[3, 4], [4, -3]], np.float32)
    first, second = (SceneFeatures('x', one, np.zeros((1, 1, 2), np.float32)) for one in vectors)
    assert measure_results(first, first) == pytest.approx(0)
    assert measure_results(first, second) == pytest.approx(1)


def test_bf16_may_differ_by_more():
    for task in ('features', 'depth', 'detector', 'segmenter'):
        assert result_tolerance(task, 'fp32') < result_tolerance(task, 'bf16') <= 0.05
