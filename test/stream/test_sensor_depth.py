"""Sensor depth for an image: used as it is, registered, or refused with a remedy."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from robot_perception import conversions
from robot_perception.core import (
    CameraModel,
    Image,
    MetricDepth,
    StampedTransform,
    TransformBuffer,
)
from robot_perception.pipeline import PerceptionConfig
from robot_perception.stream import CameraTopics, FrameSet, LIVE, MessageTime
from robot_perception.stream.sensor_depth import read_sensor_depth
from robot_perception.stream.status import USABLE

COLOR, DEPTH = 'color_optical_frame', 'depth_optical_frame'
CAMERA = CameraModel.nominal((48, 64), 60.0)
DEPTH_CAMERA = CameraModel.nominal((24, 32), 75.0)
IMAGE = Image(np.zeros((48, 64, 3), np.uint8), 10**9, COLOR)


class PlainFactory:
    """Makes messages that only have their fields."""

    def __call__(self, type_name, /, **fields):
        return SimpleNamespace(**fields)

    def sequence(self, values):
        return values


def header(frame_id):
    return conversions.header_message(PlainFactory(), 10**9, frame_id)


def depth_message(meters, frame_id=DEPTH):
    return conversions.depth_message(PlainFactory(), header(frame_id), MetricDepth(meters))


def wall(camera, meters=2.0):
    return np.full(camera.size_hw, meters, np.float32)


def make_info(camera, frame_id=DEPTH):
    return conversions.camera_info_message(PlainFactory(), header(frame_id), camera)


def tf(translation=(0.0, 0.0, 0.1), rotation=(0.0, 0.0, 0.0, 1.0)):
    buffer = TransformBuffer()
    buffer.insert(StampedTransform(COLOR, DEPTH, 0, translation, rotation), static=True)
    return buffer


def read(message, *, camera=CAMERA, info=None, buffer=None, image=IMAGE, **parameters):
    frame_set = FrameSet(
        image=SimpleNamespace(header=header(COLOR)),
        time=MessageTime(10**9, 10**9, 10**9),
        topics=CameraTopics(
            '/image', '/camera_info', '/depth/image_rect_raw', '/depth/camera_info'
        ),
        camera_info=None,
        depth=lambda: message,
        depth_camera_info=lambda: info,
        lookup=(buffer or TransformBuffer()).lookup,
    )
    named = {name.replace('__', '.'): value for name, value in parameters.items()}
    config = PerceptionConfig.from_preset('stub', named)
    return read_sensor_depth(frame_set, image, camera, config=config, remedies=LIVE)


@pytest.mark.parametrize('frame_id', [COLOR, f'/{COLOR}'])
def test_depth_of_the_frame_and_size_of_the_image_is_taken_as_it_is(frame_id):
    depth, status = read(depth_message(wall(CAMERA), frame_id), camera=None)
    assert (status, depth.meters.tolist()) == (USABLE, wall(CAMERA).tolist())


def test_depth_of_another_frame_is_registered():
    depth, status = read(
        depth_message(wall(DEPTH_CAMERA)), info=make_info(DEPTH_CAMERA), buffer=tf()
    )
    assert (status, depth.size_hw) == (USABLE, CAMERA.size_hw)
    known = np.isfinite(depth.meters)
    assert known[4:-4, 4:-4].all()
    np.testing.assert_allclose(depth.meters[known], 2.1, rtol=1e-6)


def test_depth_of_another_size_needs_no_tf():
    small = CameraModel.nominal((24, 32), 60.0)
    depth, status = read(depth_message(wall(small), COLOR), info=make_info(small, COLOR))
    assert status == USABLE
    assert np.all(depth.meters[2:-2, 2:-2] == 2.0)


FRAMES = f'sensor depth is in frame {DEPTH!r}, the image in {COLOR!r}, and cannot be'
ZERO = make_info(DEPTH_CAMERA)
ZERO.p, ZERO.k = np.zeros(12), np.zeros(9)


@pytest.mark.parametrize(
    ('given', 'reason', 'texts'),
    [
        (
            {'camera': None, 'info': make_info(DEPTH_CAMERA)},
            'no_camera_info',
            (FRAMES, 'the image has no calib'),
        ),
        (
            {},
            'no_depth_camera_info',
            (FRAMES, 'no CameraInfo of the depth camera has been received on /depth/camera_info'),
        ),
        ({'info': make_info(DEPTH_CAMERA, 'other')}, 'other_frame', (FRAMES, "has frame 'other'")),
        (
            {'info': make_info(CAMERA)},
            'wrong_size',
            (FRAMES, 'for size (48, 64), the depth has (24, 32)'),
        ),
        (
            {'info': ZERO},
            'not_calibrated',
            (FRAMES, 'its CameraInfo cannot be used: P: expected a focal length'),
        ),
        (
            {'info': make_info(DEPTH_CAMERA)},
            'unknown_frame',
            (FRAMES, f'frame {COLOR!r}: expected one of'),
        ),
        (
            {
                'info': make_info(DEPTH_CAMERA),
                'buffer': tf(rotation=(0.0, 1.0, 0.0, 0.0)),
            },
            'outside_image',
            ('all of it lies outside the image', 'z of an optical frame points forward'),
        ),
    ],
)
def test_depth_that_cannot_be_registered_names_the_cause_and_the_driver(given, reason, texts):
    depth, status = read(depth_message(wall(DEPTH_CAMERA)), **given)
    assert (depth, status.reason) == (None, reason)
    for text in (*texts, 'align_depth.enable:=true for RealSense', 'depth_registration:=true'):
        assert text in status.problem


def test_another_size_is_named():
    depth, status = read(depth_message(wall(DEPTH_CAMERA), COLOR))
    assert depth is None
    assert status.problem.startswith(
        'sensor depth has size (24, 32), the image (48, 64) (rows, columns)'
    )


def test_a_color_image_instead_of_depth_is_refused():
    message = depth_message(wall(DEPTH_CAMERA))
    message.encoding = 'rgb8'
    depth, status = read(message)
    assert (depth, status.reason) == (None, 'encoding')
    assert status.problem.startswith('sensor depth rejected (encoding)')


@pytest.mark.parametrize('frame_id', [COLOR, DEPTH])
def test_depth_without_a_known_pixel_is_read_and_reported(frame_id):
    size_hw = IMAGE.size_hw if frame_id == COLOR else DEPTH_CAMERA.size_hw
    nothing = np.full(size_hw, np.nan, np.float32)
    depth, status = read(
        depth_message(nothing, frame_id), info=make_info(DEPTH_CAMERA), buffer=tf()
    )
    assert status.reason == 'empty_depth'
    assert status.problem.startswith('no pixel of the sensor depth is known')
    assert depth.size_hw == IMAGE.size_hw
    assert np.isnan(depth.meters).all()


def test_missing_depth_is_a_problem_with_a_remedy():
    depth, status = read(None)
    assert (depth, status.reason) == (None, 'no_depth')
    assert status.problem == (
        'no sensor depth within 0.02 s of the image. Remap depth to the topic of your camera, or '
        'raise depth.max_offset_s or depth.max_wait_s.'
    )


@pytest.mark.parametrize(
    ('frame_id', 'image_frame', 'parameters'),
    [
        ('', COLOR, {}),
        (DEPTH, '', {}),
        (DEPTH, COLOR, {'depth__registered': True}),
        # camera.frame_id has replaced the frame of the image's header.
        (COLOR, 'camera_optical', {'camera__frame_id': 'camera_optical'}),
    ],
)
def test_depth_that_is_registered_by_other_means(frame_id, image_frame, parameters):
    image = replace(IMAGE, frame_id=image_frame)
    message = depth_message(wall(CAMERA), frame_id)
    depth, status = read(message, camera=None, image=image, **parameters)
    assert (status, depth.meters.tolist()) == (USABLE, wall(CAMERA).tolist())


@pytest.mark.parametrize(('frame_id', 'registered'), [('', False), (DEPTH, True)])
def test_such_depth_of_another_size_needs_no_tf(frame_id, registered):
    small = CameraModel.nominal((24, 32), 60.0)
    info = make_info(small, DEPTH)
    message = depth_message(wall(small), frame_id)
    depth, status = read(message, info=info, depth__registered=registered)
    assert status == USABLE
    assert np.all(depth.meters[2:-2, 2:-2] == 2.0)


def test_a_depth_calibration_without_size_has_that_of_the_depth():
    info = make_info(DEPTH_CAMERA)
    info.height = info.width = 0
    depth, status = read(depth_message(wall(DEPTH_CAMERA)), info=info, buffer=tf())
    assert status == USABLE
    np.testing.assert_allclose(depth.meters[4:-4, 4:-4], 2.1, rtol=1e-6)


def test_the_advice_to_declare_depth_registered_works():
    message = depth_message(wall(CAMERA))
    depth, status = read(message)
    assert depth is None
    assert 'If it has been registered already, set depth.registered: true.' in status.problem
    depth, status = read(message, depth__registered=True)
    assert (status, float(depth.meters[0, 0])) == (USABLE, 2.0)


def test_axes_of_a_body_are_those_of_both_cameras():
    """The depth camera is 0.1 m behind the color camera: x of a body frame."""
    body = tf(translation=(-0.1, 0.0, 0.0))
    message, info = depth_message(wall(DEPTH_CAMERA)), make_info(DEPTH_CAMERA)
    depth, status = read(message, info=info, buffer=body, camera__optical='body')
    assert status == USABLE
    np.testing.assert_allclose(depth.meters[4:-4, 4:-4], 1.9, rtol=1e-6)


def floats(value, encoding='32FC1'):
    message = depth_message(wall(CAMERA, 1.0), COLOR)
    array = np.full(CAMERA.size_hw, value, np.float32 if encoding == '32FC1' else np.uint16)
    message.encoding, message.step, message.data = encoding, array.strides[0], array.tobytes()
    return message


@pytest.mark.parametrize(
    ('message', 'unit_m', 'meters', 'reason'),
    [
        (floats(1500.0), 0.0, 1500.0, 'millimeters'),
        (floats(1500.0), 0.001, 1.5, ''),
        (floats(150.0), 1.0, 150.0, ''),
        (floats(99.0), 0.0, 99.0, ''),
        (floats(1500, '16UC1'), 0.0, 1.5, ''),
        (floats(1500, '16UC1'), 0.0001, 0.15, ''),
        (floats(1500, '16UC1'), 0.25e-3, 0.375, ''),
        (floats(1500, '16UC1'), 1 / 5000, 0.3, ''),
        (floats(1500, '16UC1'), 1 / 256, 1500 / 256, ''),
        (floats(3, '16UC1'), 1.0, 3.0, ''),
    ],
)
def test_units_of_depth(message, unit_m, meters, reason):
    depth, status = read(message, depth__unit_m=unit_m)
    np.testing.assert_allclose(depth.meters, meters, rtol=1e-6)
    assert (status.reason, status.is_usable) == (reason, True)
    assert not reason or 'probably in millimeters' in status.problem


@pytest.mark.parametrize('nothing', [0, 65535])
def test_integers_that_mean_nothing(nothing):
    depth, status = read(floats(nothing, '16UC1'))
    assert (status.reason, status.is_usable) == ('empty_depth', False)
    assert np.isnan(depth.meters).all()
