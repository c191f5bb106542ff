"""Outliers of values with known gaps."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
import numpy as np
import pytest

from robot_perception.pipeline.outliers import inlier_mask
from robot_perception.pipeline.upright_box import upright_box


def test_values_beyond_a_gap_are_outliers():
    body = np.linspace(1.0, 1.2, 1000)
    values = np.concatenate([body, [0.5, 1.5, 9.0]])
    assert inlier_mask(values, 0.02).tolist() == [True] * 1000 + [False] * 3


def test_a_sparse_side_is_no_outlier():
    values = np.concatenate([np.full(1000, 1.0), np.linspace(1.0, 1.3, 300)])
    inliers = inlier_mask(values, 0.02)
    assert values[inliers].max() > 1.27
    assert inliers.mean() > 0.98


@pytest.mark.parametrize('order', [1, -1])
def test_of_two_clusters_the_larger_is_kept_if_the_median_is_in_neither(order):
    values = np.concatenate([np.linspace(1.0, 1.01, 501), np.linspace(3.0, 3.01, 499)])[::order]
    values = np.append(values, [2.0, 2.0, 2.0])
    inliers = inlier_mask(values, 0.02)
    assert values[inliers].max() < 1.1
    assert np.count_nonzero(inliers) >= 400


# Tenths of millimeters within 100 m.
NUMBERS = st.integers(-(10**6), 10**6).map(lambda value: value / 1e4)


@given(values=arrays(np.float64, st.integers(1, 60), elements=NUMBERS))
def test_there_is_always_an_inlier(values):
    assert inlier_mask(values, 0.02).any()


@given(points=arrays(np.float64, st.tuples(st.integers(1, 40), st.just(3)), elements=NUMBERS))
@pytest.mark.slow
def test_any_points_have_an_upright_box(points):
    box = upright_box(points, np.array([0.0, -0.6, -0.8]))
    assert np.isfinite([*box.center_m, *box.size_m]).all()
