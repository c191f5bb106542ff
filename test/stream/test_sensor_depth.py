"""Depth of a sensor for an image: taken, registered, or refused with what to change."""

from types import SimpleNamespace

import numpy as np
import pytest
from robot_perception.pipeline.sensor_depth import DepthCamera, read_sensor_depth

from robot_perception import conversions
from robot_perception.core import (
    CameraModel,
    Image,
    MetricDepth,
    StampedTransform,
    TransformBuffer,
)

COLOUR, DEPTH = 'colour_optical_frame', 'depth_optical_frame'
CAMERA = CameraModel.nominal((48, 64), 60.0)
DEPTH_CAMERA = CameraModel.nominal((24, 32), 75.0)
IMAGE = Image(np.zeros((48, 64, 3), np.uint8), 10**9, COLOUR)


class Plainly:
    """Messages that are nothing but their fields."""

    def __call__(self, type_name, /, **fields):
        return SimpleNamespace(**fields)

    def sequence(self, values):
        return values


def header(frame_id):
    return conversions.header_message(Plainly(), 10**9, frame_id)


def depth_message(metres, frame_id=DEPTH):
    return conversions.depth_message(Plainly(), header(frame_id), MetricDepth(metres))


def wall(camera, metres=2.0):
    return np.full(camera.size_hw, metres, np.float32)


def info_of(camera, frame_id=DEPTH):
    return conversions.camera_info_message(Plainly(), header(frame_id), camera)


def tf(translation=(0.0, 0.0, 0.1), rotation=(0.0, 0.0, 0.0, 1.0)):
    buffer = TransformBuffer()
    buffer.insert(StampedTransform(COLOUR, DEPTH, 0, translation, rotation), static=True)
    return buffer


def read(message, *, camera=CAMERA, info=None, buffer=None):
    sensor = DepthCamera('/depth/image_rect_raw', '/depth/camera_info')
    sensor.keep(info)
    lookup = (buffer or TransformBuffer()).lookup
    return read_sensor_depth(
        message, IMAGE, camera, sensor=sensor, lookup=lookup, max_pixels=10**6
    )


@pytest.mark.parametrize('frame_id', [COLOUR, f'/{COLOUR}'])
def test_depth_of_the_frame_and_size_of_the_image_is_taken_as_it_is(frame_id):
    depth, problem = read(depth_message(wall(CAMERA), frame_id), camera=None)
    assert (problem, depth.meters.tolist()) == ('', wall(CAMERA).tolist())


def test_depth_of_another_frame_is_registered():
    depth, problem = read(
        depth_message(wall(DEPTH_CAMERA)), info=info_of(DEPTH_CAMERA), buffer=tf()
    )
    assert (problem, depth.size_hw) == ('', CAMERA.size_hw)
    known = np.isfinite(depth.meters)
    assert known[4:-4, 4:-4].all()
    np.testing.assert_allclose(depth.meters[known], 2.1, rtol=1e-6)


def test_depth_of_another_size_needs_no_tf():
    small = CameraModel.nominal((24, 32), 60.0)
    depth, problem = read(depth_message(wall(small), COLOUR), info=info_of(small, COLOUR))
    assert problem == ''
    assert np.all(depth.meters[2:-2, 2:-2] == 2.0)


FRAMES = f'sensor depth is in frame {DEPTH!r}, the image in {COLOUR!r}, and cannot be'
ZERO = info_of(DEPTH_CAMERA)
ZERO.p = np.zeros(12)


@pytest.mark.parametrize(
    ('given', 'texts'),
    [
        ({'camera': None, 'info': info_of(DEPTH_CAMERA)}, (FRAMES, 'the image has no calib')),
        ({}, (FRAMES, 'no CameraInfo of the depth camera has come on /depth/camera_info')),
        ({'info': info_of(DEPTH_CAMERA, 'other')}, (FRAMES, "is of frame 'other'")),
        ({'info': info_of(CAMERA)}, (FRAMES, 'for size (48, 64), the depth has (24, 32)')),
        ({'info': ZERO}, (FRAMES, 'its CameraInfo cannot be used: P: expected a focal length')),
        ({'info': info_of(DEPTH_CAMERA)}, (FRAMES, f'frame {COLOUR!r}: expected one of')),
        (
            {
                'info': info_of(DEPTH_CAMERA),
                'buffer': tf(rotation=(0.0, 1.0, 0.0, 0.0)),
            },
            ('none of it falls into the image', 'z of an optical frame looks forward'),
        ),
    ],
)
def test_what_cannot_be_registered_names_the_cause_and_the_driver(given, texts):
    depth, problem = read(depth_message(wall(DEPTH_CAMERA)), **given)
    assert depth is None
    for text in (*texts, 'align_depth.enable:=true for RealSense', 'depth_registration:=true'):
        assert text in problem


def test_another_size_is_named():
    depth, problem = read(depth_message(wall(DEPTH_CAMERA), COLOUR))
    assert depth is None
    assert problem.startswith('sensor depth has size (24, 32), the image (48, 64) (rows, columns)')


def test_depth_that_is_none_is_refused():
    message = depth_message(wall(DEPTH_CAMERA))
    message.encoding = 'rgb8'
    depth, problem = read(message)
    assert depth is None
    assert problem.startswith('sensor depth rejected (encoding)')


@pytest.mark.parametrize('frame_id', [COLOUR, DEPTH])
def test_a_picture_without_any_depth_is_read_and_told(frame_id):
    size_hw = IMAGE.size_hw if frame_id == COLOUR else DEPTH_CAMERA.size_hw
    nothing = np.full(size_hw, np.nan, np.float32)
    depth, problem = read(
        depth_message(nothing, frame_id), info=info_of(DEPTH_CAMERA), buffer=tf()
    )
    assert problem.startswith('no pixel of the sensor depth is known')
    assert depth.size_hw == IMAGE.size_hw
    assert np.isnan(depth.meters).all()
