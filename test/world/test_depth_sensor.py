import numpy as np
import pytest

from robot_perception.core import MetricDepth
from robot_perception.world import render, sense_depth, world_camera

SIZE = (120, 160)


def sensed(meters, seed=0):
    depth = MetricDepth.from_meters(np.asarray(meters, np.float32))
    return sense_depth(depth, world_camera(depth.size_hw), np.random.default_rng(seed))


def test_a_wall_has_noise_and_blobs():
    measured = sensed(np.full(SIZE, 1.5))
    assert measured.dtype == np.uint16
    holes = np.mean(measured == 0)
    assert 0.015 < holes < 0.025, holes
    error = measured[measured > 0].astype(float) - 1500
    assert abs(error.mean()) < 0.2
    assert error.std() == pytest.approx(0.0015 * 1.5**2 * 1000, rel=0.1)


@pytest.mark.parametrize('meters', [np.nan, 0.2, 5.0])
def test_depth_out_of_range_is_a_hole(meters):
    assert not sensed(np.full(SIZE, meters)).any()


def test_occlusion_beside_a_near_edge_is_as_wide_as_the_disparity_difference():
    meters = np.full(SIZE, 2.0)
    meters[:, 100:] = 0.5
    measured = sensed(meters)
    width = world_camera(SIZE).fx * 0.05 * (1 / 0.5 - 1 / 2.0)
    hidden = np.mean(measured == 0, axis=0) > 0.9
    assert hidden.sum() == pytest.approx(width, abs=1.5)
    assert np.flatnonzero(hidden).max() == 99
    mirrored = sensed(meters[:, ::-1])
    assert np.sum(np.mean(mirrored == 0, axis=0) > 0.9) <= 1


def test_a_surface_at_a_grazing_angle_is_a_hole():
    camera = world_camera(SIZE)
    down = camera.rays()[..., 1].astype(float)
    with np.errstate(divide='ignore'):
        floor = np.where(down > 0, 0.3 / down, np.nan)
    measured = sensed(floor)
    flat = (down > 0) & (floor < 3.5) & (np.abs(down) / np.sqrt(1 + down**2) < 0.12)
    steep = (down > 0) & (np.abs(down) / np.sqrt(1 + down**2) > 0.25)
    assert np.mean(measured[flat] == 0) > 0.9
    assert np.mean(measured[steep] == 0) < 0.1


def test_holes_of_scenes_are_realistic():
    shares, errors = [], []
    for seed in range(6):
        frame = render(seed, SIZE)
        measured = sense_depth(frame.depth, frame.camera, np.random.default_rng(seed))
        known = measured > 0
        assert np.all(np.isfinite(frame.depth.meters[known]))
        shares.append(np.mean(~known))
        errors.append(np.abs(measured[known] / 1000 - frame.depth.meters[known]).max())
    assert 0.03 < np.mean(shares) < 0.30
    assert max(shares) < 0.6
    assert max(errors) < 0.15


def test_measurements_are_deterministic():
    meters = render(1, SIZE).depth.meters
    assert np.array_equal(sensed(meters, 7), sensed(meters, 7))
    assert not np.array_equal(sensed(meters, 7), sensed(meters, 8))
