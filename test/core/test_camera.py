"""Rays against OpenCV, closed forms and their own inverse."""

import tracemalloc

import cv2
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from reasons import raises

from robot_perception.core import CameraModel
from robot_perception.core.errors import CalibrationError

SIZE_HW = (480, 640)
PINHOLE = {'fx': 500.0, 'fy': 510.0, 'cx': 320.5, 'cy': 240.25}
LENSES = [
    ('none', ()),
    ('plumb_bob', (-0.28, 0.07, 0.001, -0.0005, 0.01)),
    ('plumb_bob', (0.12, -0.2, 0.0, 0.002)),
    ('rational_polynomial', (0.5, -0.3, 0.0005, -0.0003, 0.05, 0.8, -0.2, 0.02)),
    ('plumb_bob', (0.1, -0.05, 0.0007, 0.00006, 0.02, 0.05, -0.03, 0.01)),
    (
        'rational_polynomial',
        (0.1, -0.05, 0.0007, 0.0006, 0.02, 0.05, -0.03, 0.01, 0.003, -0.002, 0.004, 0.001),
    ),
    (
        'rational_polynomial',
        (0.1, -0.05, 7e-4, 6e-4, 0.02, 0.05, -0.03, 0.01, 3e-3, -2e-3, 4e-3, 1e-3, 0.03, -0.05),
    ),
    ('plumb_bob', (0.1, -0.05, *[0.0] * 10, -0.04, 0.02)),
    ('equidistant', (-0.02, 0.005, -0.003, 0.001)),
    ('fisheye', (0.1756, -0.0318, 0.0004, -0.0007)),
    ('kannala_brandt4', (-0.02, 0.005, -0.003, 0.001)),
]
# Wide lenses: focal length and coefficients; the corners are 60 to 84 degrees from the axis.
WIDE = [
    (200.0, 'plumb_bob', (-0.4, 0.15, 0.0, 0.0)),
    (200.0, 'plumb_bob', (-0.28, 0.07, 0.001, -0.0005, 0.01)),
    (200.0, 'rational_polynomial', (0.5, -0.3, 0.0005, -0.0003, 0.05, 0.8, -0.2, 0.02)),
    (200.0, 'rational_polynomial', (22.0, 10.0, 0.0, 0.0, 0.4, 22.0, 18.0, 2.5)),
    (300.0, 'equidistant', (-0.02, 0.005, -0.003, 0.001)),
]
# Lenses whose polynomial folds within the image.
FOLDING = [
    (300.0, (-0.5, 0.0, 0.0, 0.0)),
    (300.0, (-0.35, 0.12, 0.0, 0.0, -0.02)),
    (500.0, (-0.45, 0.25, 0.0, 0.0, -0.08)),
]


def camera_with(model, coefficients):
    return CameraModel(SIZE_HW, **PINHOLE, distortion_model=model, distortion=coefficients)


def pixel_grid():
    columns, rows = np.meshgrid(np.arange(640.0), np.arange(480.0))
    return np.stack([columns, rows], axis=-1)


@pytest.mark.parametrize(('model', 'coefficients'), LENSES)
def test_projection_agrees_with_opencv(model, coefficients):
    camera = camera_with(model, coefficients)
    random = np.random.default_rng(1)
    points = random.uniform((-1, -0.8, 0.5), (1, 0.8, 4), (2000, 3))
    matrix = np.array([[500.0, 0, 320.5], [0, 510.0, 240.25], [0, 0, 1]])
    if camera.distortion_model == 'equidistant':
        expected, _ = cv2.fisheye.projectPoints(
            points[:, None], np.zeros(3), np.zeros(3), matrix, np.array(coefficients)
        )
    else:
        expected, _ = cv2.projectPoints(
            points, np.zeros(3), np.zeros(3), matrix, np.array(coefficients)
        )
    assert np.abs(camera.project(points) - expected[:, 0]).max() < 1e-6


@pytest.mark.parametrize(('model', 'coefficients'), LENSES)
def test_rays_agree_with_opencv(model, coefficients):
    camera = camera_with(model, coefficients)
    pixels = pixel_grid()[::20, ::20].reshape(-1, 1, 2)
    matrix = np.array([[500.0, 0, 320.5], [0, 510.0, 240.25], [0, 0, 1]])
    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 1000, 1e-12)
    if camera.distortion_model == 'equidistant':
        expected = cv2.fisheye.undistortPoints(
            pixels, matrix, np.array(coefficients), criteria=stop
        )
    else:
        expected = cv2.undistortPoints(pixels, matrix, np.array(coefficients), criteria=stop)
    assert np.abs(camera.unproject(pixels) - expected).max() < 1e-6


@pytest.mark.parametrize(('model', 'coefficients'), LENSES)
def test_every_pixel_round_trips(model, coefficients):
    camera = camera_with(model, coefficients)
    pixels = pixel_grid()
    rays = camera.unproject(pixels)
    back = camera.project(np.dstack([rays, np.ones(SIZE_HW)]))
    assert np.abs(back - pixels).max() < 1e-3
    assert np.allclose(camera.rays(), rays, atol=1e-6)


@pytest.mark.parametrize(('focal', 'model', 'coefficients'), WIDE)
def test_every_pixel_of_a_wide_lens_round_trips(focal, model, coefficients):
    camera = CameraModel(SIZE_HW, focal, focal, 320.0, 240.0, model, coefficients)
    pixels = pixel_grid()
    rays = camera.unproject(pixels)
    assert np.degrees(np.arctan(np.linalg.norm(rays, axis=-1).max())) > 60
    back = camera.project(np.dstack([rays, np.ones(SIZE_HW)]))
    assert np.abs(back - pixels).max() < 1e-3


@pytest.mark.parametrize(('focal', 'coefficients'), FOLDING)
def test_pixels_beyond_the_fold_have_no_ray(focal, coefficients):
    """Other rays map to these pixels too, some from the other side of the axis."""
    k1, k2, _, _, k3 = (*coefficients, 0.0)[:5]
    radii = np.linspace(0, 3, 300_001)
    distorted = radii * (1 + k1 * radii**2 + k2 * radii**4 + k3 * radii**6)
    fold = np.flatnonzero(np.diff(distorted) < 0)[0]
    camera = CameraModel(SIZE_HW, focal, focal, 320.0, 240.0, 'plumb_bob', coefficients)
    pixels = pixel_grid()
    rays = camera.unproject(pixels)
    offset = (pixels - (320.0, 240.0)) / focal
    radius = np.linalg.norm(offset, axis=-1)
    known = np.isfinite(rays).all(axis=-1)
    assert 0.005 < (~known).mean() < 0.8
    inside = radius < distorted[fold] - 1e-4
    assert known[inside].all()
    assert not known[radius > distorted[fold] + 1e-4].any()
    expected = np.interp(radius[inside], distorted[: fold + 1], radii[: fold + 1])
    np.testing.assert_allclose(
        rays[inside] * radius[inside][:, None], offset[inside] * expected[:, None], atol=1e-6
    )


def test_pinhole_rays_are_the_closed_form():
    rays = camera_with('none', ()).rays()
    assert rays.shape == (480, 640, 2)
    assert rays[240, 320] == pytest.approx(((320 - 320.5) / 500, (240 - 240.25) / 510), abs=1e-7)


def test_rays_are_cached_and_read_only():
    camera = camera_with('none', ())
    assert camera.rays() is camera_with('none', ()).rays()
    with pytest.raises(ValueError, match='read-only'):
        camera.rays()[0, 0, 0] = 1


def test_a_pixel_outside_the_range_of_the_lens_has_no_ray():
    # r (1 - 0.5 r^2) has its largest value 0.544 at r = 0.816: nothing lies further out.
    camera = CameraModel((1, 3), 1.0, 1.0, 0.0, 0.0, 'plumb_bob', (-0.5, 0.0, 0.0, 0.0))
    rays = camera.unproject(np.array([[0.5, 0.0], [0.6, 0.0]]))
    assert rays[0, 0] * (1 - 0.5 * rays[0, 0] ** 2) == pytest.approx(0.5)
    assert rays[0, 0] < 0.816
    assert np.isnan(rays[1]).all()


def test_no_pixel_is_more_than_ten_times_as_far_away_as_its_depth():
    for camera in (
        CameraModel(SIZE_HW, 20.0, 20.0, 320.0, 240.0),
        CameraModel(SIZE_HW, 180.0, 180.0, 320.0, 240.0, 'equidistant', (0.0,) * 4),
    ):
        rays, exact = camera.rays(), camera.unproject(pixel_grid())
        length = np.sqrt((exact**2).sum(axis=-1) + 1)
        assert 0.1 < np.isnan(rays[..., 0]).mean() < 0.999
        np.testing.assert_array_equal(np.isnan(rays[..., 0]), ~(length <= 10))
        assert camera.has_invalid_rays()


def test_points_behind_the_camera_have_no_pixel():
    assert np.isnan(camera_with('none', ()).project(np.array([[0.0, 0.0, -1.0]]))).all()


@given(hfov=st.floats(10, 150), width=st.integers(2, 4000))
@settings(deadline=None)
def test_nominal_camera_has_the_field_of_view(hfov, width):
    camera = CameraModel.nominal((4, width), hfov)
    edges = camera.unproject(np.array([[-0.5, 1.5], [width - 0.5, 1.5]]))
    angle = np.degrees(np.arctan(edges[1, 0]) - np.arctan(edges[0, 0]))
    assert angle == pytest.approx(hfov, abs=1e-6)


@pytest.mark.parametrize(
    ('changes', 'reason'),
    [
        ({'fx': 0.0}, 'focal_length'),
        ({'fy': float('nan')}, 'focal_length'),
        ({'cx': float('inf')}, 'focal_length'),
        ({'size_hw': (0, 4)}, 'size'),
        ({'distortion_model': 'thin_prism'}, 'distortion_model'),
        ({'distortion_model': 'inverse_brown_conrady'}, 'distortion_model'),
        ({'distortion_model': 'plumb_bob', 'distortion': (1.0,)}, 'distortion_coefficients'),
        (
            {'distortion_model': 'equidistant', 'distortion': (0.0, 0.0, 0.0, float('nan'))},
            'distortion_coefficients',
        ),
    ],
)
def test_rejected_calibrations(changes, reason):
    with raises(CalibrationError, reason):
        CameraModel(**{'size_hw': (4, 4), **PINHOLE, **changes})


@pytest.mark.parametrize('hfov', [0.0, 180.0, -3.0, float('nan')])
def test_rejected_fields_of_view(hfov):
    with raises(CalibrationError, 'hfov'):
        CameraModel.nominal((4, 4), hfov)


def test_rays_of_a_large_image_need_little_more_memory_than_themselves():
    camera = CameraModel.nominal((3000, 4000), 70.0)
    tracemalloc.start()
    rays = camera.rays()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < rays.nbytes + 300e6
    corners = np.array([[0.0, 0.0], [3999.0, 2999.0], [1234.0, 2000.0]])
    found = rays[corners[:, 1].astype(int), corners[:, 0].astype(int)]
    np.testing.assert_allclose(found, camera.unproject(corners), rtol=1e-6)


def test_rays_of_a_part_are_those_of_the_whole(monkeypatch):
    """Also of a large image, of which no other rays are kept."""
    camera = CameraModel((37, 53), 22.0, 22.0, 26.0, 18.0, 'plumb_bob', (-0.5, 0.0, 0.0, 0.0))
    whole = camera.rays()
    assert np.isnan(whole).any()
    window = (slice(3, 30, 4), slice(1, None, 3))
    np.testing.assert_array_equal(camera.rays_in(window), whole[window])
    monkeypatch.setattr('robot_perception.core.camera._LARGE_IMAGE', 100)
    monkeypatch.setattr('robot_perception.core.camera._MAX_PIXELS_AT_ONCE', 40)
    np.testing.assert_array_equal(camera.rays_in(window), whole[window])
