"""Network and sensor depth joined: closed forms, outliers, holes, memory."""

import cv2
import numpy as np
import pytest

from robot_perception.core import MetricDepth, RelativeDepth
from robot_perception.models import build_depth_estimator, UploadedImage
from robot_perception.pipeline.fusion import DepthFusion
from robot_perception.world import render, sense_depth

SIZE = (120, 160)


def slope():
    """True metres of a tilted plane with a step on it."""
    metres = np.linspace(3, 1, SIZE[0], dtype=np.float32)[:, None] + np.zeros(SIZE, np.float32)
    metres[40:80, 60:100] = 0.8
    return metres


def with_holes(metres, share=0.3, seed=0):
    """Blobs without depth that cover a share of the picture, and where they are."""
    rng = np.random.default_rng(seed)
    holes = np.zeros(SIZE, bool)
    rows, columns = np.indices(SIZE)
    while holes.mean() < share:
        row, column, radius = rng.uniform(0, 120), rng.uniform(0, 160), rng.uniform(4, 14)
        holes |= (rows - row) ** 2 + (columns - column) ** 2 < radius**2
    return MetricDepth.from_meters(np.where(holes, np.nan, metres)), holes


@pytest.mark.parametrize('scale', [0.5, 1.0, 1.7])
def test_a_scale_is_found_and_the_holes_are_filled(scale):
    true = slope()
    sensor, holes = with_holes(true)
    depth, fit = DepthFusion().fuse(MetricDepth(true / np.float32(scale)), sensor)
    assert fit.scale == pytest.approx(scale, rel=1e-5)
    assert fit.shift == 0
    assert fit.residual < 1e-5
    assert fit.filled_share == pytest.approx(holes.mean())
    np.testing.assert_allclose(depth.meters, true, rtol=1e-4)


def test_scale_and_shift_of_relative_depth_are_found():
    true = slope()
    sensor, _ = with_holes(true)
    depth, fit = DepthFusion().fuse(RelativeDepth((1 / true - 0.1) / 0.02), sensor)
    assert fit.scale == pytest.approx(0.02, rel=1e-4)
    assert fit.shift == pytest.approx(0.1, rel=1e-3)
    np.testing.assert_allclose(depth.meters, true, rtol=1e-3)


@pytest.mark.parametrize('relative', [False, True])
def test_a_fifth_of_wrong_pixels_does_not_move_the_fit(relative):
    true = slope()
    rng = np.random.default_rng(1)
    metres = true.copy()
    metres[rng.random(SIZE) < 0.2] = 6.0
    predicted = RelativeDepth(1 / true) if relative else MetricDepth(true / np.float32(2))
    _, fit = DepthFusion().fuse(predicted, MetricDepth(metres))
    assert fit.scale == pytest.approx(1 if relative else 2, rel=5e-3)


def test_the_sensor_is_kept_where_it_knows():
    sensor, holes = with_holes(slope())
    noisy = MetricDepth(sensor.meters * np.float32(1.01))
    depth, _ = DepthFusion().fuse(MetricDepth(slope() * np.float32(3)), noisy)
    np.testing.assert_array_equal(depth.meters[~holes], noisy.meters[~holes])
    assert np.isfinite(depth.meters).all()


def test_what_differs_about_a_hole_is_carried_into_it():
    true = slope()
    sensor, holes = with_holes(true)
    # A network that is off by another factor on either side.
    bent = true * np.linspace(0.7, 1.4, SIZE[1], dtype=np.float32)
    depth, fit = DepthFusion().fuse(MetricDepth(bent), sensor)

    def error(metres):
        return np.mean(np.abs(metres - true)[holes] / true[holes])

    assert error(depth.meters) < 0.3 * error(bent * np.float32(fit.scale))
    assert fit.residual > 0.05


def test_the_fit_moves_slowly_and_is_forgotten_on_reset():
    true, fusion = slope(), DepthFusion()
    network = MetricDepth(true)
    fusion.fuse(network, MetricDepth(true))
    doubled = MetricDepth(true * np.float32(2))
    scales = [fusion.fuse(network, doubled)[1].scale for _ in range(20)]
    assert scales[0] == pytest.approx(2**0.3)
    assert np.all(np.diff(scales) > 0)
    assert scales[-1] == pytest.approx(2, rel=1e-3)
    fusion.reset()
    assert fusion.fuse(network, MetricDepth(true))[1].scale == pytest.approx(1)


def test_without_sensor_the_last_fit_goes_on():
    true, fusion = slope(), DepthFusion()
    network = MetricDepth(true)
    fusion.fuse(network, MetricDepth(true * np.float32(2)))
    for sensor in (None, MetricDepth(np.full(SIZE, np.nan, np.float32))):
        depth, fit = fusion.fuse(network, sensor)
        np.testing.assert_allclose(depth.meters, 2 * true, rtol=1e-5)
        assert fit.residual is None
        assert fit.filled_share == 1


def test_without_any_fit_what_is_known_is_given_alone():
    true = slope()
    few = np.full(SIZE, np.nan, np.float32)
    few[0, :50] = 1
    relative = RelativeDepth(1 / true)
    assert DepthFusion().fuse(relative, None) == (relative, None)
    nothing = MetricDepth(np.full(SIZE, np.nan, np.float32))
    assert DepthFusion().fuse(relative, nothing) == (relative, None)
    sensor = MetricDepth(few)
    assert DepthFusion().fuse(relative, sensor) == (sensor, None)


def test_a_network_that_tells_nothing_is_not_fitted():
    flat = RelativeDepth(np.ones(SIZE, np.float32))
    sensor, _ = with_holes(slope())
    assert DepthFusion().fuse(flat, sensor) == (sensor, None)
    upside_down = RelativeDepth(slope())
    assert DepthFusion().fuse(upside_down, sensor) == (sensor, None)


def test_a_third_of_holes_is_filled_twice_as_well_as_the_network_alone():
    """Scenes of the demo world, as its stereo camera measures them, with blobs cut out."""
    network = build_depth_estimator('demo')
    size_hw = (240, 320)
    alone, fused = [], []
    for seed in range(900_001, 900_009):
        frame = render(seed, size_hw)
        rng = np.random.default_rng(seed)
        metres = MetricDepth.from_millimeters(sense_depth(frame.depth, frame.camera, rng)).meters
        hole = np.zeros(size_hw, np.uint8)
        while hole.mean() < 0.3:
            middle, axes = rng.integers((0, 0), (320, 240)), rng.integers(5, 30, 2)
            cv2.ellipse(hole, middle.tolist(), axes.tolist(), rng.uniform(0, 180), 0, 360, 1, -1)
        sensor = MetricDepth(np.where(hole > 0, np.float32(np.nan), metres))
        predicted = network.estimate(UploadedImage(frame.image))
        joined, _ = DepthFusion().fuse(predicted, sensor)
        unknown = np.isnan(sensor.meters) & np.isfinite(frame.depth.meters)
        true = frame.depth.meters[unknown]
        for errors, depth in ((alone, predicted), (fused, joined)):
            errors.append(np.mean(np.abs(depth.meters[unknown] - true) / true))
    assert np.mean(fused) < 0.5 * np.mean(alone)
