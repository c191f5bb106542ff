from dataclasses import replace
import hashlib
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip('open3d')

from robot_perception.core import Pose
from robot_perception.world import render, SCENE_TYPES, sequence, world_camera
from robot_perception.world.ground_truth import build_detections, label_instances, oriented_box
from robot_perception.world.materials import Plain
from robot_perception.world.mesh import cuboid, sphere
from robot_perception.world.objects import Body, Prop
from robot_perception.world.raycast import NO_HIT, RayCaster
from robot_perception.world.scene_spec import sample_scene
from robot_perception.world.sensor_image import cast_camera_rays
from robot_perception.world.view import rotation_about, View

SIZE = (96, 128)
SEEDS = range(9)
HERE = Pose.identity()


@pytest.fixture(scope='module')
def frames():
    return [render(seed, SIZE) for seed in SEEDS]


def make_prop(mesh, pose=HERE, class_id=0):
    return Prop(Body(mesh, Plain(np.full(3, 0.5, np.float32)), 0.0), pose, class_id)


def at(x, y, z):
    return Pose(np.eye(3), np.array([x, y, z], np.float64))


def cast(props, size_hw=SIZE, pose=HERE):
    """Depth (H, W) and prop (H, W) of a camera at ``pose``."""
    hits, _ = cast_camera_rays(RayCaster(props, smooth=0), View(world_camera(size_hw), pose))
    return hits.t_hit.reshape(size_hw), hits.prop_ids.reshape(size_hw)


def lifted(frame):
    rays = frame.camera.rays().astype(np.float64)
    depth = frame.depth.meters.astype(np.float64)[..., None]
    return np.concatenate([rays * depth, depth], axis=-1)


def in_box(points, box):
    """Points (N, 3) in the axes of the box, whose center is the origin."""
    x, y, z, w = box.rotation_xyzw
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    rotation = np.eye(3) + 2 * w * skew + 2 * skew @ skew
    return (points - np.array(box.center_m)) @ rotation


def digest(frame):
    parts = (frame.image.rgb, frame.depth.meters, frame.instances, frame.detections.boxes_xyxy)
    return hashlib.sha256(b''.join(part.tobytes() for part in parts)).hexdigest()


def test_depth_of_a_sphere():
    camera = world_camera((97, 129))
    center, radius = np.array([0.1, -0.05, 1.2]), 0.2
    depth, prop = cast([make_prop(sphere(radius, 96), at(*center))], (97, 129))
    rays = np.dstack([camera.rays().astype(np.float64), np.ones((97, 129))])
    a, b = np.sum(rays * rays, axis=-1), rays @ center
    root = b * b - a * (center @ center - radius * radius)
    exact = (b - np.sqrt(np.maximum(root, 0))) / a
    inner = root > 0.02 * a * radius**2
    assert np.all(prop[inner] == 0)
    assert np.all(prop[root < 0] == NO_HIT)
    assert np.all(np.isinf(depth[root < 0]))
    # The polygons that approximate the circles lie up to r (1 - cos(pi / 48)) inside it.
    assert np.all(depth[inner] > exact[inner] - 1e-5)
    assert np.abs(depth - exact)[inner].max() < 4e-3
    assert depth[48, 64] == pytest.approx(exact[48, 64], abs=1e-3)


def test_depth_of_a_plane_is_along_the_axis_and_not_along_the_ray():
    depth, _ = cast([make_prop(cuboid((-9, -9, 2), (9, 9, 3)))])
    assert depth == pytest.approx(np.full(SIZE, 2.0), abs=1e-5)


def test_depth_of_a_tilted_plane():
    camera = world_camera(SIZE)
    tilt = rotation_about(1, 0.5)
    depth, _ = cast([make_prop(cuboid((-9, -9, 0), (9, 9, 1)), Pose(tilt, np.array([0, 0, 2.0])))])
    rays = np.dstack([camera.rays().astype(np.float64), np.ones(SIZE)])
    normal = tilt[:, 2]
    assert depth == pytest.approx(2 * normal[2] / (rays @ normal), rel=1e-5)


def test_faces_of_a_box_fill_the_pixels_they_project_to():
    camera = world_camera(SIZE)
    depth, prop = cast([make_prop(cuboid((-0.2, -0.1, 1.0), (0.3, 0.2, 1.5)))])
    corners = camera.project(np.array([[-0.2, -0.1, 1.0], [0.3, 0.2, 1.0]]))
    rows, columns = np.nonzero(prop == 0)
    assert columns.min() == np.ceil(corners[0, 0])
    assert columns.max() == np.floor(corners[1, 0])
    assert rows.min() == np.ceil(corners[0, 1])
    assert rows.max() == np.floor(corners[1, 1])
    assert depth[prop == 0] == pytest.approx(1.0, abs=1e-5)


def test_no_point_is_below_the_floor(frames):
    for frame in frames:
        known = np.isfinite(frame.depth.meters)
        world = frame.world_from_camera.apply(lifted(frame)[known])
        assert world[:, 2].min() > -1e-3
        # The camera is close to the scene.
        assert 0.2 < np.min(frame.depth.meters[known]) < 3


def test_masks_boxes_and_ids_agree(frames):
    for frame in frames:
        found = frame.detections
        assert set(np.unique(frame.instances)) - {0} == set(range(1, len(found) + 1))
        for index, mask in enumerate(frame.masks().pixels):
            rows, columns = np.nonzero(mask)
            expected = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert found.boxes_xyxy[index].tolist() == expected
        assert np.all(np.isfinite(frame.depth.meters[frame.instances > 0]))


def test_3d_boxes_enclose_their_objects_tightly(frames):
    for frame in frames:
        points = lifted(frame)
        for index, box in enumerate(frame.boxes_3d):
            inside = np.abs(in_box(points[frame.instances == index + 1], box))
            slack = np.array(box.size_m) / 2 - inside
            assert slack.min() > -2e-4, (frame.detections.class_names[index], slack.min())
            if frame.detections.scores[index] > 0.95:
                assert slack.min() < 6e-3, (frame.detections.class_names[index], slack.min())


def test_object_positions_match_their_surface(frames):
    frame = frames[0]
    for item in frame.objects():
        points = lifted(frame)[frame.instances == item.index + 1]
        assert item.position.centroid_m == pytest.approx(points.mean(axis=0))
        assert item.depth_m == pytest.approx(np.median(points[:, 2]))
        spread = np.cov(points.T, bias=True)
        assert item.position.points_covariance_m2 == pytest.approx(spread, abs=1e-9)


def test_objects_are_static_while_the_camera_moves():
    places, eyes, stamps = {}, [], []
    for frame in sequence(3, 24, (48, 64)):
        eyes.append(frame.world_from_camera.translation_m)
        stamps.append(frame.image.stamp_ns)
        for track, box in zip(frame.detections.track_ids.tolist(), frame.boxes_3d, strict=True):
            place = frame.world_from_camera.apply(np.array(box.center_m))
            before = places.setdefault(track, (place, box.size_m))
            assert place == pytest.approx(before[0], abs=1e-9)
            assert box.size_m == before[1]
    steps = np.linalg.norm(np.diff(eyes, axis=0), axis=1)
    assert np.all((steps > 1e-4) & (steps < 0.05))
    assert np.abs(np.diff(steps)).max() < 0.005
    assert np.diff(stamps).tolist() == pytest.approx([1e9 / 30] * 23, abs=1)


def test_scenery_is_static():
    first, *_, last = sequence(1, 10, (48, 64))
    for frame, other in ((first, last), (last, first)):
        world = frame.world_from_camera.apply(lifted(frame)[frame.instances == 0])
        world = world[np.isfinite(world).all(axis=1)]
        local = other.world_from_camera.inverse().apply(world)
        pixels = np.rint(other.camera.project(local))
        inside = np.all((pixels >= 1) & (pixels < (63, 47)), axis=1)
        column, row = pixels[inside].astype(int).T
        there = other.depth.meters[row, column]
        assert np.median(np.abs(there - local[inside, 2])) < 0.01


@pytest.mark.slow
def test_same_seed_same_bytes(frames):
    assert digest(render(0, SIZE)) == digest(frames[0])
    code = (
        'import sys; sys.path.insert(0, sys.argv[1]); from test_render import digest, render; '
        'print(digest(render(0, (96, 128))), digest(render(5, (96, 128))))'
    )
    folder = __file__.rpartition('/')[0]
    for threads in ('1', '2'):
        done = subprocess.run(
            [sys.executable, '-c', code, folder],
            check=True,
            capture_output=True,
            text=True,
            env={**__import__('os').environ, 'OMP_NUM_THREADS': threads},
        )
        assert done.stdout.split() == [digest(frames[0]), digest(frames[5])]


def test_seeds_and_frames_differ(frames):
    assert len({digest(frame) for frame in frames}) == len(frames)
    first, second = sequence(4, 2, (48, 64))
    assert digest(first) != digest(second)
    assert digest(first) == digest(render(4, (48, 64)))


def test_the_same_scene_at_another_size():
    small, large = render(2, (48, 64)), render(2, (96, 128))
    assert small.scene_type == large.scene_type
    tracks = large.detections.track_ids.tolist()
    for track, box in zip(small.detections.track_ids.tolist(), small.boxes_3d, strict=True):
        assert box == large.boxes_3d[tracks.index(track)]


@pytest.mark.slow
def test_every_scene_type_occurs():
    drawn = [sample_scene(seed).scene_type for seed in range(60)]
    assert set(drawn) == set(SCENE_TYPES)
    assert min(map(drawn.count, SCENE_TYPES)) >= 10


def test_objects_do_not_intersect():
    for seed in range(20):
        scene = sample_scene(seed)
        objects = scene.props[: scene.object_count]
        for index, prop in enumerate(objects):
            inner = prop.pose.apply((prop.body.mesh.low_m + prop.body.mesh.high_m) / 2)
            for other in objects[:index]:
                box = oriented_box(other, HERE)
                away = np.abs(in_box(inner[None], box)) - np.array(box.size_m) / 2
                assert away.max() > -1e-6, seed


def visible_fractions(props):
    """Return the visible fraction of each prop for a camera at the origin."""
    scene = replace(sample_scene(0), props=tuple(props), object_count=len(props))
    view = View(world_camera(SIZE), HERE)
    hits, _ = cast_camera_rays(RayCaster(props, smooth=0), view)
    instances, visible = label_instances(scene, hits.prop_ids, SIZE)
    alone = tuple(RayCaster([prop], smooth=0) for prop in props)
    found = build_detections(scene, alone, view, instances, visible)
    return dict(zip((found.track_ids - 1).tolist(), found.scores.tolist(), strict=True))


def test_visible_fraction():
    target = make_prop(cuboid((-0.2, -0.2, 2.0), (0.2, 0.2, 2.1)))
    half = make_prop(cuboid((0.0, -0.5, 1.0), (0.5, 0.5, 1.1)))
    whole = make_prop(cuboid((-0.4, -0.4, 1.0), (0.4, 0.4, 1.1)))
    assert visible_fractions([target]) == {0: 1.0}
    assert visible_fractions([target, half])[0] == pytest.approx(0.5, abs=0.03)
    assert visible_fractions([target, whole]) == {1: 1.0}


def test_parts_outside_the_image_count_as_hidden():
    camera = world_camera(SIZE)
    edge = float(camera.unproject(np.array([-0.5, 0.0]))[0]) * 1.5
    cut = make_prop(cuboid((edge - 0.2, -0.1, 1.5), (edge + 0.2, 0.1, 1.51)))
    assert visible_fractions([cut])[0] == pytest.approx(0.5, abs=0.05)


def test_images_are_well_exposed(frames):
    for frame in frames:
        assert 30 < frame.image.rgb.mean() < 225
        assert frame.image.rgb.std() > 12
        assert np.mean(frame.image.rgb == 255) < 0.25


def test_every_scene_has_shadows():
    """Some pixels are in the shadow of the lamp, others are not."""
    from robot_perception.world.light_visibility import estimate_visibility

    for seed in range(4):
        scene = sample_scene(seed)
        caster = RayCaster(scene.props, smooth=scene.object_count)
        hits, _ = cast_camera_rays(caster, View(world_camera(SIZE), scene.trajectory.pose(0)))
        lamp = estimate_visibility(scene, caster, hits, SIZE).visibility.lamp
        assert np.mean(lamp < 0.25) > 0.01
        assert np.mean(lamp > 0.75) > 0.2
