"""Positions of objects against scenes in closed form."""

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from robot_perception.core import CameraModel, Detections, Masks, MetricDepth
from robot_perception.pipeline.lifting import lift_objects

SIZE_HW = (240, 320)
CAMERA = CameraModel.nominal(SIZE_HW, 60)


def detection(box):
    return Detections(
        np.array([box], np.float32), np.ones(1, np.float32), np.zeros(1, np.int32), ('thing',)
    )


def board(z, x0, y0, width, height):
    """Return depth, mask and box of a board that faces the camera in front of a wall at 4 m."""
    rays = CAMERA.rays()
    x, y = rays[..., 0] * z, rays[..., 1] * z
    mask = (x >= x0) & (x < x0 + width) & (y >= y0) & (y < y0 + height)
    depth = np.where(mask, np.float32(z), np.float32(4.0))
    rows, columns = np.nonzero(mask)
    box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    return depth, mask, box


def stack_masks(mask):
    return Masks(mask[None], np.ones(1, np.float32))


@given(
    z=st.floats(0.8, 3.0),
    x0=st.floats(-0.2, 0.1),
    y0=st.floats(-0.15, 0.05),
    width=st.floats(0.1, 0.3),
    height=st.floats(0.1, 0.25),
)
@settings(deadline=None, max_examples=60)
def test_the_position_of_a_board_is_accurate_to_a_pixel(z, x0, y0, width, height):
    depth, mask, box = board(z, x0, y0, width, height)
    (position,) = lift_objects(detection(box), stack_masks(mask), MetricDepth(depth), CAMERA)
    pixel_m = z / CAMERA.fx
    assert position.depth_m == pytest.approx(z, rel=1e-6)
    assert position.centroid_m == pytest.approx((x0 + width / 2, y0 + height / 2, z), abs=pixel_m)
    assert position.box.size_m == pytest.approx((width, height, 0), abs=2 * pixel_m)
    # A uniform distribution of side a has variance a^2 / 12.
    spread = np.sqrt(12 * np.diag(position.points_covariance_m2))
    assert spread == pytest.approx((width, height, 0), abs=2 * pixel_m)


def test_background_in_a_mask_is_removed():
    depth, mask, box = board(1.0, -0.1, -0.1, 0.2, 0.2)
    grown = np.zeros_like(mask)
    rows, columns = np.nonzero(mask)
    grown[rows.min() - 3 : rows.max() + 4, columns.min() - 3 : columns.max() + 4] = True
    (position,) = lift_objects(detection(box), stack_masks(grown), MetricDepth(depth), CAMERA)
    assert position.centroid_m == pytest.approx((0, 0, 1), abs=0.005)
    assert position.box.size_m == pytest.approx((0.2, 0.2, 0), abs=0.01)


def test_background_in_a_box_without_mask_is_removed():
    depth, _, (left, top, right, bottom) = board(1.0, -0.1, -0.1, 0.2, 0.2)
    wider = (left - 6, top - 6, right + 6, bottom + 6)
    (position,) = lift_objects(detection(wider), None, MetricDepth(depth), CAMERA)
    assert position.centroid_m == pytest.approx((0, 0, 1), abs=0.005)


def test_holes_do_not_move_the_position():
    depth, mask, box = board(1.5, -0.1, -0.1, 0.2, 0.2)
    depth[np.random.default_rng(0).random(SIZE_HW) < 0.3] = np.nan
    (position,) = lift_objects(detection(box), stack_masks(mask), MetricDepth(depth), CAMERA)
    assert position.centroid_m == pytest.approx((0, 0, 1.5), abs=0.01)


def test_a_side_that_the_sensor_does_not_measure_does_not_move_the_position():
    depth, mask, box = board(1.5, -0.1, -0.1, 0.2, 0.2)
    depth[:, box[0] - 4 : box[0] + 25] = np.nan
    (position,) = lift_objects(detection(box), stack_masks(mask), MetricDepth(depth), CAMERA)
    assert position.centroid_m == pytest.approx((0, 0, 1.5), abs=0.006)


@pytest.mark.parametrize('known', [0, 1, 11])
def test_too_few_points_give_no_position(known):
    depth, mask, box = board(1.0, -0.1, -0.1, 0.2, 0.2)
    rows, columns = np.nonzero(mask)
    meters = np.full(SIZE_HW, np.nan, np.float32)
    meters[rows[:known], columns[:known]] = depth[rows[:known], columns[:known]]
    assert lift_objects(detection(box), stack_masks(mask), MetricDepth(meters), CAMERA) == (None,)


@pytest.mark.parametrize('box', [(0, 0, 0, 0), (319.9, 239.9, 320, 240), (-50, -50, -10, -10)])
def test_boxes_without_pixels(box):
    depth = MetricDepth(np.ones(SIZE_HW, np.float32))
    assert lift_objects(detection(box), None, depth, CAMERA) == (None,)
    empty = Masks(np.zeros((1, *SIZE_HW), np.bool_), np.zeros(1, np.float32))
    assert lift_objects(detection(box), empty, depth, CAMERA) == (None,)


def test_no_detections():
    depth = MetricDepth(np.ones(SIZE_HW, np.float32))
    assert lift_objects(Detections.empty(), Masks.empty(SIZE_HW), depth, CAMERA) == ()


def test_pixels_without_a_ray_are_ignored():
    fold = CameraModel(SIZE_HW, 100.0, 100.0, 160.0, 120.0, 'plumb_bob', (-0.5, 0.0, 0.0, 0.0))
    assert np.isnan(fold.rays()).any()
    depth = MetricDepth(np.ones(SIZE_HW, np.float32))
    (position,) = lift_objects(detection((0, 0, 320, 240)), None, depth, fold)
    assert np.isfinite(position.centroid_m).all()


def test_subsampling_a_large_object_does_not_move_it():
    size_hw = (960, 1280)
    camera = CameraModel.nominal(size_hw, 60)
    rays = camera.rays()
    # A board at 1.5 m that fills most of the image, in front of a wall.
    mask = (np.abs(rays[..., 0]) < 0.4) & (np.abs(rays[..., 1]) < 0.3)
    depth = np.where(mask, np.float32(1.5), np.float32(4.0))
    masks = Masks(mask[None], np.ones(1, np.float32))
    (position,) = lift_objects(detection((0, 0, 1280, 960)), masks, MetricDepth(depth), camera)
    step_m = 7 * 1.5 / camera.fx
    assert position.centroid_m == pytest.approx((0, 0, 1.5), abs=step_m)
    assert position.box.size_m == pytest.approx((1.2, 0.9, 0), abs=2 * step_m)
