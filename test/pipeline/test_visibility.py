"""Visibility and main surfaces, on flat boards and with the ground truth of the demo world."""

import numpy as np
import pytest

from robot_perception.core import Masks, MetricDepth, RelativeDepth
from robot_perception.pipeline.visibility import main_surface, measure_visibility, Visibility
from robot_perception.world import render

SIZE_HW = (60, 80)
PIXEL = 1 / 500
INSIDE = (slice(20, 40), slice(30, 50))


def area(*window):
    mask = np.zeros(SIZE_HW, np.bool_)
    mask[window] = True
    return mask


def stack_masks(*masks):
    return Masks(np.stack(masks), np.ones(len(masks), np.float32))


def wall(meters=4.0):
    return np.full(SIZE_HW, meters, np.float32)


def test_background_in_a_mask_is_removed():
    depth = wall()
    depth[INSIDE] = 1.0
    bleeding = area(slice(18, 42), slice(30, 55))
    np.testing.assert_array_equal(main_surface(depth, bleeding, PIXEL), area(*INSIDE))


def test_foreground_in_a_mask_is_removed():
    depth = wall(2.0)
    depth[INSIDE] = 1.0
    whole = area(slice(10, 50), slice(32, 70))
    kept = main_surface(depth, whole, PIXEL)
    assert not kept[INSIDE].any()
    # One pixel of the farther side of a step is removed as well.
    assert np.count_nonzero(whole & ~kept) == 20 * 18 + 2 * 18 + 20


def test_a_slanted_surface_is_kept_whole():
    rows = np.arange(SIZE_HW[0], dtype=np.float32)[:, None]
    depth = (1.01**rows * np.ones(SIZE_HW[1])).astype(np.float32)
    inside = area(slice(5, 55), slice(5, 75))
    np.testing.assert_array_equal(main_surface(depth, inside, PIXEL), inside)
    # At 80 degrees, with a coarse camera.
    steep = (1.05**rows * np.ones(SIZE_HW[1])).astype(np.float32)
    np.testing.assert_array_equal(main_surface(steep, inside, 1 / 120), inside)
    # With every second pixel, depth changes twice as much from one to the next.
    thin = (slice(None, None, 2), slice(None, None, 2))
    np.testing.assert_array_equal(main_surface(depth[thin], inside[thin], 2 * PIXEL), inside[thin])


def test_holes_do_not_split_a_surface():
    depth = wall(1.0)
    depth[:, 38:42] = np.nan
    np.testing.assert_array_equal(main_surface(depth, area(*INSIDE), PIXEL), area(*INSIDE))


def test_noise_is_not_taken_for_edges():
    rng = np.random.default_rng(0)
    depth = (1 + 0.1 * rng.standard_normal(SIZE_HW)).astype(np.float32)
    np.testing.assert_array_equal(main_surface(depth, area(*INSIDE), PIXEL), area(*INSIDE))


@pytest.mark.parametrize('meters', [wall(np.nan), wall(1.0)])
@pytest.mark.parametrize('mask', [area(0, slice(0, 0)), area(30, 30)])
def test_masks_of_no_or_one_pixel(meters, mask):
    np.testing.assert_array_equal(main_surface(meters, mask, PIXEL), mask)
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
