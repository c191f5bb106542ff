"""Depth errors near and far."""

import numpy as np
import pytest

from robot_perception.core import MetricDepth, RelativeDepth
from robot_perception.evaluation.depth import (
    depth_error_by_range,
    range_names,
    RANGES_M,
    RangeSums,
)


def depth(*meters):
    return MetricDepth(np.array([meters], np.float32))


def test_each_pixel_falls_into_the_range_of_its_true_depth():
    truth, found = depth(0.4, 0.5, 2.5, np.nan, 30.0, 30.0), depth(0.5, 1.0, 2.5, 1.0, 33, np.nan)
    sums = RangeSums([depth_error_by_range(found, truth), None])
    values = dict(zip(range_names(), sums.abs_rel(np.array([1, 1])), strict=True))
    known = {name: value for name, value in values.items() if not np.isnan(value)}
    assert known == pytest.approx(
        {'0 to 0.5 m': 0.25, '0.5 to 1 m': 1.0, '2 to 3 m': 0.0, 'from 20 m': 0.1}, rel=1e-5
    )
    assert len(values) == len(RANGES_M) - 1


def test_frames_weigh_as_often_as_they_are_taken():
    frames = [
        depth_error_by_range(depth(1.1), depth(1.0)),
        depth_error_by_range(depth(1.4), depth(1.0)),
    ]
    sums = RangeSums(frames)
    assert np.nanmax(sums.abs_rel(np.array([3, 1]))) == pytest.approx(0.7 / 4, rel=1e-5)
    assert np.isnan(sums.abs_rel(np.array([0, 0]))).all()


def test_the_range_of_relative_depth_is_unknown():
    assert depth_error_by_range(None, depth(1)) is None
    assert depth_error_by_range(depth(1), None) is None
    assert depth_error_by_range(RelativeDepth(np.ones((1, 1), np.float32)), depth(1)) is None
