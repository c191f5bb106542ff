"""Registration of depth, against synthetic scenes with ground truth for both cameras."""

import numpy as np
import pytest
from reasons import raises

pytest.importorskip('open3d')

from robot_perception.core import CameraModel, MetricDepth, Pose
from robot_perception.core.errors import ShapeError
from robot_perception.core.registration import register_depth
from robot_perception.world.raycast import RayCaster
from robot_perception.world.scene_spec import sample_scene
from robot_perception.world.sensor_image import cast_camera_rays
from robot_perception.world.view import rotation_about, View

DEPTH_CAMERA = CameraModel.nominal((240, 320), 75.0)
# Six centimeters apart and rotated by two degrees, as in an RGB-D camera.
APART = Pose(rotation_about(1, 0.03) @ rotation_about(0, -0.02), np.array([0.06, 0.01, 0.005]))
PLUMB_BOB = ('plumb_bob', (0.1, -0.2, 0.001, 0.002, 0.05))
CAMERAS = {
    'finer': CameraModel.nominal((480, 640), 62.0),
    'equal': CameraModel.nominal((240, 320), 62.0),
    'coarser': CameraModel.nominal((120, 160), 62.0),
    'distorted': CameraModel((360, 480), 420, 420, 240, 180, *PLUMB_BOB),
    # The polynomial of this lens folds points far outside back into the image.
    'folding': CameraModel((240, 320), 300, 300, 160, 120, 'plumb_bob', (-0.45, 0.12, 0, 0, 0)),
    'fisheye': CameraModel((240, 320), 160, 160, 160, 120, 'equidistant', (0.02, 0.01, 0, 0)),
}


def render_depth(caster, camera, pose):
    hits, _ = cast_camera_rays(caster, View(camera, pose))
    return MetricDepth.from_meters(hits.t_hit.reshape(camera.size_hw))


@pytest.fixture(scope='module', params=[3, 4])
def world(request):
    """Return a ray caster of a scene, and the pose of the depth camera in it."""
    scene = sample_scene(request.param)
    return RayCaster(scene.props, smooth=0), scene.trajectory.pose(0.0)


@pytest.mark.parametrize('name', CAMERAS)
@pytest.mark.parametrize('roll', [0.0, 0.6])
def test_registered_depth_is_what_the_other_camera_would_measure(world, name, roll):
    caster, pose = world
    camera = CAMERAS[name]
    apart = APART.compose(Pose(rotation_about(2, roll), np.zeros(3)))
    depth = render_depth(caster, DEPTH_CAMERA, pose)
    truth = render_depth(caster, camera, pose.compose(apart)).meters.astype(np.float64)
    found = register_depth(depth, DEPTH_CAMERA, camera, apart.inverse()).meters
    known = np.isfinite(found)
    error = np.abs(found / truth - 1)[known]
    assert np.median(error) < 1e-3
    # Errors remain at silhouettes, where a pixel covers two surfaces: more in a coarse image.
    assert np.mean(~(error < 0.02)) < (0.06 if name == 'coarser' else 0.035)
    # Surfaces visible to both cameras are registered, except at silhouettes.
    rays = camera.rays().astype(np.float64)
    points = np.concatenate([rays, np.ones((*camera.size_hw, 1))], axis=-1) * truth[..., None]
    there = apart.apply(points)
    column, row = np.moveaxis(np.nan_to_num(DEPTH_CAMERA.project(there), nan=-9), -1, 0)
    inside = (column > 1) & (column < 318) & (row > 1) & (row < 238)
    u, v = np.rint(column[inside]).astype(int), np.rint(row[inside]).astype(int)
    both = np.zeros(camera.size_hw, bool)
    both[inside] = np.abs(depth.meters[v, u] / there[inside][:, 2] - 1) < 0.01
    assert both.mean() > 0.4
    assert known[both].mean() > 0.93


def test_registration_to_the_same_camera_changes_little():
    caster, pose = _scene()
    depth = render_depth(caster, DEPTH_CAMERA, pose)
    again = register_depth(depth, DEPTH_CAMERA, DEPTH_CAMERA, Pose.identity())
    np.testing.assert_allclose(again.meters, depth.meters, rtol=0.02)
    assert np.nanmedian(np.abs(again.meters / depth.meters - 1)) < 5e-4


def _scene():
    scene = sample_scene(5)
    return RayCaster(scene.props, smooth=0), scene.trajectory.pose(0.0)


def test_the_nearer_surface_occludes_the_farther():
    """A plate at 1 m before a wall at 3 m, from 20 cm to the side."""
    meters = np.full(DEPTH_CAMERA.size_hw, 3.0, np.float32)
    meters[80:160, 100:220] = 1.0
    aside = Pose(np.eye(3), np.array([-0.2, 0.0, 0.0]))
    camera = CameraModel.nominal((480, 640), 75.0)
    found = register_depth(MetricDepth(meters), DEPTH_CAMERA, camera, aside).meters
    assert set(np.unique(np.round(found[np.isfinite(found)], 5)).tolist()) == {1.0, 3.0}
    # The plate is shifted by f x 0.2 m / 1 m, without holes.
    shift = camera.fx * 0.2
    left, right = 2 * 100 + 1 - shift, 2 * 219 - shift
    assert np.all(found[164:316, round(left) + 1 : round(right)] == 1.0)
    # Beside it is the area occluded from the depth camera, which stays unknown.
    shadow = found[200, round(right) + 3 : round(right + shift * 2 / 3) - 3]
    assert len(shadow) > 20
    assert np.isnan(shadow).all()


def test_holes_are_not_filled():
    meters = np.full(DEPTH_CAMERA.size_hw, 2.0, np.float32)
    meters[100:110, 150:165] = np.nan
    camera = CameraModel.nominal((480, 640), 75.0)
    found = register_depth(MetricDepth(meters), DEPTH_CAMERA, camera, Pose.identity()).meters
    unknown = np.isnan(found)
    assert unknown[202:218, 302:328].all()
    assert not unknown[20:196, 20:620].any()


def test_points_behind_the_camera_are_ignored():
    depth = MetricDepth(np.full(DEPTH_CAMERA.size_hw, 2.0, np.float32))
    behind = Pose(rotation_about(1, np.pi), np.zeros(3))
    found = register_depth(depth, DEPTH_CAMERA, DEPTH_CAMERA, behind)
    assert np.isnan(found.meters).all()


def test_unknown_depth_stays_unknown():
    depth = MetricDepth(np.full(DEPTH_CAMERA.size_hw, np.nan, np.float32))
    found = register_depth(depth, DEPTH_CAMERA, CAMERAS['finer'], APART)
    assert found.size_hw == (480, 640)
    assert np.isnan(found.meters).all()


def test_a_calibration_of_another_size_is_rejected():
    depth = MetricDepth(np.ones((10, 10), np.float32))
    with raises(ShapeError, 'size_mismatch'):
        register_depth(depth, DEPTH_CAMERA, DEPTH_CAMERA, Pose.identity())
