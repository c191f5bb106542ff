"""What outlines tell, on scenes of flat boards and in the demo world, whose truth is exact."""

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


def masks_of(*masks):
    return Masks(np.stack(masks), np.ones(len(masks), np.float32))


def wall(metres=4.0):
    return np.full(SIZE_HW, metres, np.float32)


def test_a_mask_that_bleeds_keeps_the_object_only():
    depth = wall()
    depth[INSIDE] = 1.0
    bleeding = area(slice(18, 42), slice(30, 55))
    np.testing.assert_array_equal(main_surface(depth, bleeding, PIXEL), area(*INSIDE))


def test_what_stands_in_front_is_cut_off_too():
    depth = wall(2.0)
    depth[INSIDE] = 1.0
    whole = area(slice(10, 50), slice(32, 70))
    kept = main_surface(depth, whole, PIXEL)
    assert not kept[INSIDE].any()
    # Of the farther side of a step one pixel goes as well.
    assert np.count_nonzero(whole & ~kept) == 20 * 18 + 2 * 18 + 20


def test_a_slanted_surface_stays_whole():
    rows = np.arange(SIZE_HW[0], dtype=np.float32)[:, None]
    depth = (1.01**rows * np.ones(SIZE_HW[1])).astype(np.float32)
    inside = area(slice(5, 55), slice(5, 75))
    np.testing.assert_array_equal(main_surface(depth, inside, PIXEL), inside)
    # Seen at 80 degrees by a coarse camera.
    steep = (1.05**rows * np.ones(SIZE_HW[1])).astype(np.float32)
    np.testing.assert_array_equal(main_surface(steep, inside, 1 / 120), inside)
    # On a grid of every second pixel the same surface rises twice as much from one to the next.
    thin = (slice(None, None, 2), slice(None, None, 2))
    np.testing.assert_array_equal(main_surface(depth[thin], inside[thin], 2 * PIXEL), inside[thin])


def test_holes_do_not_break_a_surface_apart():
    depth = wall(1.0)
    depth[:, 38:42] = np.nan
    np.testing.assert_array_equal(main_surface(depth, area(*INSIDE), PIXEL), area(*INSIDE))


def test_noise_is_no_edge():
    rng = np.random.default_rng(0)
    depth = (1 + 0.1 * rng.standard_normal(SIZE_HW)).astype(np.float32)
    np.testing.assert_array_equal(main_surface(depth, area(*INSIDE), PIXEL), area(*INSIDE))


@pytest.mark.parametrize('metres', [wall(np.nan), wall(1.0)])
@pytest.mark.parametrize('mask', [area(0, slice(0, 0)), area(30, 30)])
def test_masks_of_no_or_one_pixel(metres, mask):
    np.testing.assert_array_equal(main_surface(metres, mask, PIXEL), mask)
    (sight,) = measure_visibility(masks_of(mask), MetricDepth(metres))
    alone = Visibility(truncated=False, occluded=False if np.isfinite(metres).all() else None)
    assert sight == (alone if mask.any() else Visibility())


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
def test_an_object_at_the_edge_is_truncated(window, truncated, depth):
    assert measure_visibility(masks_of(area(*window)), depth) == (Visibility(truncated, None),)


def test_only_what_lies_behind_is_occluded():
    depth = wall()
    depth[10:50, 20:40] = 2.0
    depth[20:40, 30:50] = 1.0
    front, behind = area(*INSIDE), area(slice(10, 50), slice(20, 40)) & ~area(*INSIDE)
    assert measure_visibility(masks_of(front, behind), MetricDepth(depth)) == (
        Visibility(truncated=False, occluded=False),
        Visibility(truncated=False, occluded=True),
    )


def test_hidden_objects_of_the_demo_world_are_told():
    """Of objects less than 95 % visible nine in ten are told, of whole ones one in ten at most."""
    hidden, whole = [], []
    for seed in range(900_300, 900_310):
        frame = render(seed, (480, 640))
        sights = measure_visibility(frame.masks(), frame.depth)
        for share, sight in zip(frame.detections.scores, sights, strict=True):
            if not sight.truncated and share < 0.95:
                hidden.append(sight.occluded)
            elif not sight.truncated and share > 0.999:
                whole.append(sight.occluded)
    assert len(hidden) >= 10
    assert len(whole) >= 30
    assert np.mean(hidden) >= 0.9
    assert np.mean(whole) <= 0.1
