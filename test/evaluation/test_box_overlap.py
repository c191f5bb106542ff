"""Overlaps of boxes in space, against closed forms and against counting points."""

import math

import numpy as np
import pytest

from robot_perception.core import Box3D
from robot_perception.evaluation.box_overlap import box_iou, shared_volume

HALF = math.sqrt(0.5)
EIGHTH_TURN_Z = (0.0, 0.0, math.sin(math.pi / 8), math.cos(math.pi / 8))
CUBE = Box3D((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def quaternion(rng):
    four = rng.normal(size=4)
    return tuple((four / np.linalg.norm(four)).tolist())


def inside(points, box):
    """Which of (N, 3) points lie in a box, by Rodrigues' formula."""
    *axis, w = box.rotation_xyzw
    away = points - box.center_m
    back = -np.array(axis)
    turned = away + 2 * np.cross(back, np.cross(back, away) + w * away)
    return np.all(np.abs(turned) <= np.array(box.size_m) / 2, axis=1)


def test_the_same_box():
    assert box_iou(CUBE, CUBE) == pytest.approx(1)
    turned = Box3D((1.0, -2.0, 5.0), (0.1, 0.2, 0.3), (0.5, 0.5, 0.5, 0.5))
    assert box_iou(turned, turned) == pytest.approx(1)


@pytest.mark.parametrize('shift', [(0.5, 0, 0), (0.25, 0.5, -0.75), (0, 0.9, 0), (0, 0, 0.1)])
def test_cubes_along_the_axes(shift):
    shared = math.prod(1 - abs(part) for part in shift)
    assert shared_volume(CUBE, Box3D(shift, CUBE.size_m)) == pytest.approx(shared)
    assert box_iou(CUBE, Box3D(shift, CUBE.size_m)) == pytest.approx(shared / (2 - shared))


@pytest.mark.parametrize('shift', [(1.0, 0, 0), (1.0, 1.0, 1.0), (3.0, 0, 0), (0, -1.5, 0)])
def test_boxes_that_touch_or_lie_apart(shift):
    assert box_iou(CUBE, Box3D(shift, CUBE.size_m)) == pytest.approx(0, abs=1e-12)


def test_one_within_the_other():
    inner = Box3D((0.05, 0.0, -0.1), (0.2, 0.3, 0.4), (0.5, 0.5, 0.5, 0.5))
    assert box_iou(CUBE, inner) == pytest.approx(0.2 * 0.3 * 0.4)
    assert box_iou(inner, CUBE) == pytest.approx(0.2 * 0.3 * 0.4)


def test_a_box_that_ends_at_the_same_sides():
    lower = Box3D((0.0, 0.0, -0.25), (1.0, 1.0, 0.5))
    assert box_iou(CUBE, lower) == pytest.approx(0.5)


def test_a_square_turned_by_45_degrees():
    # Two unit squares turned so share a regular octagon of area 2 (sqrt 2 - 1).
    turned = Box3D(CUBE.center_m, CUBE.size_m, EIGHTH_TURN_Z)
    octagon = 2 * (math.sqrt(2) - 1)
    assert shared_volume(CUBE, turned) == pytest.approx(octagon)
    assert box_iou(CUBE, turned) == pytest.approx(octagon / (2 - octagon))
    # Its corners just reach the sides of a square that is sqrt 2 wide.
    around = Box3D((0.0, 0.0, 0.0), (2 * HALF, 2 * HALF, 1.0))
    assert box_iou(around, turned) == pytest.approx(0.5)


def test_a_corner_cut_off():
    # By a plane through the middles of the three edges that meet there: a pyramid is left.
    normal = np.ones(3) / math.sqrt(3)
    axis = np.cross([0, 0, 1], normal)
    half = math.acos(normal[2]) / 2
    axis *= math.sin(half) / np.linalg.norm(axis)
    deep = 10.0
    center = tuple((normal * (0.5 / math.sqrt(3) - deep / 2)).tolist())
    slab = Box3D(center, (deep, deep, deep), (*axis.tolist(), math.cos(half)))
    cube = Box3D((0.5, 0.5, 0.5), (1.0, 1.0, 1.0))
    assert shared_volume(cube, slab) == pytest.approx(0.5**3 / 6)


def test_boxes_without_volume():
    flat = Box3D((0.0, 0.0, 0.0), (1.0, 1.0, 0.0))
    assert box_iou(flat, flat) == 0
    assert box_iou(flat, CUBE) == pytest.approx(0, abs=1e-12)
    point = Box3D((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    assert box_iou(point, point) == 0


@pytest.mark.parametrize('seed', range(8))
def test_it_is_the_share_of_a_million_points(seed):
    rng = np.random.default_rng(seed)
    first, second = (
        Box3D(
            tuple(rng.uniform(-0.3, 0.3, 3).tolist()),
            tuple(rng.uniform(0.4, 1.5, 3).tolist()),
            quaternion(rng),
        )
        for _ in range(2)
    )
    # Of points spread evenly over the first box, those in the second.
    reach = np.linalg.norm(first.size_m) / 2
    points = first.center_m + rng.uniform(-reach, reach, (1_000_000, 3))
    points = points[inside(points, first)]
    first_m3, second_m3 = np.prod(first.size_m), np.prod(second.size_m)
    in_both = np.mean(inside(points, second)) * first_m3
    assert in_both > 0
    expected = in_both / (first_m3 + second_m3 - in_both)
    assert box_iou(first, second) == pytest.approx(expected, abs=0.005)
    assert box_iou(first, second) == pytest.approx(box_iou(second, first))


def test_where_the_boxes_are_does_not_matter():
    rng = np.random.default_rng(3)
    turn = quaternion(rng)
    near = box_iou(CUBE, Box3D((0.2, 0.1, 0.3), (1.0, 0.5, 0.7), turn))
    far = box_iou(
        Box3D((100.0, 200.0, -300.0), CUBE.size_m),
        Box3D((100.2, 200.1, -299.7), (1.0, 0.5, 0.7), turn),
    )
    assert far == pytest.approx(near)
