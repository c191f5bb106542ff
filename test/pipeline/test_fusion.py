"""Fusion of network and sensor depth: closed forms, outliers, holes, averaging over frames."""

import cv2
import numpy as np
import pytest

from robot_perception.core import MetricDepth, RelativeDepth
from robot_perception.models import build_depth_estimator, UploadedImage
from robot_perception.pipeline.fusion import DepthFusion
from robot_perception.world import render, sense_depth

SIZE = (120, 160)


def slope():
    """Return the true depth of a tilted plane with a step on it."""
    meters = np.linspace(3, 1, SIZE[0], dtype=np.float32)[:, None] + np.zeros(SIZE, np.float32)
    meters[40:80, 60:100] = 0.8
    return meters


def with_holes(meters, share=0.3, seed=0):
    """Return depth with round holes that cover a share of the image, and the mask of the holes."""
    rng = np.random.default_rng(seed)
    holes = np.zeros(SIZE, bool)
    rows, columns = np.indices(SIZE)
    while holes.mean() < share:
        row, column, radius = rng.uniform(0, 120), rng.uniform(0, 160), rng.uniform(4, 14)
        holes |= (rows - row) ** 2 + (columns - column) ** 2 < radius**2
    return MetricDepth.from_meters(np.where(holes, np.nan, meters)), holes


@pytest.mark.parametrize('scale', [0.5, 1.0, 1.7])
def test_the_scale_is_estimated_and_the_holes_are_filled(scale):
    true = slope()
    sensor, holes = with_holes(true)
    depth, fit = DepthFusion().fuse(MetricDepth(true / np.float32(scale)), sensor)
    assert fit.scale == pytest.approx(scale, rel=1e-5)
    assert fit.shift == 0
    assert fit.residual < 1e-5
    assert fit.filled_share == pytest.approx(holes.mean())
    np.testing.assert_allclose(depth.meters, true, rtol=1e-4)


def test_scale_and_shift_of_relative_depth_are_estimated():
    true = slope()
    sensor, _ = with_holes(true)
    depth, fit = DepthFusion().fuse(RelativeDepth((1 / true - 0.1) / 0.02), sensor)
    assert fit.scale == pytest.approx(0.02, rel=1e-4)
    assert fit.shift == pytest.approx(0.1, rel=1e-3)
    np.testing.assert_allclose(depth.meters, true, rtol=1e-3)


@pytest.mark.parametrize('relative', [False, True])
def test_a_fifth_of_outliers_does_not_move_the_fit(relative):
    true = slope()
    rng = np.random.default_rng(1)
    meters = true.copy()
    meters[rng.random(SIZE) < 0.2] = 6.0
    predicted = RelativeDepth(1 / true) if relative else MetricDepth(true / np.float32(2))
    _, fit = DepthFusion().fuse(predicted, MetricDepth(meters))
    assert fit.scale == pytest.approx(1 if relative else 2, rel=5e-3)


@pytest.mark.parametrize('relative', [False, True])
def test_outliers_have_no_weight_at_all(relative):
    """A quarter of the pixels is 40 % too far, beside noise of 2 %: Huber alone is 1 % off."""
    true = slope()
    rng = np.random.default_rng(1)
    meters = true * rng.normal(1, 0.02, SIZE).astype(np.float32)
    meters[rng.random(SIZE) < 0.25] *= np.float32(1.4)
    predicted = RelativeDepth(1 / true) if relative else MetricDepth(true)
    _, fit = DepthFusion().fuse(predicted, MetricDepth(meters))
    assert fit.scale == pytest.approx(1, abs=3e-3)


def test_known_sensor_depth_is_kept():
    sensor, holes = with_holes(slope())
    noisy = MetricDepth(sensor.meters * np.float32(1.01))
    depth, _ = DepthFusion().fuse(MetricDepth(slope() * np.float32(3)), noisy)
    np.testing.assert_array_equal(depth.meters[~holes], noisy.meters[~holes])
    assert np.isfinite(depth.meters).all()


def test_the_ratio_around_a_hole_is_interpolated_into_it():
    true = slope()
    sensor, holes = with_holes(true)
    # The scale of the network varies over the image.
    distorted = true * np.linspace(0.7, 1.4, SIZE[1], dtype=np.float32)
    depth, fit = DepthFusion().fuse(MetricDepth(distorted), sensor)

    def error(meters):
        return np.mean(np.abs(meters - true)[holes] / true[holes])

    assert error(depth.meters) < 0.3 * error(distorted * np.float32(fit.scale))
    assert fit.residual > 0.05


def test_the_fit_is_averaged_over_frames_until_reset():
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


def test_without_sensor_depth_the_last_fit_is_kept():
    true, fusion = slope(), DepthFusion()
    network = MetricDepth(true)
    fusion.fuse(network, MetricDepth(true * np.float32(2)))
    for sensor in (None, MetricDepth(np.full(SIZE, np.nan, np.float32))):
        depth, fit = fusion.fuse(network, sensor)
        np.testing.assert_allclose(depth.meters, 2 * true, rtol=1e-5)
        assert fit.residual is None
        assert fit.filled_share == 1


def test_without_any_fit_the_known_depth_is_returned_alone():
    true = slope()
    few = np.full(SIZE, np.nan, np.float32)
    few[0, :50] = 1
    relative = RelativeDepth(1 / true)
    assert DepthFusion().fuse(relative, None) == (relative, None)
    unknown = MetricDepth(np.full(SIZE, np.nan, np.float32))
    assert DepthFusion().fuse(relative, unknown) == (relative, None)
    sensor = MetricDepth(few)
    assert DepthFusion().fuse(relative, sensor) == (sensor, None)


def test_constant_or_inverted_network_depth_is_not_fitted():
    flat = RelativeDepth(np.ones(SIZE, np.float32))
    sensor, _ = with_holes(slope())
    assert DepthFusion().fuse(flat, sensor) == (sensor, None)
    inverted = RelativeDepth(slope())
    assert DepthFusion().fuse(inverted, sensor) == (sensor, None)


@pytest.mark.slow
def test_holes_are_filled_with_half_the_error_of_the_network_alone():
    """Scenes of the demo world, as its stereo camera measures them, a third of them cut out."""
    network = build_depth_estimator('demo')
    size_hw = (240, 320)
    alone, fused = [], []
    for seed in range(900_001, 900_009):
        frame = render(seed, size_hw)
        rng = np.random.default_rng(seed)
        meters = MetricDepth.from_millimeters(sense_depth(frame.depth, frame.camera, rng)).meters
        hole = np.zeros(size_hw, np.uint8)
        while hole.mean() < 0.3:
            center, axes = rng.integers((0, 0), (320, 240)), rng.integers(5, 30, 2)
            cv2.ellipse(hole, center.tolist(), axes.tolist(), rng.uniform(0, 180), 0, 360, 1, -1)
        sensor = MetricDepth(np.where(hole > 0, np.float32(np.nan), meters))
        predicted = network.estimate(UploadedImage(frame.image))
        merged, _ = DepthFusion().fuse(predicted, sensor)
        unknown = np.isnan(sensor.meters) & np.isfinite(frame.depth.meters)
        true = frame.depth.meters[unknown]
        for errors, depth in ((alone, predicted), (fused, merged)):
            errors.append(np.mean(np.abs(depth.meters[unknown] - true) / true))
    assert np.mean(fused) < 0.5 * np.mean(alone)
