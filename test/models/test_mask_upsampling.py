"""Upsampling of mask logits in windows around positive logits."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from robot_perception.models.families.mask_upsampling import upsample_and_threshold

SIZES = [((8, 8), (48, 64)), ((88, 88), (480, 640)), ((16, 20), (16, 20)), ((9, 7), (5, 4))]


def as_torch(logits, size_hw):
    full = functional.interpolate(
        torch.from_numpy(logits)[:, None], size_hw, mode='bilinear', align_corners=False
    )
    return full[:, 0].numpy()


@pytest.mark.parametrize(('short', 'long'), SIZES)
@pytest.mark.parametrize('share', [0.02, 0.5, 1.0])
def test_equals_torch(short, long, share):
    """Except where the upsampled logit is 0 within rounding."""
    rng = np.random.default_rng(5)
    logits = rng.normal(size=(20, *short)).astype(np.float32)
    logits = np.where(rng.random(logits.shape) < share, logits, np.float32(-1))
    expected, masks = as_torch(logits, long), upsample_and_threshold(logits, long)
    assert masks.shape == expected.shape
    distinct = np.abs(expected) > 1e-5
    assert distinct.mean() > 0.99
    np.testing.assert_array_equal(masks[distinct], expected[distinct] > 0)
    assert 0 < masks.mean() < 1


@pytest.mark.parametrize('corner', [(0, 0), (0, -1), (-1, 0), (-1, -1)])
def test_a_positive_corner_reaches_the_corner(corner):
    logits = np.full((1, 8, 8), -1, np.float32)
    logits[0][corner] = 1
    masks = upsample_and_threshold(logits, (48, 64))
    np.testing.assert_array_equal(masks, as_torch(logits, (48, 64)) > 0)
    assert masks[0][corner]


def test_logits_that_are_not_positive_give_no_pixels():
    assert not upsample_and_threshold(np.full((3, 8, 8), -0.5, np.float32), (48, 64)).any()
    assert upsample_and_threshold(np.zeros((0, 8, 8), np.float32), (48, 64)).shape == (0, 48, 64)
