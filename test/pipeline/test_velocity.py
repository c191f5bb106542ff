"""Velocities against straight lines, whatever the camera does meanwhile."""

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
    """Pose of a camera that walks and turns."""
    turn = Rotation.from_euler('xyz', [-1.2 + 0.3 * seconds, 0.5 * seconds, 0.2]).as_matrix()
    return Pose(turn, np.array([0.4 * seconds, -0.2, 1.2 + 0.1 * seconds]))


def seen(point_m, pose, track=7):
    x, y, z = pose.inverse().apply(np.asarray(point_m, np.float64)).tolist()
    place = ObjectPosition(z, (x, y, z), np.eye(3), Box3D((x, y, z), (0.1, 0.1, 0.1)))
    return SceneObject(0, 0, 'cup', 1.0, (0, 0, 9, 9), track, place)


def walk(meter, frames, velocity, *, noise=0.0, start=1):
    rng, found = np.random.default_rng(0), None
    for index in range(start, start + frames):
        seconds = index / 10
        point = np.array([1.0, 2.0, 0.5]) + np.array(velocity) * seconds
        pose = camera(seconds)
        point = point + rng.normal(0, noise, 3)
        (found,) = meter.update((seen(point, pose),), index * FRAME_NS, pose)
    speed = found.position.velocity_mps
    return None if speed is None else camera(seconds).rotation @ np.array(speed)


@pytest.mark.parametrize('velocity', [(0, 0, 0), (0.5, -0.2, 0.1), (-2.0, 3.0, 0.0)])
def test_a_straight_way_is_measured_from_a_moving_camera(velocity):
    assert walk(VelocityEstimator(), 6, velocity) == pytest.approx(velocity, abs=1e-9)


def test_noise_is_averaged():
    # Of a line through 6 points 0.1 s apart the slope has deviation sigma / sqrt(0.175).
    found = walk(VelocityEstimator(), 6, (0.5, 0, 0), noise=0.005)
    assert found == pytest.approx((0.5, 0, 0), abs=4 * 0.005 / np.sqrt(0.175))


def test_two_sights_are_not_enough():
    assert walk(VelocityEstimator(), 2, (1, 0, 0)) is None
    assert walk(VelocityEstimator(), 3, (1, 0, 0)) is not None


def test_what_was_long_ago_does_not_count():
    meter = VelocityEstimator()
    walk(meter, 6, (1, 0, 0))
    assert walk(meter, 2, (1, 0, 0), start=20) is None


def test_unknown_stays_unknown():
    meter = VelocityEstimator()
    item = seen((1, 2, 3), camera(0))
    for index in range(1, 6):
        stamp = index * FRAME_NS
        assert meter.update((item,), stamp, None)[0].position.velocity_mps is None
        for other in (replace(item, track_id=None), replace(item, position=None)):
            assert meter.update((other,), stamp, camera(0)) == (other,)


def test_a_jump_back_forgets_what_lies_ahead():
    meter = VelocityEstimator()
    walk(meter, 6, (1, 0, 0), start=50)
    assert walk(meter, 2, (1, 0, 0)) is None
    walk(meter, 6, (1, 0, 0), start=50)
    meter.reset()
    assert walk(meter, 2, (1, 0, 0), start=56) is None


def test_another_goes_on_from_its_memory():
    first, second, whole = VelocityEstimator(), VelocityEstimator(), VelocityEstimator()
    walk(first, 3, (1, 0.5, 0))
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    walk(whole, 3, (1, 0.5, 0))
    assert (walk(second, 1, (1, 0.5, 0), start=4) == walk(whole, 1, (1, 0.5, 0), start=4)).all()


def test_velocities_turn_with_the_frame_and_do_not_shift():
    meter = VelocityEstimator()
    for index in range(1, 5):
        pose = camera(index / 10)
        (found,) = meter.update((seen((1 + 0.03 * index, 2, 0.5), pose),), index * FRAME_NS, pose)
    (placed,) = transform_objects((found,), pose)
    assert placed.position.velocity_mps == pytest.approx((0.3, 0, 0), abs=1e-9)


def test_things_of_the_demo_world_stand_still():
    """With exact depth the visible part of a thing changes, and its centroid by millimetres."""
    meter, speeds = VelocityEstimator(), []
    for frame in sequence(900_136, 30, (240, 320)):
        objects = tuple(
            item for item in frame.objects() if frame.detections.scores[item.index] > 0.95
        )
        found = meter.update(objects, frame.image.stamp_ns, frame.world_from_camera)
        velocities = [item.position.velocity_mps for item in found]
        speeds += [np.linalg.norm(one) for one in velocities if one is not None]
    assert len(speeds) > 50
    assert np.median(speeds) < 0.03
