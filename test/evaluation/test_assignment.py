"""The best pairing, against scipy's."""

import numpy as np
import pytest

from robot_perception.evaluation.assignment import best_assignment

optimize = pytest.importorskip('scipy.optimize')


@pytest.mark.parametrize('seed', range(40))
def test_it_is_that_of_scipy(seed):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=rng.integers(0, 12, 2)) * 10.0 ** rng.integers(-3, 4)
    rows, columns = best_assignment(scores)
    expected = optimize.linear_sum_assignment(scores, maximize=True)
    assert np.array_equal(rows, np.sort(rows))
    assert len(set(columns.tolist())) == len(columns) == min(scores.shape)
    assert scores[rows, columns].sum() == pytest.approx(scores[expected].sum())


def test_equal_scores_are_all_paired():
    rows, columns = best_assignment(np.zeros((3, 5)))
    assert rows.tolist() == [0, 1, 2]
    assert len(set(columns.tolist())) == 3
