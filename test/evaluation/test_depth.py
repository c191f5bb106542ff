"""Errors of depth, against closed forms."""

import re

import numpy as np
import pytest

from robot_perception.core import MetricDepth, RelativeDepth
from robot_perception.evaluation.depth import constant_factor_note, depth_errors, DepthErrors

TRUE = np.random.default_rng(0).uniform(0.5, 4, (20, 30)).astype(np.float32)


def errors(found, true=TRUE):
    return depth_errors(MetricDepth.from_meters(np.asarray(found)), MetricDepth.from_meters(true))


def test_perfect():
    found = errors(TRUE)
    assert (found.known, found.delta1) == (1, 1)
    for name in ('abs_rel', 'rmse_m', 'silog_eigen', 'silog_kitti', 'abs_rel_scaled'):
        assert getattr(found, name) == 0
    assert found.abs_rel_fitted == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize('factor', [0.5, 1.2, 1.3])
def test_a_common_factor(factor):
    found = errors(TRUE * factor)
    assert found.abs_rel == pytest.approx(abs(factor - 1), rel=1e-5)
    rms = np.sqrt(np.mean(TRUE.astype(float) ** 2))
    assert found.rmse_m == pytest.approx(abs(factor - 1) * rms, rel=1e-5)
    assert found.delta1 == (1 if factor == 1.2 else 0)
    # mean(d^2) - 0.5 mean(d)^2 of a constant d is d^2 / 2; KITTI forgives it all.
    assert found.silog_eigen == pytest.approx(np.log(factor) ** 2 / 2, rel=1e-5)
    assert found.silog_kitti == pytest.approx(0, abs=1e-4)
    assert found.abs_rel_scaled == pytest.approx(0, abs=1e-6)
    assert found.abs_rel_fitted == pytest.approx(0, abs=1e-5)


def test_half_of_the_pixels_twice_as_far():
    factor = np.ones(TRUE.shape, np.float32)
    factor[:10] = 2
    found = errors(TRUE * factor)
    d = np.log(2)
    assert found.abs_rel == pytest.approx(0.5, rel=1e-5)
    assert found.delta1 == 0.5
    # mean(d^2) = d^2 / 2, mean(d) = d / 2.
    assert found.silog_eigen == pytest.approx(d**2 / 2 - d**2 / 8, rel=1e-5)
    assert found.silog_kitti == pytest.approx(100 * d / 2, rel=1e-5)


def test_scaling_goes_by_the_medians():
    # Medians 2 and 4, so that the prediction is halved: 0.5, 2, 5 beside 1, 2, 3.
    true, found = (np.array([row], np.float32) for row in ([1, 2, 3], [1, 4, 10]))
    assert errors(found, true).abs_rel_scaled == pytest.approx((1 / 2 + 0 + 2 / 3) / 3)


def test_a_fit_takes_off_scale_and_shift_of_the_inverse():
    inverse = RelativeDepth((3 / TRUE + 0.7).astype(np.float32))
    found = depth_errors(inverse, MetricDepth(TRUE))
    assert found.abs_rel_fitted == pytest.approx(0, abs=1e-5)
    known = DepthErrors(abs_rel_fitted=found.abs_rel_fitted)
    assert found == known, 'relative depth has no meters to compare'


def test_the_fit_is_that_of_least_squares():
    rng = np.random.default_rng(1)
    inverse = (1 / TRUE + rng.normal(0, 0.1, TRUE.shape)).clip(0).astype(np.float32)
    found = depth_errors(RelativeDepth(inverse), MetricDepth(TRUE))
    true = TRUE.astype(float).ravel()
    slope, shift = np.polyfit(inverse.astype(float).ravel(), 1 / true, 1)
    fitted = slope * inverse.astype(float).ravel() + shift
    fitted = 1 / np.maximum(fitted, 1 / true.max())
    assert found.abs_rel_fitted == pytest.approx(np.mean(np.abs(fitted - true) / true), rel=1e-6)


def test_only_what_both_know_counts():
    found, true = TRUE * 2, TRUE.copy()
    found[:5], true[5:10] = np.nan, np.nan
    result = errors(found, true)
    assert result.abs_rel == pytest.approx(1, rel=1e-5)
    # Ten rows are known of both, of the fifteen that the truth knows.
    assert result.known == pytest.approx(10 / 15)


@pytest.mark.parametrize('true', [None, MetricDepth(np.full((20, 30), np.nan, np.float32))])
def test_nothing_is_known_without_truth(true):
    assert depth_errors(MetricDepth(TRUE), true) == DepthErrors()


def test_nothing_is_known_without_a_prediction():
    assert depth_errors(None, MetricDepth(TRUE)) == DepthErrors()
    assert errors(np.full_like(TRUE, np.nan)) == DepthErrors(known=0.0)


def test_one_even_depth_can_be_compared():
    even = errors(np.ones_like(TRUE))
    mean = 1 / np.mean(1 / TRUE.astype(float))
    expected = np.mean(np.abs(mean - TRUE) / TRUE)
    assert even.abs_rel_fitted == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ('factors', 'noise', 'is_noted'),
    [
        ((0.2, 0.2, 0.2), 0.01, True),
        ((3.9, 3.9, 4.0), 0.05, True),
        ((1.05, 1.05, 1.05), 0.01, False),  # a network's own bias
        ((1.2, 1.5, 1.0), 0.01, False),  # another one in each image
        ((1.3, 1.3, 1.3), 0.5, False),  # errors of another kind
    ],
)
def test_only_one_factor_for_all_is_noted(factors, noise, is_noted):
    rng = np.random.default_rng(0)
    found = [
        errors(TRUE * factor * rng.lognormal(0, noise, TRUE.shape).astype(np.float32))
        for factor in factors
    ]
    note = constant_factor_note(found)
    assert bool(note) == is_noted
    if note:
        factor = float(re.search(r'true depth is (\S+) times', note)[1])
        assert factor == pytest.approx(1 / np.median(factors), rel=0.02)


def test_unknown_depth_has_no_factor():
    assert constant_factor_note([]) == constant_factor_note([DepthErrors()]) == ''
