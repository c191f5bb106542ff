"""Visibility, on flat boards and with the ground truth of the demo world."""

import numpy as np
import pytest

from robot_perception.core import Masks, MetricDepth, RelativeDepth
from robot_perception.pipeline.visibility import measure_visibility, Visibility
from robot_perception.world import render

SIZE_HW = (60, 80)
INSIDE = (slice(20, 40), slice(30, 50))


def area(*window):
    mask = np.zeros(SIZE_HW, np.bool_)
    mask[window] = True
    return mask


def stack_masks(*masks):
    return Masks(np.stack(masks), np.ones(len(masks), np.float32))


def wall(meters=4.0):
    return np.full(SIZE_HW, meters, np.float32)


@pytest.mark.parametrize('meters', [wall(np.nan), wall(1.0)])
@pytest.mark.parametrize('mask', [area(0, slice(0, 0)), area(30, 30)])
def test_masks_of_no_or_one_pixel(meters, mask):
    (visibility,) = measure_visibility(stack_masks(mask), MetricDepth(meters))
    expected = Visibility(truncated=False, occluded=False if np.isfinite(meters).all() else None)
    assert visibility == (expected if mask.any() else Visibility())


@pytest.mark.parametrize(
    ('window', 'truncated'),
    [
        (INSIDE, False),
        ((slice(0, 5), slice(30, 50)), True),
        ((slice(50, 60), slice(30, 50)), True),
        ((slice(20, 40), slice(0, 5)), True),
        ((slice(20, 40), slice(70, 80)), True),
    ],
)
@pytest.mark.parametrize('depth', [None, RelativeDepth(np.ones(SIZE_HW, np.float32))])
def test_an_object_at_the_image_border_is_truncated(window, truncated, depth):
    assert measure_visibility(stack_masks(area(*window)), depth) == (Visibility(truncated, None),)


def test_only_the_object_behind_is_occluded():
    depth = wall()
    depth[10:50, 20:40] = 2.0
    depth[20:40, 30:50] = 1.0
    front, behind = area(*INSIDE), area(slice(10, 50), slice(20, 40)) & ~area(*INSIDE)
    assert measure_visibility(stack_masks(front, behind), MetricDepth(depth)) == (
        Visibility(truncated=False, occluded=False),
        Visibility(truncated=False, occluded=True),
    )


@pytest.mark.slow
def test_occlusion_in_the_demo_world():
    """True positive rate below 95 % visibility at least 0.9, false positive rate at most 0.1."""
    hidden, whole = [], []
    for seed in range(900_300, 900_310):
        frame = render(seed, (480, 640))
        visibilities = measure_visibility(frame.masks(), frame.depth)
        for share, visibility in zip(frame.detections.scores, visibilities, strict=True):
            if not visibility.truncated and share < 0.95:
                hidden.append(visibility.occluded)
            elif not visibility.truncated and share > 0.999:
                whole.append(visibility.occluded)
    assert len(hidden) >= 10
    assert len(whole) >= 30
    assert np.mean(hidden) >= 0.9
    assert np.mean(whole) <= 0.1
