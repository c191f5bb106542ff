"""Cameras that are stamped with a body frame, and those that only look unusual."""

import numpy as np
import pytest

from robot_perception.core import Image, Pose, StampedTransform, TransformBuffer
from robot_perception.core.transforms import normalize_frame_id
from robot_perception.pipeline import CameraAxes, FramesConfig
from robot_perception.stream import resolve_target_frame
from robot_perception.stream.camera_axes import BODY_FROM_OPTICAL

BASE = 'base_link'
RGB = np.zeros((4, 4, 3), np.uint8)


def turn(roll=0.0, pitch=0.0, yaw=0.0):
    """Return the rotation of URDF's rpy, degrees."""
    (cr, cp, cy), (sr, sp, sy) = (
        function(np.radians([roll, pitch, yaw])) for function in (np.cos, np.sin)
    )
    about_x = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    about_y = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    about_z = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def resolve(name, rotation, axes=CameraAxes.AUTO, **frames):
    """Resolve the frame of an image whose frame has a rotation in base_link."""
    x, y, z, w = Pose(rotation, np.zeros(3)).quaternion_xyzw
    buffer = TransformBuffer()
    child = normalize_frame_id(name)
    buffer.insert(StampedTransform(BASE, child, 0, (0.1, 0.0, 0.5), (x, y, z, w)), static=True)
    config = FramesConfig(**(frames or {'target_frame': BASE}))
    return resolve_target_frame(Image(RGB, 1, name), config, buffer.lookup, axes)


def optical(*rpy):
    """Return the rotation of the optical frame of a camera whose body is turned."""
    return turn(*rpy) @ BODY_FROM_OPTICAL.rotation


# Of the camera's body: roll, pitch (down is positive) and yaw.
AHEAD = [(0, 0, 0), (0, 0, 180), (0, 0, 90), (0, 0, -90), (0, 25, 0), (0, -20, 45)]
DOWN = [(0, 90, 0), (0, 90, 90), (0, 75, 0), (180, 90, 0), (0, 60, 30)]
ROLLED = [(90, 0, 0), (-90, 0, 0), (180, 0, 0), (45, 10, 0), (90, 30, 60)]
UP = [(0, -90, 0), (0, -90, 90), (0, -90, 180), (0, -75, 0), (0, -60, 20)]
WRIST = [(30, 40, 50), (-60, -35, 120), (100, 20, -70), (10, -50, 0), (170, 70, 15)]
MOUNTINGS = [
    *((name, rpy) for name in ('/cam_optical_frame', 'cam_link_optical') for rpy in AHEAD),
    *(('ceiling_optical', rpy) for rpy in UP),
    *(('camera', rpy) for rpy in (*AHEAD, *DOWN, *ROLLED, *WRIST)),
    *(('camera', rpy) for rpy in UP),
    # Optical frames with the name of a body frame.
    *(('camera_link', rpy) for rpy in (*DOWN, (90, 0, 0), (180, 0, 0))),
]


def test_there_are_fifty_mountings():
    assert len(MOUNTINGS) == 50


@pytest.mark.parametrize(('name', 'rpy'), MOUNTINGS)
def test_an_optical_frame_raises_no_alarm(name, rpy):
    status = resolve(name, optical(*rpy)).status
    assert status.problem == ''


@pytest.mark.parametrize('frames', [{'target_frame': BASE}, {'gravity_frame': BASE}])
@pytest.mark.parametrize(
    ('name', 'rpy'),
    [
        *(('camera_link', rpy) for rpy in AHEAD),
        ('X1/base_link/camera_front', (0, 0, 0)),
        ('camera_rgb_frame', (0, 0, 0)),
    ],
)
def test_a_body_frame_is_named(name, rpy, frames):
    status = resolve(name, turn(*rpy), **frames).status
    assert (status.reason, status.is_usable) == ('body_frame', True)
    assert f"z of '{name}', the viewing direction of an optical frame, points up" in status.problem
    for axes in (CameraAxes.OPTICAL, CameraAxes.BODY):
        assert resolve(name, turn(*rpy), axes, **frames).status.problem == ''


def test_a_target_frame_that_need_not_be_level_is_no_reference():
    x, y, z, w = 0.0, 0.0, 0.0, 1.0
    buffer = TransformBuffer()
    buffer.insert(
        StampedTransform('tool0', 'camera_link', 0, (0, 0, 0), (x, y, z, w)), static=True
    )
    config = FramesConfig(target_frame='tool0')
    image = Image(RGB, 1, 'camera_link')
    target = resolve_target_frame(image, config, buffer.lookup, CameraAxes.AUTO)
    assert target.status.problem == ''


@pytest.mark.parametrize('rpy', AHEAD)
def test_a_body_frame_is_converted(rpy):
    frames = {'target_frame': BASE, 'gravity_frame': BASE, 'fixed_frame': BASE}
    body = resolve('camera_link', turn(*rpy), CameraAxes.BODY, **frames)
    expected = resolve('camera_optical', optical(*rpy), **frames)
    for name in ('target_from_optical', 'fixed_from_optical'):
        got, wanted = getattr(body, name), getattr(expected, name)
        np.testing.assert_allclose(got.rotation, wanted.rotation, atol=1e-12)
        np.testing.assert_allclose(got.translation_m, wanted.translation_m, atol=1e-12)
    np.testing.assert_allclose(body.gravity_up, expected.gravity_up, atol=1e-12)


def test_without_tf_results_are_in_the_body_frame():
    image = Image(RGB, 1, 'camera_link')
    target = resolve_target_frame(image, FramesConfig(), None, CameraAxes.BODY)
    assert target.frame_id == 'camera_link'
    ahead = target.target_from_optical.apply(np.array([0.0, 0.0, 2.0]))
    np.testing.assert_array_equal(ahead, [2.0, 0.0, 0.0])
    right, down = (target.image_from_optical.apply(one) for one in np.eye(3)[:2])
    np.testing.assert_array_equal(right, [0.0, -1.0, 0.0])
    np.testing.assert_array_equal(down, [0.0, 0.0, -1.0])
