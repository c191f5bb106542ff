"""Rigid transforms of boxes, objects and points, against scipy."""

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from robot_perception.core import Box3D, LabeledPoints, ObjectPosition, Pose, SceneObject
from robot_perception.core.rigid_transform import (
    transform_box,
    transform_objects,
    transform_points,
)

ANGLES = st.floats(-np.pi, np.pi)
METERS = st.floats(-50, 50)
POSES = st.builds(
    lambda turn, x, y, z: Pose(
        Rotation.from_euler('xyz', turn).as_matrix(), np.array([x, y, z], np.float64)
    ),
    st.tuples(ANGLES, ANGLES, ANGLES), METERS, METERS, METERS,
)  # fmt: skip
BOX = Box3D(
    (0.2, -0.1, 1.5), (0.3, 0.1, 0.2), tuple(Rotation.from_euler('xyz', (0.3, 1, -2)).as_quat())
)


def corners(box):
    units = np.array(list(product((-0.5, 0.5), repeat=3)))
    turn = Rotation.from_quat(box.rotation_xyzw)
    return turn.apply(units * box.size_m) + box.center_m


@settings(deadline=None, max_examples=100)
@given(POSES)
def test_a_transformed_box_has_the_transformed_corners(pose):
    moved = transform_box(BOX, pose)
    np.testing.assert_allclose(corners(moved), pose.apply(corners(BOX)), atol=1e-9)
    assert moved.size_m == BOX.size_m


@settings(deadline=None, max_examples=50)
@given(POSES)
def test_a_transformed_object_matches_its_transformed_points(pose):
    points = np.random.default_rng(0).normal(size=(200, 3)) * (0.3, 0.1, 0.02) + (0, 0, 2)

    def build_position(cloud):
        x, y, z = cloud.mean(axis=0).tolist()
        away = cloud - (x, y, z)
        spread = away.T @ away / len(cloud)
        return ObjectPosition(2.0, (x, y, z), spread, BOX, covariance_m2=spread / 4)

    placed = SceneObject(0, 1, 'cup', 0.5, (0, 0, 1, 1), position=build_position(points))
    unplaced = SceneObject(1, 1, 'cup', 0.5, (0, 0, 1, 1))
    moved, still = transform_objects((placed, unplaced), pose)
    expected = build_position(pose.apply(points))
    assert still is unplaced
    assert moved.position.depth_m == 2.0
    assert moved.position.centroid_m == pytest.approx(expected.centroid_m)
    for name in ('points_covariance_m2', 'covariance_m2'):
        actual, wanted = getattr(moved.position, name), getattr(expected, name)
        np.testing.assert_allclose(actual, wanted, atol=1e-12)


def test_points_keep_colors_and_labels():
    points = LabeledPoints(
        np.array([[1, 2, 3], [0, 0, 1]], np.float32),
        np.array([[1, 2, 3], [4, 5, 6]], np.uint8),
        np.array([1, 0], np.uint32),
        np.array([2, 0], np.uint32),
    )
    quarter = Rotation.from_euler('z', np.pi / 2).as_matrix()
    moved = transform_points(points, Pose(quarter, np.array([10.0, 0.0, 0.0])))
    np.testing.assert_allclose(moved.xyz_m, [[8, 1, 3], [10, 0, 1]], atol=1e-6)
    assert (moved.rgb is points.rgb) or np.array_equal(moved.rgb, points.rgb)
    assert (moved.labels.tolist(), moved.instances.tolist()) == ([1, 0], [2, 0])
