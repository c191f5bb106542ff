"""Calibration of images: which message counts, and how seldom one is converted."""

from dataclasses import replace
import re

import numpy as np
import pytest
from reasons import raises

from robot_perception.conversions import camera_info_message, header_message, RosbagsFactory
from robot_perception.core import CameraModel, Image
from robot_perception.core.errors import CalibrationError
from robot_perception.pipeline.config import CameraConfig
from robot_perception.sources import standard_types
from robot_perception.stream import (
    Calibration,
    calibration,
    CalibrationReader,
    CameraTopics,
    LIVE,
    picture_camera,
    RECORDED,
)

FACTORY = RosbagsFactory(standard_types())
SIZE_HW = (24, 32)
IMAGE = Image(np.zeros((*SIZE_HW, 3), np.uint8))
DISTORTED = CameraModel(SIZE_HW, 30.0, 31.0, 15.5, 11.5, 'plumb_bob', (0.1, 0.01, 0.0, 0.0, 0.0))
TOPICS = CameraTopics('/image')
RAW, RECTIFIED = CameraConfig(), CameraConfig(rectified='always')


def make_info(camera=DISTORTED, stamp_ns=0, **changes):
    info = camera_info_message(FACTORY, header_message(FACTORY, stamp_ns, 'camera'), camera)
    return replace(info, **changes)


def read(reader, info, *, image=IMAGE, config=RAW, remedies=LIVE, topics=TOPICS):
    return reader.read(info, image, config, topics, remedies)


@pytest.fixture
def reader():
    return CalibrationReader()


@pytest.fixture
def conversions(monkeypatch):
    """Record every conversion of a message."""
    to_camera = calibration.to_camera
    calls = []

    def counted(info, *, rectified, image_size_hw):
        calls.append(rectified)
        return to_camera(info, rectified=rectified, image_size_hw=image_size_hw)

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
        f'no CameraInfo has been received. {advice}, or set camera.info_url or '
        'camera.fallback_hfov_deg.'
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


BESIDE = CameraTopics('/head/image_raw', '/head/camera_info')


@pytest.mark.parametrize(('frame', 'info_frame'), [('/camera', 'camera'), ('camera', '/camera')])
def test_a_leading_slash_makes_no_other_frame(reader, frame, info_frame):
    image = Image(IMAGE.rgb, 0, frame)
    info = make_info(header=header_message(FACTORY, 0, info_frame))
    assert read(reader, info, image=image) == Calibration(DISTORTED, info)


@pytest.mark.parametrize(
    ('topics', 'is_used'),
    [
        (BESIDE, True),
        (CameraTopics('/head/image_raw/compressed', '/head/camera_info'), True),
        (CameraTopics('/head/image_raw', '/wrist/camera_info'), False),
        (CameraTopics('/image', '/camera_info'), False),
    ],
)
def test_a_message_of_another_frame_is_used_from_beside_the_image(reader, topics, is_used):
    image = Image(IMAGE.rgb, 0, 'other')
    result = read(reader, make_info(), image=image, topics=topics)
    assert (result.camera == DISTORTED) == result.status.is_usable == is_used
    assert result.status.reason == 'other_frame'
    assert 'Set camera.frame_id to the right one of the two (other or camera)' in (
        result.status.problem
    )
    for frame_id in ('other', 'camera'):
        named = replace(image, frame_id=frame_id)
        config = CameraConfig(frame_id=frame_id)
        result = read(CalibrationReader(), make_info(), image=named, topics=topics, config=config)
        assert (result.camera, result.status.problem) == (DISTORTED, '')


def test_a_message_without_size_has_that_of_the_image(reader):
    result = read(reader, make_info(height=0, width=0))
    # Outputs carry a calibration that is whole.
    assert (result.camera, result.camera_info, result.status.problem) == (DISTORTED, None, '')
    other = Image(np.zeros((12, 16, 3), np.uint8))
    assert read(reader, make_info(height=0, width=0), image=other).camera.size_hw == (12, 16)


def test_k_stands_in_for_a_p_of_zeros(reader):
    result = read(reader, make_info(p=np.zeros(12)), config=RECTIFIED)
    expected = CameraModel(SIZE_HW, 30.0, 31.0, 15.5, 11.5)
    assert (result.camera, result.camera_info, result.status.problem) == (expected, None, '')


@pytest.fixture
def calibration_file(tmp_path):
    path = tmp_path / 'camera.yaml'
    path.write_text(
        'image_width: 32\nimage_height: 24\n'
        'camera_matrix: {data: [30, 0, 15.5, 0, 31, 11.5, 0, 0, 1]}\n'
        'distortion_coefficients: {data: [0.1, 0.01, 0, 0, 0]}\n'
        'projection_matrix: {data: [29, 0, 15, 0, 0, 29, 11, 0, 0, 0, 1, 0]}\n'
    )
    return path


@pytest.mark.parametrize('info', [None, make_info(k=np.zeros(9))])
def test_a_file_replaces_the_messages(reader, calibration_file, info):
    for config, expected in (
        (CameraConfig(info_url=str(calibration_file)), DISTORTED),
        (
            CameraConfig(info_url=f'file://{calibration_file}', rectified='always'),
            CameraModel(SIZE_HW, 29.0, 29.0, 15.0, 11.0),
        ),
    ):
        result = read(reader, info, config=config)
        assert (result.camera, result.camera_info, result.status.problem) == (expected, None, '')


def test_a_file_is_read_once(reader, calibration_file):
    config = CameraConfig(info_url=str(calibration_file))
    read(reader, None, config=config)
    calibration_file.unlink()
    assert read(reader, None, config=config).camera == DISTORTED
    moved = CameraConfig(info_url=f'file://{calibration_file}')
    assert read(reader, None, config=moved).status.reason == 'missing_file'
    assert 'no CameraInfo' in read(reader, None).status.problem


def test_a_file_of_another_size_is_a_problem_that_names_it(reader, calibration_file):
    large = Image(np.zeros((48, 64, 3), np.uint8))
    config = CameraConfig(info_url=str(calibration_file))
    status = read(reader, None, image=large, config=config).status
    assert status.reason == 'size_mismatch'
    assert status.problem.startswith(f'{calibration_file}: ')
    with raises(CalibrationError, 'size_mismatch'):
        picture_camera(large, config, 60.0)
    assert picture_camera(IMAGE, config, 60.0) == DISTORTED
    assert picture_camera(IMAGE, RAW, 60.0) == CameraModel.nominal(SIZE_HW, 60.0)


@pytest.mark.parametrize(
    ('topic', 'rectified'),
    [
        ('/camera/image_rect', True),
        ('/camera/image_rect_color/compressed', True),
        ('/camera/image_rectified', True),
        ('/camera/rectified/image', True),
        ('/camera/Rect/image', True),
        ('/camera/image_undistorted', True),
        ('/camera/image_raw', False),
        ('/direct/image', False),
        ('/camera/unrectified/image', False),
        ('/rectangle/image', False),
    ],
)
def test_the_name_of_the_topic_decides_what_applies(reader, topic, rectified):
    p = np.array([29.0, 0, 15, 0, 0, 29, 11, 0, 0, 0, 1, 0])
    camera = read(reader, make_info(p=p), topics=CameraTopics(topic)).camera
    assert camera == (CameraModel(SIZE_HW, 29.0, 29.0, 15.0, 11.0) if rectified else DISTORTED)


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
