import math

from hypothesis import given, settings
from hypothesis.strategies import floats, tuples
import numpy as np
import pytest

from robot_perception.core import Pose
from robot_perception.world.view import look_at, rotation_about

ANGLES = floats(-math.pi, math.pi)


def from_angles(angles):
    turns = [Pose(rotation_about(axis, angle), np.zeros(3)) for axis, angle in enumerate(angles)]
    return turns[0].compose(turns[1]).compose(turns[2])


def quaternion_to_matrix(quaternion):
    x, y, z, w = quaternion
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


@settings(deadline=None, max_examples=80)
@given(tuples(ANGLES, ANGLES, ANGLES))
def test_quaternion_is_the_rotation(angles):
    pose = from_angles(angles)
    assert math.hypot(*pose.quaternion_xyzw) == pytest.approx(1)
    assert pose.quaternion_xyzw[3] >= 0
    assert quaternion_to_matrix(pose.quaternion_xyzw) == pytest.approx(pose.rotation, abs=1e-12)


@settings(deadline=None, max_examples=30)
@given(tuples(ANGLES, ANGLES, ANGLES))
def test_inverse_undoes(angles):
    pose = Pose(from_angles(angles).rotation, np.array([0.3, -2.0, 1.0]))
    points = np.array([[1.0, 2.0, 3.0], [0.0, -1.0, 0.5]])
    assert pose.inverse().apply(pose.apply(points)) == pytest.approx(points)
    both = pose.compose(pose.inverse())
    assert both.rotation == pytest.approx(np.eye(3))
    assert both.translation_m == pytest.approx(np.zeros(3))


@pytest.mark.parametrize('axis', range(3))
def test_rotation_turns_one_axis_into_the_next(axis):
    quarter = rotation_about(axis, math.pi / 2)
    assert quarter[:, (axis + 1) % 3] == pytest.approx(np.eye(3)[(axis + 2) % 3])


def test_look_at_has_the_target_on_its_axis_and_the_world_upright():
    eye, target = np.array([1.0, 2.0, 1.5]), np.array([-1.0, 0.5, 0.2])
    pose = look_at(eye, target, 0.0)
    assert np.linalg.det(pose.rotation) == pytest.approx(1)
    local = pose.inverse().apply(target)
    assert local == pytest.approx([0, 0, np.linalg.norm(target - eye)], abs=1e-12)
    right, down, _ = pose.rotation.T
    assert right[2] == pytest.approx(0)
    assert down[2] < 0
