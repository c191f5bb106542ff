"""Velocities of objects on straight lines, seen by a moving camera."""

from dataclasses import replace
import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from robot_perception.core import Box3D, ObjectPosition, Pose, SceneObject
from robot_perception.core.rigid_transform import transform_objects
from robot_perception.pipeline.velocity import VelocityEstimator
from robot_perception.world import sequence

FRAME_NS = 100_000_000


def camera(seconds):
    """Return the pose of a camera that moves and turns."""
    turn = Rotation.from_euler('xyz', [-1.2 + 0.3 * seconds, 0.5 * seconds, 0.2]).as_matrix()
    return Pose(turn, np.array([0.4 * seconds, -0.2, 1.2 + 0.1 * seconds]))


def object_at(point_m, pose, track_id=7):
    x, y, z = pose.inverse().apply(np.asarray(point_m, np.float64)).tolist()
    position = ObjectPosition(z, (x, y, z), np.eye(3), Box3D((x, y, z), (0.1, 0.1, 0.1)))
    return SceneObject(0, 0, 'cup', 1.0, (0, 0, 9, 9), track_id, position)


def estimate(estimator, frames, velocity, *, noise=0.0, start=1):
    rng, item = np.random.default_rng(0), None
    for index in range(start, start + frames):
        seconds = index / 10
        point = np.array([1.0, 2.0, 0.5]) + np.array(velocity) * seconds
        pose = camera(seconds)
        point = point + rng.normal(0, noise, 3)
        (item,) = estimator.update((object_at(point, pose),), index * FRAME_NS, pose)
    estimated = item.position.velocity_mps
    return None if estimated is None else camera(seconds).rotation @ np.array(estimated)


@pytest.mark.parametrize('velocity', [(0, 0, 0), (0.5, -0.2, 0.1), (-2.0, 3.0, 0.0)])
def test_constant_velocity_is_measured_by_a_moving_camera(velocity):
    assert estimate(VelocityEstimator(), 6, velocity) == pytest.approx(velocity, abs=1e-9)


def test_noise_is_averaged():
    # Of a line through 6 points 0.1 s apart the slope has deviation sigma / sqrt(0.175).
    estimated = estimate(VelocityEstimator(), 6, (0.5, 0, 0), noise=0.005)
    assert estimated == pytest.approx((0.5, 0, 0), abs=4 * 0.005 / np.sqrt(0.175))


def test_two_measurements_are_not_enough():
    assert estimate(VelocityEstimator(), 2, (1, 0, 0)) is None
    assert estimate(VelocityEstimator(), 3, (1, 0, 0)) is not None


def test_old_measurements_are_ignored():
    estimator = VelocityEstimator()
    estimate(estimator, 6, (1, 0, 0))
    assert estimate(estimator, 2, (1, 0, 0), start=20) is None


def test_without_pose_track_id_or_position_there_is_no_velocity():
    estimator = VelocityEstimator()
    item = object_at((1, 2, 3), camera(0))
    for index in range(1, 6):
        stamp = index * FRAME_NS
        assert estimator.update((item,), stamp, None)[0].position.velocity_mps is None
        for other in (replace(item, track_id=None), replace(item, position=None)):
            assert estimator.update((other,), stamp, camera(0)) == (other,)


def test_a_jump_back_in_time_drops_later_measurements():
    estimator = VelocityEstimator()
    estimate(estimator, 6, (1, 0, 0), start=50)
    assert estimate(estimator, 2, (1, 0, 0)) is None
    estimate(estimator, 6, (1, 0, 0), start=50)
    estimator.reset()
    assert estimate(estimator, 2, (1, 0, 0), start=56) is None


@pytest.mark.parametrize('order', [(1, 3, 2, 4, 6, 5), (1, 2, 3, 4, 4, 5, 6), (2, 3, 4, 5, 6, 1)])
def test_velocities_survive_disorder(order):
    estimator, velocity = VelocityEstimator(), (0.5, -0.2, 0.1)
    for index in order:
        pose, point = camera(index / 10), np.array([1.0, 2.0, 0.5])
        point = point + np.array(velocity) * index / 10
        (item,) = estimator.update((object_at(point, pose),), index * FRAME_NS, pose)
    assert pose.rotation @ np.array(item.position.velocity_mps) == pytest.approx(velocity)


def test_the_state_dict_restores_the_estimator():
    first, second, whole = VelocityEstimator(), VelocityEstimator(), VelocityEstimator()
    estimate(first, 3, (1, 0.5, 0))
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    estimate(whole, 3, (1, 0.5, 0))
    assert (
        estimate(second, 1, (1, 0.5, 0), start=4) == estimate(whole, 1, (1, 0.5, 0), start=4)
    ).all()


def test_velocities_are_rotated_and_not_translated():
    estimator = VelocityEstimator()
    for index in range(1, 5):
        pose = camera(index / 10)
        (item,) = estimator.update(
            (object_at((1 + 0.03 * index, 2, 0.5), pose),), index * FRAME_NS, pose
        )
    (transformed,) = transform_objects((item,), pose)
    assert transformed.position.velocity_mps == pytest.approx((0.3, 0, 0), abs=1e-9)


@pytest.mark.slow
def test_static_objects_of_the_demo_world_have_no_velocity():
    """Even with exact depth the visible part changes, and moves the centroid by millimeters."""
    estimator, speeds = VelocityEstimator(), []
    for frame in sequence(900_136, 30, (240, 320)):
        objects = tuple(
            item for item in frame.objects() if frame.detections.scores[item.index] > 0.95
        )
        updated = estimator.update(objects, frame.image.stamp_ns, frame.world_from_camera)
        velocities = [item.position.velocity_mps for item in updated]
        speeds += [np.linalg.norm(one) for one in velocities if one is not None]
    assert len(speeds) > 50
    assert np.median(speeds) < 0.03
