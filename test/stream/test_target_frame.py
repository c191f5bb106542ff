"""Where results go: against cubes and worlds whose places are known exactly."""

from dataclasses import replace
from types import SimpleNamespace

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

pytest.importorskip('open3d')

from robot_perception.core import (
    Box3D,
    CameraModel,
    Detections,
    Image,
    Masks,
    MetricDepth,
    Pose,
    Scene,
    SceneObject,
    StampedTransform,
    TransformBuffer,
)
from robot_perception.core.rotation import quaternion_to_matrix
from robot_perception.evaluation.box_overlap import box_iou
from robot_perception.pipeline import PerceptionConfig
from robot_perception.pipeline.config import FramesConfig
from robot_perception.pipeline.lifting import lift_objects
from robot_perception.stream import (
    InputStatus,
    OutputFrame,
    OUTPUTS,
    resolve_target_frame,
    TargetFrame,
)
from robot_perception.world.materials import Plain
from robot_perception.world.mesh import cuboid
from robot_perception.world.objects import Body, Prop
from robot_perception.world.raycast import RayCaster
from robot_perception.world.sensor_image import cast_camera_rays
from robot_perception.world.view import look_at, View

OPTICAL, MAP = 'camera_optical_frame', 'map'
STAMP_NS = 5 * 10**9
CAMERA = CameraModel.nominal((480, 640), 60.0)
MIDDLE = np.array([3.0, -2.0, 0.25])
SIDE = 0.5


class Plainly:
    """Messages that are nothing but their fields."""

    def __call__(self, type_name, /, **fields):
        return SimpleNamespace(**fields)

    def sequence(self, values):
        return values


def transform(parent, child, pose, stamp_ns=STAMP_NS):
    x, y, z, w = pose.quaternion_xyzw
    return StampedTransform(parent, child, stamp_ns, pose.vector, (x, y, z, w))


def make_transforms(world_from_camera):
    """A robot that carries the camera: map -> base_link moves, base_link -> camera does not."""
    buffer = TransformBuffer()
    mount = Pose(np.eye(3), np.array([0.1, 0.2, 0.7]))
    buffer.insert(transform('base_link', OPTICAL, mount), static=True)
    buffer.insert(transform(MAP, 'base_link', world_from_camera.compose(mount.inverse())))
    return buffer


def cube_from(pitch, azimuth, roll=0.0, distance=2.0):
    """A cube that stands on the floor, seen by a camera from around and above: scene and pose."""
    away = [np.cos(azimuth) * np.cos(pitch), np.sin(azimuth) * np.cos(pitch), np.sin(pitch)]
    pose = look_at(MIDDLE + distance * np.array(away), MIDDLE, roll)
    body = Body(cuboid((-SIDE / 2,) * 3, (SIDE / 2,) * 3), Plain(np.full(3, 0.5, np.float32)), 0.0)
    prop = Prop(body, Pose(np.eye(3), MIDDLE), 0)
    hits, _ = cast_camera_rays(RayCaster([prop], smooth=0), View(CAMERA, pose))
    meters = hits.t_hit.reshape(CAMERA.size_hw)
    return pose, MetricDepth.from_meters(meters)


def make_scene(depth, up):
    mask = np.isfinite(depth.meters)
    rows, columns = np.nonzero(mask)
    box = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], np.float32)
    one = np.ones(1, np.float32)
    found = Detections(box, one, np.zeros(1, np.int32), ('cube',))
    masks = Masks(mask[None], one)
    (position,) = lift_objects(found, masks, depth, CAMERA, None if up is None else np.array(up))
    position = replace(position, covariance_m2=position.points_covariance_m2)
    image = Image(np.zeros((*CAMERA.size_hw, 3), np.uint8), STAMP_NS, OPTICAL)
    objects = (SceneObject.from_detections(found, 0, position),)
    return Scene(image, CAMERA, depth=depth, detections=found, masks=masks, objects=objects)


def placed(depth, pose, **frames):
    config = FramesConfig(**frames)
    image = Image(np.zeros((*CAMERA.size_hw, 3), np.uint8), STAMP_NS, OPTICAL)
    target = resolve_target_frame(image, config, make_transforms(pose).lookup)
    scene = make_scene(depth, target.gravity_up)
    header = SimpleNamespace(stamp=SimpleNamespace(sec=5, nanosec=0), frame_id=OPTICAL)
    published = OutputFrame(
        factory=Plainly(), header=header, scene=scene, camera_info=None, timing=None,
        config=PerceptionConfig(), target=target,
    )  # fmt: skip
    return target, published


def message(published, topic):
    (output,) = (output for output in OUTPUTS if output.topic == topic)
    return output.make(published)


def read_box(published):
    (found,) = message(published, 'detections_3d').detections
    center, size = found.bbox.center, found.bbox.size
    where, turn = center.position, center.orientation
    return Box3D(
        (where.x, where.y, where.z), (size.x, size.y, size.z), (turn.x, turn.y, turn.z, turn.w)
    )


# Flatter, the top is hardly seen, and steeper the sides: a camera does not know them then.
PITCHES = st.floats(0.45, 1.0)
AZIMUTHS = st.floats(-np.pi, np.pi)


@settings(deadline=None, max_examples=40)
@given(pitch=PITCHES, azimuth=AZIMUTHS, roll=st.floats(-0.5, 0.5))
@pytest.mark.slow
def test_a_cube_has_its_size_and_place_in_the_map_at_any_pitch(pitch, azimuth, roll):
    pose, depth = cube_from(pitch, azimuth, roll)
    target, published = placed(depth, pose, target_frame=MAP, gravity_frame=MAP)
    assert (target.frame_id, target.status) == (MAP, InputStatus())
    box = read_box(published)
    np.testing.assert_allclose(quaternion_to_matrix(box.rotation_xyzw)[:, 2], [0, 0, 1], atol=1e-6)
    assert sorted(box.size_m) == pytest.approx([SIDE] * 3, rel=0.08)
    assert box_iou(box, Box3D(tuple(MIDDLE), (SIDE,) * 3)) > 0.9


@settings(deadline=None, max_examples=30)
@given(pitch=PITCHES, azimuth=AZIMUTHS)
@pytest.mark.slow
def test_a_box_along_the_cameras_axes_keeps_them_in_the_map(pitch, azimuth):
    """Without gravity the box is the camera's: the same box, in the frame of the map."""
    pose, depth = cube_from(pitch, azimuth)
    _, here = placed(depth, pose)
    _, there = placed(depth, pose, target_frame=MAP)
    mine, moved = read_box(here), read_box(there)
    assert moved.size_m == pytest.approx(mine.size_m)
    assert moved.center_m == pytest.approx(pose.apply(np.array(mine.center_m)).tolist())
    np.testing.assert_allclose(quaternion_to_matrix(moved.rotation_xyzw), pose.rotation, atol=1e-9)


@pytest.fixture(scope='module')
def published():
    pose, depth = cube_from(0.7, 0.4)
    return placed(depth, pose, target_frame=f'/{MAP}', gravity_frame=MAP)[1]


class TestOutputs:
    def test_outputs_in_the_target_frame_have_its_id_and_the_stamp_of_the_image(self, published):
        headers = [message(published, topic).header for topic in (
            'detections_3d', 'points/objects', 'points/background'
        )]  # fmt: skip
        headers += [marker.header for marker in message(published, 'markers').markers]
        for header in headers:
            assert (header.frame_id, header.stamp.sec, header.stamp.nanosec) == (MAP, 5, 0)

    def test_all_others_stay_in_the_frame_of_the_image(self, published):
        for topic in ('depth/image', 'points', 'detections', 'masks/instances', 'overlay'):
            assert message(published, topic).header is published.header

    def test_points_of_the_cube_lie_on_it(self, published):
        cloud = message(published, 'points/objects')
        points = np.frombuffer(np.asarray(cloud.data).tobytes(), np.float32)
        xyz = points.reshape(cloud.width, -1)[:, :3] - MIDDLE
        np.testing.assert_allclose(np.abs(xyz).max(axis=1), SIDE / 2, atol=1e-4)

    def test_the_covariance_turns_into_the_map(self, published):
        (found,) = message(published, 'detections_3d').detections
        covariance = np.asarray(found.results[0].pose.covariance).reshape(6, 6)[:3, :3]
        cloud = message(published, 'points/objects')
        points = np.frombuffer(np.asarray(cloud.data).tobytes(), np.float32)
        xyz = points.reshape(cloud.width, -1)[:, :3].astype(np.float64)
        np.testing.assert_allclose(covariance, np.cov(xyz.T, bias=True), atol=1.5e-3)

    def test_range_is_from_the_camera_wherever_the_origin_is(self, published):
        limits = replace(published.config.points, max_range_m=1.9)
        near = replace(published, config=replace(published.config, points=limits))
        assert (
            0 < message(near, 'points/objects').width < message(published, 'points/objects').width
        )


class TestMissing:
    IMAGE = Image(np.zeros((4, 4, 3), np.uint8), STAMP_NS, OPTICAL)
    POSE = look_at(np.array([1.0, 1.0, 1.0]), np.zeros(3), 0.0)

    def position(self, buffer=None, image=IMAGE, **frames):
        buffer = make_transforms(self.POSE) if buffer is None else buffer
        return resolve_target_frame(image, FramesConfig(**frames), buffer.lookup)

    def test_nothing_is_asked_when_nothing_is_wanted(self):
        def never(*_):
            raise AssertionError

        assert resolve_target_frame(self.IMAGE, FramesConfig(), never) == TargetFrame(OPTICAL)
        own = FramesConfig(target_frame=f'/{OPTICAL}')
        expected = TargetFrame(OPTICAL, status=InputStatus())
        assert resolve_target_frame(self.IMAGE, own, never) == expected

    def test_an_unknown_target_leaves_results_where_they_are(self):
        target = self.position(target_frame='odom', gravity_frame=MAP)
        assert (target.frame_id, target.target_from_optical) == (OPTICAL, None)
        assert target.gravity_up == pytest.approx(self.POSE.rotation[2])
        assert target.status.problem.startswith(
            f"3D results stay in {OPTICAL!r} instead of 'odom': frame 'odom': expected one of"
        )

    def test_unknown_gravity_leaves_boxes_as_they_are(self):
        target = self.position(target_frame=MAP, gravity_frame='imu')
        assert (target.frame_id, target.gravity_up) == (MAP, None)
        assert target.status.problem.startswith(
            "Boxes are aligned with the camera's axes instead of upright"
        )

    def test_the_stamp_of_the_image_counts(self):
        late = replace(self.IMAGE, stamp_ns=STAMP_NS + 10**9)
        target = self.position(image=late, target_frame=MAP)
        assert target.target_from_optical is None
        assert "'map' -> 'base_link'" in target.status.problem
        assert 'frames.tf_wait_s' in target.status.problem

    def test_unless_the_latest_is_asked_for(self):
        late = replace(self.IMAGE, stamp_ns=STAMP_NS + 10**9)
        target = self.position(image=late, target_frame=MAP, tf_policy='latest')
        np.testing.assert_allclose(target.target_from_optical.translation_m, [1, 1, 1], atol=1e-9)

    def test_an_image_without_a_frame_id_is_a_problem(self):
        bare = replace(self.IMAGE, frame_id='')
        target = self.position(image=bare, target_frame=MAP)
        assert (target.frame_id, target.target_from_optical) == ('', None)
        assert 'no frame_id' in target.status.problem
