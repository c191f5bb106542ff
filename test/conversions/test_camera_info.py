"""Conversion of calibration messages, and rejection of unusable ones."""

import array
from types import SimpleNamespace

import numpy as np
import pytest
from reasons import raises

from robot_perception.conversions import (
    camera_info_message,
    copy_camera_info,
    match_camera,
    to_camera,
)
from robot_perception.core import CameraModel
from robot_perception.core.errors import CalibrationError, InputError

K = [500.0, 0.0, 320.0, 0.0, 510.0, 240.0, 0.0, 0.0, 1.0]
P = [400.0, 0.0, 300.0, -40.0, 0.0, 410.0, 230.0, 0.0, 0.0, 0.0, 1.0, 0.0]
D = [0.1, -0.2, 0.001, 0.002, 0.05]


def info(**changes):
    region = ('x_offset', 'y_offset', 'height', 'width')
    roi = {name: changes.pop(name) for name in region if name in changes}
    full = changes.pop('size_hw', (480, 640))
    fields = {
        'height': full[0],
        'width': full[1],
        'distortion_model': 'plumb_bob',
        'd': D,
        'k': K,
        'r': np.eye(3).reshape(-1),
        'p': P,
        'binning_x': 0,
        'binning_y': 0,
        'roi': SimpleNamespace(**(dict.fromkeys(region, 0) | roi), do_rectify=False),
    }
    return SimpleNamespace(**(fields | changes))


def test_raw_image_uses_k_and_d():
    expected = CameraModel((480, 640), 500, 510, 320, 240, 'plumb_bob', tuple(D))
    assert to_camera(info(), rectified=False) == expected


def test_rectified_image_uses_p_and_no_distortion():
    broken = info(k=[0.0] * 9, d=[float('nan')], distortion_model='?')
    assert to_camera(broken, rectified=True) == CameraModel((480, 640), 400, 410, 300, 230)


@pytest.mark.parametrize(
    'make', [list, tuple, np.array, lambda numbers: array.array('d', numbers)]
)
def test_numbers_of_any_kind(make):
    assert to_camera(info(k=make(K), d=make(D)), rectified=False).fx == 500


@pytest.mark.parametrize(
    ('changes', 'expected'),
    [
        ({}, (480, 640, 500, 510, 320, 240)),
        ({'binning_x': 1, 'binning_y': 1}, (480, 640, 500, 510, 320, 240)),
        ({'binning_x': 2, 'binning_y': 2}, (240, 320, 250, 255, 160, 120)),
        ({'binning_x': 4}, (480, 160, 125, 510, 80, 240)),
        ({'height': 480, 'width': 640}, (480, 640, 500, 510, 320, 240)),
        (
            {'x_offset': 100, 'y_offset': 40, 'height': 200, 'width': 300},
            (200, 300, 500, 510, 220, 200),
        ),
        (
            {
                'x_offset': 100,
                'y_offset': 40,
                'height': 200,
                'width': 300,
                'binning_x': 2,
                'binning_y': 2,
            },
            (100, 150, 250, 255, 110, 100),
        ),
    ],
)
def test_region_and_binning(changes, expected):
    region = {'height', 'width'} & changes.keys()
    message = info(**({'size_hw': (480, 640)} if region else {}), **changes)
    camera = to_camera(message, rectified=False)
    numbers = (*camera.size_hw, camera.fx, camera.fy, camera.cx, camera.cy)
    assert numbers == expected
    assert camera.distortion == tuple(D)


def test_a_region_has_the_same_rays_as_the_whole_image():
    whole = to_camera(info(), rectified=False)
    part = to_camera(info(x_offset=100, y_offset=40, height=200, width=300), rectified=False)
    np.testing.assert_allclose(part.rays(), whole.rays()[40:240, 100:400], atol=1e-6)


@pytest.mark.parametrize(
    ('model', 'd', 'expected'),
    [
        ('', [], ('none', ())),
        ('', [0.0] * 5, ('none', ())),
        ('none', [0.0] * 4, ('none', ())),
        ('pinhole', [], ('none', ())),
        ('inverse_brown_conrady', [0.0] * 5, ('none', ())),
        ('fisheye', [0.1, 0.0, 0.0, 0.0], ('equidistant', (0.1, 0.0, 0.0, 0.0))),
        ('Kannala-Brandt4', [0.0] * 5, ('equidistant', (0.0,) * 4)),
        ('plumb_bob', [], ('none', ())),
        ('plumb_bob', [0.0] * 5, ('none', ())),
        ('plumb_bob', [0.0] * 14, ('none', ())),
        ('plumb_bob', D[:4], ('plumb_bob', tuple(D[:4]))),
        ('plumb_bob', [*D, 0.0, 0.0, 0.0], ('plumb_bob', tuple(D))),
        ('rational_polynomial', [0.0] * 8, ('none', ())),
        (
            'rational_polynomial',
            [*range(1, 9), *[0.0] * 6],
            ('rational_polynomial', tuple(map(float, range(1, 9)))),
        ),
        ('equidistant', [0.0] * 4, ('equidistant', (0.0,) * 4)),
    ],
)
def test_lens_models(model, d, expected):
    camera = to_camera(info(distortion_model=model, d=d), rectified=False)
    assert (camera.distortion_model, camera.distortion) == expected


REJECTED = [
    (
        {'k': [0.0] * 9},
        'not_calibrated',
        r'K: expected a focal length, got fx=0.0.*not calibrated',
    ),
    ({'k': [500.0, *[0.0] * 8]}, 'not_calibrated', r'fy=0\.0'),
    ({'k': [float('nan'), *K[1:]]}, 'not_finite', r'K: expected finite numbers'),
    ({'k': [*K[:2], float('inf'), *K[3:]]}, 'not_finite', r'K: expected finite'),
    ({'k': [-500.0, *K[1:]]}, 'focal_length', r'fx, fy > 0, got fx=-500'),
    ({'k': [5e-324, *K[1:]]}, 'out_of_range', r'K: expected a field of view of 1 to 179 degrees'),
    ({'k': [*K[:2], 1e308, *K[3:]]}, 'out_of_range', r'within 2 times the image, got cx=1e\+308'),
    ({'k': K[:8]}, 'wrong_type', r'K: expected 9 numbers, got \(8,\)'),
    ({'k': None}, 'wrong_type', r'K: expected'),
    ({'k': ['a'] * 9}, 'wrong_type', r'K: expected numbers, got could not convert'),
    ({'d': [float('nan')] * 5}, 'not_finite', r'D: expected finite'),
    ({'d': [0.1] * 65}, 'wrong_type', r'D: expected at most 64 numbers, got \(65,\)'),
    ({'size_hw': (0, 640)}, 'size', r'at least one pixel, got height=0, width=640'),
    ({'binning_x': 1000}, 'size', r'at least one pixel, got .* binning_x=1000'),
    ({'binning_y': -1}, 'wrong_type', r'binning_y: expected a whole number >= 0, got -1'),
    ({'width': 1.5}, 'wrong_type', r'width: expected a whole number >= 0, got 1.5'),
    ({'distortion_model': 'fov'}, 'distortion_model', r"expected one of .*, got 'fov'"),
    ({'distortion_model': ''}, 'distortion_model', r"got ''"),
    ({'distortion_model': None}, 'wrong_type', r'distortion_model: expected text, got NoneType'),
    ({'distortion_model': 'equidistant'}, 'distortion_coefficients', r'got 5'),
    (
        {'distortion_model': 'equidistant', 'd': []},
        'distortion_coefficients',
        r'D: expected 4 coefficients for equidistant, got 0',
    ),
]


@pytest.mark.parametrize(('changes', 'reason', 'match'), REJECTED)
def test_bad_calibrations_are_rejected(changes, reason, match):
    with raises(CalibrationError, reason, match):
        to_camera(info(**changes), rectified=False)


def test_k_stands_in_for_a_p_of_zeros():
    camera = to_camera(info(p=[0.0] * 12), rectified=True)
    assert camera == CameraModel((480, 640), 500, 510, 320, 240)


def test_the_error_of_an_empty_p_and_k_names_p():
    with raises(CalibrationError, 'not_calibrated', r'P: expected a focal length'):
        to_camera(info(p=[0.0] * 12, k=[0.0] * 9), rectified=True)


@pytest.mark.parametrize('count', range(21))
@pytest.mark.parametrize('model', ['plumb_bob', 'rational_polynomial', 'equidistant', 'none'])
def test_any_length_of_d_is_used_or_rejected(model, count):
    d = [0.01 * (index + 1) for index in range(count)]
    polynomial = {0, 4, 5, 8, 12, 14}
    lengths = {'plumb_bob': polynomial, 'rational_polynomial': polynomial, 'equidistant': {4}}
    if count in lengths.get(model, {0}):
        assert to_camera(info(distortion_model=model, d=d), rectified=False).distortion == tuple(d)
    else:
        with raises(CalibrationError, 'distortion_coefficients', f'got {count}'):
            to_camera(info(distortion_model=model, d=d), rectified=False)


def test_mutated_calibrations_give_finite_rays_or_an_error():
    rng = np.random.default_rng(11)
    poison = [float('nan'), float('inf'), -float('inf'), 0.0, -1.0, 1e308, 5e-324]
    accepted = 0
    for _ in range(500):
        k = [6.25, 0.0, 4.0, 0.0, 6.5, 3.0, 0.0, 0.0, 1.0]
        p = [5.0, 0.0, 3.75, -0.5, 0.0, 5.0, 3.0, 0.0, 0.0, 0.0, 1.0, 0.0]
        message = info(k=k, p=p, d=list(D), size_hw=(6, 8))
        field = ('k', 'p', 'd')[rng.integers(3)]
        values = getattr(message, field)
        values[rng.integers(len(values))] = poison[rng.integers(len(poison))]
        try:
            camera = to_camera(message, rectified=bool(rng.integers(2)))
        except InputError:
            continue
        accepted += 1
        assert not np.any(np.isinf(camera.rays()))
    assert 100 < accepted < 450


@pytest.mark.parametrize(
    ('k', 'size_hw', 'model'),
    [
        ((0.01, 50.0, 1e7, 24.0), (48, 64), 'plumb_bob'),
        ((2.0, 500.0, 320.0, 240.0), (480, 640), 'plumb_bob'),
        ((500.0, 2.0, 320.0, 240.0), (480, 640), 'plumb_bob'),
        ((4e4, 4e4, 320.0, 240.0), (480, 640), 'plumb_bob'),
        ((500.0, 500.0, 1290.0, 240.0), (480, 640), 'plumb_bob'),
        ((500.0, 500.0, -1290.0, 240.0), (480, 640), 'plumb_bob'),
        ((500.0, 500.0, 320.0, 970.0), (480, 640), 'plumb_bob'),
        ((100.0, 100.0, 320.0, 240.0), (480, 640), 'equidistant'),
    ],
)
@pytest.mark.parametrize('rectified', [False, True])
def test_calibrations_that_no_camera_has_are_refused(k, size_hw, model, rectified):
    fx, fy, cx, cy = k
    if rectified and model == 'equidistant':
        fx, fy = 1.0, 1.0
    message = info(
        k=[fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0],
        p=[fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0],
        size_hw=size_hw,
        distortion_model=model,
        d=[0.0] * 4,
    )
    with raises(CalibrationError, 'out_of_range', r'Calibrate the camera at this size'):
        to_camera(message, rectified=rectified)


@pytest.mark.parametrize(
    ('k', 'changes'),
    [
        # Endoscope, telephoto lens, line camera, fisheye of 220 degrees, shifted lens.
        ((250.0, 250.0, 320.0, 240.0), {}),
        ((20000.0, 20000.0, 320.0, 240.0), {}),
        ((6900.0, 6900.0, 4000.0, 10.0), {'size_hw': (20, 8000)}),
        ((260.0, 260.0, 500.0, 500.0), {'size_hw': (1000, 1000), 'distortion_model': 'fisheye'}),
        ((500.0, 500.0, 1200.0, -400.0), {}),
        # A small region in a corner of a large sensor.
        (
            (3000.0, 3000.0, 2000.0, 1500.0),
            {'size_hw': (3000, 4000), 'x_offset': 3900, 'y_offset': 10, 'height': 64, 'width': 64},
        ),
    ],
)
def test_unusual_cameras_are_accepted(k, changes):
    fx, fy, cx, cy = k
    message = info(k=[fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0], **{'d': [0.0] * 4, **changes})
    assert to_camera(message, rectified=False).fx == fx


@pytest.mark.parametrize('size_hw', [(0, 0), (0, 640), (480, 0)])
@pytest.mark.parametrize('binning', [0, 2])
def test_the_image_has_the_size_that_the_message_lacks(size_hw, binning):
    message = info(size_hw=size_hw, binning_x=binning, binning_y=binning)
    image_hw = (480 // max(binning, 1), 640 // max(binning, 1))
    expected = to_camera(info(binning_x=binning, binning_y=binning), rectified=False)
    assert to_camera(message, rectified=False, image_size_hw=image_hw) == expected


def test_camera_matches_its_image():
    camera = to_camera(info(), rectified=False)
    match_camera(camera, (480, 640))
    with raises(CalibrationError, 'size_mismatch', r'image \(640, 480\), got \(480, 640\)'):
        match_camera(camera, (640, 480))


@pytest.mark.parametrize(
    'camera',
    [
        CameraModel((480, 640), 500.25, 510.5, 320.125, 240.75),
        CameraModel((480, 640), 500, 510, 320, 240, 'plumb_bob', (0.1, 0.2, 0.3, 0.4)),
        CameraModel((480, 640), 500, 510, 320, 240, 'equidistant', (0.0,) * 4),
    ],
)
def test_a_written_calibration_is_read_back(factory, header, on_the_wire, camera):
    message = on_the_wire(camera_info_message(factory, header, camera))
    assert message.header == header
    assert to_camera(message, rectified=False) == camera
    rectified = to_camera(message, rectified=True)
    assert (rectified.fx, rectified.cy, rectified.size_hw) == (camera.fx, camera.cy, (480, 640))
    np.testing.assert_array_equal(np.reshape(message.r, (3, 3)), np.eye(3))
    assert len(message.d) == (len(camera.distortion) or 5)


def test_a_copy_keeps_every_number(factory, header, on_the_wire):
    message = info(
        r=np.arange(9.0), binning_x=2, binning_y=3, x_offset=4, y_offset=6, height=100, width=200
    )
    message.roi.do_rectify = True
    copy = on_the_wire(copy_camera_info(factory, header, message))
    assert copy.header == header
    for name in ('height', 'width', 'distortion_model', 'binning_x', 'binning_y'):
        assert getattr(copy, name) == getattr(message, name)
    for name in ('x_offset', 'y_offset', 'height', 'width', 'do_rectify'):
        assert getattr(copy.roi, name) == getattr(message.roi, name)
    for name in ('d', 'k', 'r', 'p'):
        assert list(getattr(copy, name)) == list(getattr(message, name))


def test_an_uncalibrated_camera_is_copied(factory, header):
    copy = copy_camera_info(factory, header, info(k=[0.0] * 9, d=[], size_hw=(0, 0)))
    assert list(copy.k) == [0.0] * 9
