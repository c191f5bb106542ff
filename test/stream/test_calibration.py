"""Which calibration an image gets, and how seldom one is read."""

from dataclasses import replace
import re

import numpy as np
import pytest
from robot_perception.pipeline.calibration import CalibrationKeeper

from robot_perception.conversions import camera_info_message, header_message, RosbagsFactory
from robot_perception.core import CameraModel, Image
from robot_perception.pipeline import calibration
from robot_perception.pipeline.config import CameraConfig
from robot_perception.sources.messages import standard_types

MAKE = RosbagsFactory(standard_types())
SIZE_HW = (24, 32)
IMAGE = Image(np.zeros((*SIZE_HW, 3), np.uint8))
BENT = CameraModel(SIZE_HW, 30.0, 31.0, 15.5, 11.5, 'plumb_bob', (0.1, 0.01, 0.0, 0.0, 0.0))
AS_IS, RECTIFIED = CameraConfig(), CameraConfig(rectified='always')


def info_of(camera=BENT, stamp_ns=0, **changes):
    info = camera_info_message(MAKE, header_message(MAKE, stamp_ns, 'eye'), camera)
    return replace(info, **changes)


@pytest.fixture
def keeper():
    return CalibrationKeeper()


@pytest.fixture
def readings(monkeypatch):
    """Count how often a message is read."""
    read = calibration.to_camera
    done = []

    def counted(info, *, rectified):
        done.append(rectified)
        return read(info, rectified=rectified)

    monkeypatch.setattr(calibration, 'to_camera', counted)
    return done


def test_the_newest_is_used(keeper):
    keeper.keep(info_of(CameraModel.nominal(SIZE_HW, 60.0)))
    newest = info_of()
    keeper.keep(newest)
    known = keeper.of(IMAGE, AS_IS, '/image')
    assert (known.camera, known.problem) == (BENT, '')
    assert known.camera_info is newest


def test_a_rectified_image_goes_by_p(keeper):
    p = np.array([29.0, 0, 15, 0, 0, 29, 11, 0, 0, 0, 1, 0])
    keeper.keep(info_of(p=p))
    assert keeper.of(IMAGE, RECTIFIED, '/image').camera == CameraModel(
        SIZE_HW, 29.0, 29.0, 15.0, 11.0
    )
    assert keeper.of(IMAGE, AS_IS, '/image').camera == BENT


def test_without_a_message_there_is_a_reason(keeper):
    known = keeper.of(IMAGE, AS_IS, '/image')
    assert (known.camera, known.camera_info) == (None, None)
    assert known.problem == (
        'no CameraInfo has come. Remap camera_info to the topic of your camera, '
        'or set camera.fallback_hfov_deg.'
    )


def test_without_a_message_a_field_of_view_stands_in(keeper):
    known = keeper.of(IMAGE, CameraConfig(fallback_hfov_deg=60.0), '/image')
    assert known.camera == CameraModel.nominal(SIZE_HW, 60.0)
    assert (known.camera_info, known.problem) == (None, '')


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'k': np.zeros(9)}, 'K: expected a focal length, got fx=0.0, fy=0.0'),
        ({'k': np.full(9, np.nan)}, 'K: expected finite numbers, got NaN'),
        ({'width': 64}, r'camera_info: expected the size of the image \(24, 32\), got \(24, 64\)'),
        ({'distortion_model': 'fisheye42'}, 'fisheye42'),
    ],
)
def test_a_bad_message_is_no_calibration_and_says_why(keeper, changes, said):
    """Not even where a field of view could stand in: somebody has to mend it."""
    keeper.keep(info_of(**changes))
    known = keeper.of(IMAGE, CameraConfig(fallback_hfov_deg=60.0), '/image')
    assert (known.camera, known.camera_info) == (None, None)
    assert re.search(said, known.problem)


def test_the_size_is_checked_against_each_image(keeper):
    keeper.keep(info_of())
    other = Image(np.zeros((48, 64, 3), np.uint8))
    assert 'expected the size of the image (48, 64)' in keeper.of(other, AS_IS, '/image').problem
    assert keeper.of(IMAGE, AS_IS, '/image').problem == ''


def test_an_equal_message_is_not_read_again(keeper, readings):
    cameras = []
    for stamp_ns in range(5):
        keeper.keep(info_of(stamp_ns=stamp_ns))
        for _ in range(2):
            known = keeper.of(IMAGE, AS_IS, '/image')
            # Outputs still carry the newest message.
            assert known.camera_info.header.stamp.nanosec == stamp_ns
            cameras.append(known.camera)
    assert readings == [False]
    assert len({id(camera) for camera in cameras}) == 1


REGION = info_of().roi
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
    'roi': {'roi': replace(REGION, x_offset=3)},
}


@pytest.mark.parametrize('config', [AS_IS, RECTIFIED], ids=['as it is', 'rectified'])
@pytest.mark.parametrize('changes', CHANGES.values(), ids=CHANGES)
def test_a_changed_message_is_read_again(keeper, readings, changes, config):
    keeper.keep(info_of())
    keeper.of(IMAGE, config, '/image')
    changed = info_of(**changes)
    keeper.keep(changed)
    known = keeper.of(IMAGE, config, '/image')
    assert len(readings) == 2
    fresh = CalibrationKeeper()
    fresh.keep(changed)
    assert fresh.of(IMAGE, config, '/image') == known


def test_what_rectified_means_is_looked_at_again(keeper, readings):
    keeper.keep(info_of())
    for config in (AS_IS, AS_IS, RECTIFIED, RECTIFIED, AS_IS):
        keeper.of(IMAGE, config, '/image')
    assert readings == [False, True, False]


def test_a_bad_message_is_not_read_again(keeper, readings):
    for stamp_ns in range(3):
        keeper.keep(info_of(stamp_ns=stamp_ns, k=np.zeros(9)))
        assert keeper.of(IMAGE, AS_IS, '/image').camera is None
    assert readings == [False]
    keeper.keep(info_of())
    assert keeper.of(IMAGE, AS_IS, '/image').camera == BENT
