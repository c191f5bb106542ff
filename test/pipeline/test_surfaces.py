"""Surfaces of objects on flat boards, and of a bowl whose rim is a step in depth."""

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from robot_perception.pipeline.surfaces import fill_unknown, main_surface

SIZE_HW = (60, 80)
PIXEL = 1 / 500
INSIDE = (slice(20, 40), slice(30, 50))
BOX = (30, 20, 50, 40)


def area(*window):
    mask = np.zeros(SIZE_HW, np.bool_)
    mask[window] = True
    return mask


def wall(meters=4.0):
    return np.full(SIZE_HW, meters, np.float32)


def surface(depth, mask, pixel=PIXEL, box=BOX):
    return main_surface(fill_unknown(depth), mask, pixel, np.array(box, np.float32))


def test_background_in_a_mask_is_removed():
    depth = wall()
    depth[INSIDE] = 1.0
    bleeding = area(slice(18, 42), slice(30, 55))
    np.testing.assert_array_equal(surface(depth, bleeding), area(*INSIDE))


def test_foreground_in_a_mask_is_removed():
    depth = wall(2.0)
    depth[INSIDE] = 1.0
    whole = area(slice(10, 50), slice(32, 70))
    kept = surface(depth, whole, box=(32, 10, 70, 50))
    assert not kept[INSIDE].any()
    # One pixel of the farther side of a step is removed as well.
    assert np.count_nonzero(whole & ~kept) == 20 * 18 + 2 * 18 + 20


def test_both_sides_of_a_bowl_are_kept_where_the_box_holds_both():
    depth = wall()
    depth[20:40, 30:50] = 1.10
    depth[32:40, 30:50] = 1.00
    bowl = area(*INSIDE)
    kept = surface(depth, bowl)
    # All but one row of the inner side, behind the rim.
    assert np.count_nonzero(bowl & ~kept) == 20
    # The nearer part is another object where the box of the detection ends above it.
    alone = surface(depth, bowl, box=(30, 20, 50, 32))
    np.testing.assert_array_equal(alone, area(slice(20, 31), slice(30, 50)))


def test_a_neighbor_beyond_a_shadow_of_the_sensor_is_removed():
    depth = wall()
    depth[INSIDE] = 1.0
    depth[20:40, 50:54] = np.nan
    kept = surface(depth, area(slice(20, 40), slice(30, 60)))
    assert kept[INSIDE].all()
    assert not kept[:, 53:].any()


def test_a_slanted_surface_is_kept_whole():
    rows = np.arange(SIZE_HW[0], dtype=np.float32)[:, None]
    depth = (1.01**rows * np.ones(SIZE_HW[1])).astype(np.float32)
    inside = area(slice(5, 55), slice(5, 75))
    np.testing.assert_array_equal(surface(depth, inside), inside)
    # At 80 degrees, with a coarse camera.
    steep = (1.05**rows * np.ones(SIZE_HW[1])).astype(np.float32)
    np.testing.assert_array_equal(surface(steep, inside, 1 / 120), inside)
    # With every second pixel, depth changes twice as much from one to the next.
    thin = (slice(None, None, 2), slice(None, None, 2))
    np.testing.assert_array_equal(surface(depth[thin], inside[thin], 2 * PIXEL), inside[thin])


def test_holes_do_not_split_a_surface():
    depth = wall(1.0)
    depth[:, 38:42] = np.nan
    np.testing.assert_array_equal(surface(depth, area(*INSIDE)), area(*INSIDE))


def test_noise_is_not_taken_for_edges():
    rng = np.random.default_rng(0)
    depth = (1 + 0.1 * rng.standard_normal(SIZE_HW)).astype(np.float32)
    np.testing.assert_array_equal(surface(depth, area(*INSIDE)), area(*INSIDE))


@pytest.mark.parametrize('meters', [wall(np.nan), wall(1.0)])
@pytest.mark.parametrize('mask', [area(0, slice(0, 0)), area(30, 30)])
def test_masks_of_no_or_one_pixel(meters, mask):
    np.testing.assert_array_equal(surface(meters, mask), mask)


def test_unknown_pixels_have_the_value_of_a_nearest_one():
    rng = np.random.default_rng(1)
    meters = rng.uniform(1, 2, SIZE_HW).astype(np.float32)
    meters[rng.random(SIZE_HW) < 0.6] = np.nan
    known = np.isfinite(meters)
    filled = fill_unknown(meters)
    np.testing.assert_array_equal(filled[known], meters[known])
    nearest = distance_transform_edt(~known)
    for row, column in np.argwhere(~known)[::20]:
        same = np.argwhere(meters == filled[row, column]) - (row, column)
        # Distances of cv2 with a mask of 3 are approximate.
        assert np.hypot(*same.T).min() <= 1.1 * nearest[row, column]
    assert fill_unknown(filled) is filled
    assert np.isnan(fill_unknown(wall(np.nan))).all()
