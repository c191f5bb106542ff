"""Confidence intervals, against the theory of means."""

import numpy as np
import pytest

from robot_perception.evaluation.bootstrap import Bootstrap, FrameValues


def test_the_interval_of_a_mean_is_that_of_its_standard_error():
    numbers = np.random.default_rng(1).normal(5, 2, 400)
    (estimate,) = Bootstrap(400).estimates(FrameValues([(x,) for x in numbers.tolist()]).mean)
    half = 1.96 * numbers.std() / np.sqrt(400)
    assert estimate.value == pytest.approx(numbers.mean())
    assert estimate.low == pytest.approx(numbers.mean() - half, abs=0.1 * half)
    assert estimate.high == pytest.approx(numbers.mean() + half, abs=0.1 * half)


def test_whole_frames_are_drawn():
    # The same numbers, but those of a frame are equal: a tenth as many independent ones.
    numbers = np.random.default_rng(1).normal(5, 2, 40)
    (together,) = Bootstrap(40).estimates(FrameValues([[x] * 10 for x in numbers.tolist()]).mean)
    half = 1.96 * numbers.std() / np.sqrt(40)
    assert together.high - together.low == pytest.approx(2 * half, rel=0.15)


def test_equal_frames_leave_no_doubt():
    (estimate,) = Bootstrap(9).estimates(FrameValues([(0.25, 0.75)] * 9).mean)
    assert (estimate.value, estimate.low, estimate.high) == (0.5, 0.5, 0.5)


def test_percentiles():
    values = FrameValues([(3.0, 1.0), (), (2.0, 10.0)])
    (estimate,) = Bootstrap(3).estimates(values.percentile(50))
    assert estimate.value == 2.5
    assert estimate.low == pytest.approx(2)
    assert estimate.high == pytest.approx(6)


def test_one_frame_gives_a_figure_without_an_interval():
    (estimate,) = Bootstrap(1).estimates(FrameValues([(1.0, 2.0)]).mean)
    assert (estimate.value, estimate.low, estimate.high) == (1.5, None, None)


@pytest.mark.parametrize('frames', [[], [()], [(), ()]])
def test_no_number_is_no_figure(frames):
    for statistic in (FrameValues(frames).mean, FrameValues(frames).percentile(90)):
        (estimate,) = Bootstrap(len(frames)).estimates(statistic)
        assert (estimate.value, estimate.low, estimate.high) == (None, None, None)


def test_the_same_numbers_give_the_same_interval():
    values = FrameValues([(x,) for x in np.random.default_rng(2).random(20).tolist()])
    assert Bootstrap(20).estimates(values.mean) == Bootstrap(20).estimates(values.mean)


def test_an_interval_holds_its_figure():
    # Every draw is above the figure, as with the average precision of few objects.
    (estimate,) = Bootstrap(10).estimates(lambda weights: np.array([float((weights != 1).any())]))
    assert (estimate.value, estimate.low, estimate.high) == (0, 0, 1)
