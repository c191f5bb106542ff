"""Scores of masks, enlarged only where it matters."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from robot_perception.models.enlarging import enlarge_positive

SIZES = [((8, 8), (48, 64)), ((88, 88), (480, 640)), ((16, 20), (16, 20)), ((9, 7), (5, 4))]


def as_torch(scores, size_hw):
    full = functional.interpolate(
        torch.from_numpy(scores)[:, None], size_hw, mode='bilinear', align_corners=False
    )
    return full[:, 0].numpy()


@pytest.mark.parametrize(('short', 'long'), SIZES)
@pytest.mark.parametrize('share', [0.02, 0.5, 1.0])
def test_equals_torch(short, long, share):
    """But where the enlarged score is 0 within rounding."""
    random = np.random.default_rng(5)
    scores = random.normal(size=(20, *short)).astype(np.float32)
    scores = np.where(random.random(scores.shape) < share, scores, np.float32(-1))
    expected, found = as_torch(scores, long), enlarge_positive(scores, long)
    assert found.shape == expected.shape
    sure = np.abs(expected) > 1e-5
    assert sure.mean() > 0.99
    np.testing.assert_array_equal(found[sure], expected[sure] > 0)
    assert 0 < found.mean() < 1


@pytest.mark.parametrize('corner', [(0, 0), (0, -1), (-1, 0), (-1, -1)])
def test_a_positive_corner_reaches_the_corner(corner):
    scores = np.full((1, 8, 8), -1, np.float32)
    scores[0][corner] = 1
    found = enlarge_positive(scores, (48, 64))
    np.testing.assert_array_equal(found, as_torch(scores, (48, 64)) > 0)
    assert found[0][corner]


def test_nothing_positive_is_no_pixel():
    assert not enlarge_positive(np.full((3, 8, 8), -0.5, np.float32), (48, 64)).any()
    assert enlarge_positive(np.zeros((0, 8, 8), np.float32), (48, 64)).shape == (0, 48, 64)
