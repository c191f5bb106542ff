"""Calibration of images: which message counts, and how seldom one is converted."""

from dataclasses import replace
import re

import numpy as np
import pytest

from robot_perception.conversions import camera_info_message, header_message, RosbagsFactory
from robot_perception.core import CameraModel, Image
from robot_perception.pipeline.config import CameraConfig
from robot_perception.sources import standard_types
from robot_perception.stream import calibration, CalibrationReader, LIVE, RECORDED

FACTORY = RosbagsFactory(standard_types())
SIZE_HW = (24, 32)
IMAGE = Image(np.zeros((*SIZE_HW, 3), np.uint8))
DISTORTED = CameraModel(SIZE_HW, 30.0, 31.0, 15.5, 11.5, 'plumb_bob', (0.1, 0.01, 0.0, 0.0, 0.0))
RAW, RECTIFIED = CameraConfig(), CameraConfig(rectified='always')


def make_info(camera=DISTORTED, stamp_ns=0, **changes):
    info = camera_info_message(FACTORY, header_message(FACTORY, stamp_ns, 'camera'), camera)
    return replace(info, **changes)


def read(reader, info, *, image=IMAGE, config=RAW, remedies=LIVE):
    return reader.read(info, image, config, '/image', remedies)


@pytest.fixture
def reader():
    return CalibrationReader()


@pytest.fixture
def conversions(monkeypatch):
    """Record every conversion of a message."""
    to_camera = calibration.to_camera
    calls = []

    def counted(info, *, rectified):
        calls.append(rectified)
        return to_camera(info, rectified=rectified)

    monkeypatch.setattr(calibration, 'to_camera', counted)
    return calls


def test_the_given_message_is_used_and_not_an_earlier_one(reader):
    read(reader, make_info(CameraModel.nominal(SIZE_HW, 60.0)))
    newest = make_info()
    result = read(reader, newest)
    assert (result.camera, result.status.reason, result.status.problem) == (DISTORTED, '', '')
    assert result.camera_info is newest


def test_rectified_images_use_p(reader):
    p = np.array([29.0, 0, 15, 0, 0, 29, 11, 0, 0, 0, 1, 0])
    info = make_info(p=p)
    rectified = CameraModel(SIZE_HW, 29.0, 29.0, 15.0, 11.0)
    assert read(reader, info, config=RECTIFIED).camera == rectified
    assert read(reader, info).camera == DISTORTED


@pytest.mark.parametrize(
    ('remedies', 'advice'),
    [
        (LIVE, 'Remap camera_info to the topic of your camera'),
        (RECORDED, 'Record camera_info beside the images'),
    ],
)
def test_a_missing_message_is_a_problem_with_a_remedy(reader, remedies, advice):
    result = read(reader, None, remedies=remedies)
    assert (result.camera, result.camera_info) == (None, None)
    assert result.status.reason == 'no_camera_info'
    assert result.status.problem == (
        f'no CameraInfo has been received. {advice}, or set camera.fallback_hfov_deg.'
    )


def test_without_a_message_the_fallback_field_of_view_is_used(reader):
    result = read(reader, None, config=CameraConfig(fallback_hfov_deg=60.0))
    assert result.camera == CameraModel.nominal(SIZE_HW, 60.0)
    assert (result.camera_info, result.status.problem) == (None, '')


@pytest.mark.parametrize(
    ('changes', 'text'),
    [
        ({'k': np.zeros(9)}, 'K: expected a focal length, got fx=0.0, fy=0.0'),
        ({'k': np.full(9, np.nan)}, 'K: expected finite numbers, got NaN'),
        ({'width': 64}, r'camera_info: expected the size of the image \(24, 32\), got \(24, 64\)'),
        ({'distortion_model': 'fisheye42'}, 'fisheye42'),
    ],
)
def test_an_invalid_message_is_a_problem_even_with_a_fallback(reader, changes, text):
    """The fallback is for cameras without calibration; an invalid one has to be corrected."""
    result = read(reader, make_info(**changes), config=CameraConfig(fallback_hfov_deg=60.0))
    assert (result.camera, result.camera_info) == (None, None)
    assert result.status.reason
    assert re.search(text, result.status.problem)


def test_a_message_of_another_frame_is_a_problem(reader):
    image = Image(IMAGE.rgb, 0, 'other')
    result = read(reader, make_info(), image=image)
    assert (result.camera, result.camera_info) == (None, None)
    assert result.status.reason == 'other_frame'
    assert "CameraInfo has frame 'camera', the image 'other'" in result.status.problem


def test_the_size_is_compared_with_each_image(reader):
    other = Image(np.zeros((48, 64, 3), np.uint8))
    result = read(reader, make_info(), image=other)
    assert 'expected the size of the image (48, 64)' in result.status.problem
    assert read(reader, make_info()).status.problem == ''


def test_an_equal_message_is_not_converted_again(reader, conversions):
    cameras = []
    for stamp_ns in range(5):
        info = make_info(stamp_ns=stamp_ns)
        for _ in range(2):
            result = read(reader, info)
            # Outputs still carry the newest message.
            assert result.camera_info.header.stamp.nanosec == stamp_ns
            cameras.append(result.camera)
    assert conversions == [False]
    assert len({id(camera) for camera in cameras}) == 1


CHANGES = {
    'height': {'height': 48},
    'width': {'width': 64},
    'distortion_model': {'distortion_model': 'rational_polynomial', 'd': np.full(8, 0.01)},
    'd': {'d': np.array([0.2, 0.01, 0.0, 0.0, 0.0])},
    'd, longer': {'d': np.array([0.1, 0.01, 0.0, 0.0, 0.0, 0.0])},
    'k': {'k': np.array([30.5, 0, 15.5, 0, 31, 11.5, 0, 0, 1])},
    'p': {'p': np.array([29.0, 0, 15, 0, 0, 29, 11, 0, 0, 0, 1, 0])},
    'binning_x': {'binning_x': 2},
    'binning_y': {'binning_y': 2},
    'roi': {'roi': replace(make_info().roi, x_offset=3)},
}


@pytest.mark.parametrize('config', [RAW, RECTIFIED], ids=['raw', 'rectified'])
@pytest.mark.parametrize('changes', CHANGES.values(), ids=CHANGES)
def test_a_changed_message_is_converted_again(reader, conversions, changes, config):
    read(reader, make_info(), config=config)
    changed = make_info(**changes)
    result = read(reader, changed, config=config)
    assert len(conversions) == 2
    assert read(CalibrationReader(), changed, config=config) == result


def test_a_change_of_rectification_converts_the_message_again(reader, conversions):
    info = make_info()
    for config in (RAW, RAW, RECTIFIED, RECTIFIED, RAW):
        read(reader, info, config=config)
    assert conversions == [False, True, False]


def test_an_invalid_message_is_not_converted_again(reader, conversions):
    for stamp_ns in range(3):
        assert read(reader, make_info(stamp_ns=stamp_ns, k=np.zeros(9))).camera is None
    assert conversions == [False]
    assert read(reader, make_info()).camera == DISTORTED
