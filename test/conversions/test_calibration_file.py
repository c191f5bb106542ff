"""Calibration files as camera drivers read and write them."""

import pytest
from reasons import raises

from robot_perception.conversions import read_calibration_file, to_camera
from robot_perception.core import CameraModel
from robot_perception.core.errors import CalibrationError

# As camera_calibration writes it.
TEXT = """\
image_width: 640
image_height: 480
camera_name: head
camera_matrix:
  rows: 3
  cols: 3
  data: [500.5, 0., 320., 0., 510.25, 240., 0., 0., 1.]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [0.1, -0.2, 0.001, 0.002, 0.05]
rectification_matrix:
  rows: 3
  cols: 3
  data: [1, 0, 0, 0, 1, 0, 0, 0, 1]
projection_matrix:
  rows: 3
  cols: 4
  data: [400, 0, 300, 0, 0, 410, 230, 0, 0, 0, 1, 0]
"""
RAW = CameraModel(
    (480, 640), 500.5, 510.25, 320, 240, 'plumb_bob', (0.1, -0.2, 0.001, 0.002, 0.05)
)


@pytest.fixture
def path(tmp_path):
    file = tmp_path / 'share' / 'robot' / 'config' / 'head camera.yaml'
    file.parent.mkdir(parents=True)
    file.write_text(TEXT)
    return file


@pytest.mark.parametrize(
    'url',
    [
        '{path}',
        'file://{path}',
        'file://localhost{path}',
        'file://{quoted}',
        'package://robot/config/head camera.yaml',
        'package://robot/config/head%20camera.yaml',
        'file://${{ROS_HOME}}/share/robot/config/head camera.yaml',
    ],
)
def test_urls_of_camera_drivers_and_paths(monkeypatch, tmp_path, path, url):
    monkeypatch.setenv('AMENT_PREFIX_PATH', f'/nowhere:{tmp_path}')
    monkeypatch.setenv('ROS_HOME', str(tmp_path))
    contents = read_calibration_file(url.format(path=path, quoted=str(path).replace(' ', '%20')))
    assert to_camera(contents, rectified=False) == RAW
    assert to_camera(contents, rectified=True) == CameraModel((480, 640), 400, 410, 300, 230)


def test_the_optional_fields_may_be_absent(path):
    path.write_text('camera_matrix: [500, 0, 320, 0, 500, 240, 0, 0, 1]')
    camera = to_camera(read_calibration_file(str(path)), rectified=True, image_size_hw=(480, 640))
    assert camera == CameraModel((480, 640), 500, 500, 320, 240)


@pytest.mark.parametrize(
    ('text', 'reason', 'match'),
    [
        (None, 'missing_file', 'No such file.*Correct camera.info_url'),
        ('%YAML:1.0\n---\nK: [1]', 'not_yaml', 'camera_calibration_parsers'),
        ('[1, 2]', 'missing_field', 'got no camera_matrix'),
        ('cam0: {intrinsics: [1, 2, 3, 4]}', 'missing_field', 'got no camera_matrix'),
        (TEXT.replace('640', 'wide'), 'wrong_type', "image_width: .* whole number, got 'wide'"),
        (TEXT.replace('[500.5,', '[x,'), 'wrong_type', 'camera_matrix: expected numbers'),
        (TEXT.replace('[0.1, -0.2, 0.001, 0.002, 0.05]', '3'), 'wrong_type', 'expected numbers'),
    ],
)
def test_other_files_are_refused(path, text, reason, match):
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    with raises(CalibrationError, reason, match):
        read_calibration_file(str(path))


@pytest.mark.parametrize(
    ('url', 'match'),
    [
        ('package://absent/a.yaml', "got 'absent', which is not in AMENT_PREFIX_PATH"),
        ('https://example.com/a.yaml', 'expected a path, file:///path or package'),
        ('file://other-host/a.yaml', 'expected a path, file:///path or package'),
    ],
)
def test_other_urls_are_refused(monkeypatch, url, match):
    monkeypatch.setenv('AMENT_PREFIX_PATH', '/nowhere')
    with raises(CalibrationError, 'url', match):
        read_calibration_file(url)
