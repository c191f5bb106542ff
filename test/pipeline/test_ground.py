"""The ground plane against closed forms and the exact floors of the demo world."""

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from robot_perception.core import (
    CameraModel,
    Image,
    LabeledPoints,
    MetricDepth,
    Plane,
    RelativeDepth,
)
from robot_perception.core.errors import InputError
from robot_perception.pipeline import PerceptionConfig, PerceptionPipeline
from robot_perception.pipeline.ground import find_ground
from robot_perception.world import render, sense_depth

SIZE_HW = (240, 320)
CAMERA = CameraModel.nominal(SIZE_HW, 70)


def up_direction(pitch_deg, roll_deg=0.0):
    """Return the up direction in the optical frame of a camera that is pitched down and rolled."""
    pitch, roll = np.radians([pitch_deg, roll_deg])
    x, y, z = 0.0, -np.cos(pitch), -np.sin(pitch)
    return np.array([np.cos(roll) * x - np.sin(roll) * y, np.sin(roll) * x + np.cos(roll) * y, z])


def floor(up, height_m, wall_m=5.0):
    """Return the depth of a floor in front of a wall."""
    rays = np.dstack([CAMERA.rays(), np.ones(SIZE_HW)]).astype(np.float64)
    falling = rays @ up
    with np.errstate(divide='ignore'):
        meters = np.where(falling < 0, height_m / -falling, np.inf)
    ahead = np.array([0.0, 0.0, 1.0]) - up[2] * up
    ahead /= np.linalg.norm(ahead)
    facing = rays @ ahead
    wall = np.where(facing > 0, wall_m / np.maximum(facing, 1e-9), np.inf)
    return np.minimum(meters, wall).astype(np.float32)


@given(
    pitch=st.floats(10, 50),
    roll=st.floats(-15, 15),
    height=st.floats(0.2, 2.0),
    known=st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_a_floor_in_front_of_a_wall(pitch, roll, height, known):
    up = up_direction(pitch, roll)
    depth = MetricDepth(floor(up, height))
    ground = find_ground(depth, CAMERA, up if known else None)
    # The lowest centimeters of the wall count as ground too.
    assert ground.distance_m == pytest.approx(height, rel=5e-3, abs=5e-3)
    assert np.dot(ground.normal, up) > np.cos(np.radians(1.0))
    assert ground.heights_m(up * 0.3) == pytest.approx(height + 0.3, rel=1e-2)


def test_a_table_is_not_the_ground_if_the_floor_is_visible_or_the_height_is_known():
    up = up_direction(30)
    lower, table = floor(up, 1.4), floor(up, 0.6)
    columns = np.arange(SIZE_HW[1]) > 80
    both = MetricDepth(np.where(columns, table, lower))
    assert find_ground(both, CAMERA).distance_m == pytest.approx(1.4, rel=5e-3)
    alone = MetricDepth(table)
    assert find_ground(alone, CAMERA).distance_m == pytest.approx(0.6, rel=5e-3)
    assert find_ground(alone, CAMERA, height_m=1.4) is None
    assert find_ground(both, CAMERA, height_m=0.6).distance_m == pytest.approx(0.6, rel=5e-3)


@pytest.mark.parametrize(
    'meters',
    [
        np.full(SIZE_HW, np.nan, np.float32),
        np.full(SIZE_HW, 2.0, np.float32),
        np.random.default_rng(0).uniform(1, 3, SIZE_HW).astype(np.float32),
    ],
    ids=['nothing', 'a wall', 'noise'],
)
@pytest.mark.parametrize('up', [None, up_direction(20)])
def test_no_ground(meters, up):
    assert find_ground(MetricDepth(meters), CAMERA, up) is None


def test_looking_straight_down_requires_the_gravity_direction():
    depth = MetricDepth(np.full(SIZE_HW, 0.8, np.float32))
    assert find_ground(depth, CAMERA) is None
    ground = find_ground(depth, CAMERA, np.array([0.0, 0.0, -1.0]))
    assert (ground.normal, ground.distance_m) == (
        pytest.approx((0, 0, -1), abs=1e-6),
        pytest.approx(0.8),
    )


def floors(count):
    frames = (render(seed, (480, 640)) for seed in range(900_400, 900_440))
    return [frame for frame in frames if frame.scene_type == 'floor'][:count]


@pytest.fixture(scope='module')
def rendered():
    return floors(4)


@pytest.mark.slow
@pytest.mark.parametrize('sensed', [False, True])
def test_floors_of_the_demo_world(rendered, sensed):
    for frame in rendered:
        depth = frame.depth
        if sensed:
            raw = sense_depth(depth, frame.camera, np.random.default_rng(1))
            depth = MetricDepth.from_millimeters(raw)
        height = frame.world_from_camera.translation_m[2]
        for up in (None, frame.world_from_camera.rotation[2]):
            ground = find_ground(depth, frame.camera, up)
            assert ground.distance_m == pytest.approx(height, rel=0.02)
            assert np.dot(ground.normal, frame.world_from_camera.rotation[2]) > np.cos(0.02)


@pytest.mark.slow
def test_removing_the_ground_keeps_the_points_above_it(rendered):
    frame = rendered[0]
    ground = find_ground(frame.depth, frame.camera)
    scene = PerceptionPipeline(PerceptionConfig.from_preset('stub')).process(
        frame.image, frame.camera
    )
    points = np.dstack([frame.camera.rays(), np.ones((480, 640), np.float32)])
    points = (points * frame.depth.meters[..., None]).astype(np.float32)
    known = np.isfinite(points[..., 2])
    background = LabeledPoints(
        points[known],
        scene.image.rgb[known],
        np.zeros(np.count_nonzero(known), np.uint32),
        frame.instances[known].astype(np.uint32),
    )
    kept = background.above(ground, 0.03)
    heights = frame.world_from_camera.apply(points[known].astype(np.float64))[:, 2]
    expected = background.instances[heights > 0.03]
    assert abs(len(kept) - len(expected)) < 0.01 * len(background)
    assert set(kept.instances) == set(expected)


class ScaledDepth:
    """A network whose depth is the true depth times a factor."""

    def __init__(self, meters, factor):
        self.meters, self.factor = meters, factor

    def estimate(self, _):
        return MetricDepth(self.meters * np.float32(self.factor))


def pipeline(network, height_m):
    config = PerceptionConfig.from_preset(
        'stub', {'depth.source': 'model', 'camera.height_m': height_m}
    )
    return PerceptionPipeline(config, depth=network)


@pytest.mark.parametrize('factor', [0.7, 1.0, 1.5])
def test_a_known_height_sets_the_scale(rendered, factor):
    frame = rendered[1]
    height = float(frame.world_from_camera.translation_m[2])
    network = ScaledDepth(frame.depth.meters, factor)
    scene = pipeline(network, height).process(frame.image, frame.camera)
    assert scene.depth_fit.scale == pytest.approx(1 / factor, rel=0.02)
    np.testing.assert_allclose(scene.depth.meters, frame.depth.meters, rtol=0.02)
    alone = pipeline(network, 0.0).process(frame.image, frame.camera)
    assert alone.depth_fit is None
    np.testing.assert_array_equal(alone.depth.meters, network.estimate(None).meters)


def test_the_scale_is_kept_while_the_ground_is_not_visible(rendered):
    frame = rendered[1]
    height = float(frame.world_from_camera.translation_m[2])
    network = ScaledDepth(frame.depth.meters, 0.8)
    one = pipeline(network, height)
    first = one.process(frame.image, frame.camera).depth_fit
    network.meters = np.full((480, 640), 2.0, np.float32)
    assert one.process(frame.image, frame.camera).depth_fit == first
    one.reset()
    unscaled = one.process(frame.image, frame.camera)
    assert unscaled.depth_fit is None
    assert unscaled.depth.meters[0, 0] == np.float32(1.6)


def test_a_known_height_does_not_make_relative_depth_metric():
    class Relative:
        def estimate(self, _):
            return RelativeDepth(np.ones(SIZE_HW, np.float32))

    image = Image(np.zeros((*SIZE_HW, 3), np.uint8))
    scene = pipeline(Relative(), 1.0).process(image, CAMERA)
    assert isinstance(scene.depth, RelativeDepth)
    assert scene.depth_fit is None


@pytest.mark.parametrize(
    ('normal', 'distance', 'message'),
    [
        ((0.0, 0.0, 2.0), 1.0, 'expected length 1, got 2.0'),
        ((0.0, 0.0, 1.0), float('nan'), 'expected finite numbers'),
    ],
)
def test_no_plane(normal, distance, message):
    with pytest.raises(InputError, match=message):
        Plane(normal, distance)
