"""What Rerun gets of a scene, read back from the file with Rerun's own reader."""

from dataclasses import replace
import io
import itertools

import numpy as np
from PIL import Image as PillowImage
import pytest
from reasons import raises
from scenes import example_scene
from scipy.stats import chi2

pytest.importorskip('rerun')
chunks = pytest.importorskip('rerun.chunk')

from robot_perception.core import CameraModel, ObjectPosition, quaternion_to_matrix, Scene
from robot_perception.core.colors import class_color, object_color
from robot_perception.core.errors import OutputError
from robot_perception.viewer.labels import format_labels
from robot_perception.viewer.rerun_scene import MAX_POINTS, scene_to_entities
from robot_perception.viewer.rerun_targets import save_recording

TURNED = (0.5, 0.5, -0.5, 0.5)


def full_scene(**changes):
    """A scene whose first object lies in a turned box."""
    scene = example_scene(0)
    first = scene.objects[0]
    box = replace(first.position.box, rotation_xyzw=TURNED)
    position = ObjectPosition(
        first.position.depth_m, first.position.centroid_m, first.position.points_covariance_m2, box
    )
    changed = (replace(first, position=position), *scene.objects[1:])
    return replace(scene, objects=changed, **changes)


class File:
    """Rows of an .rrd file: entity -> frame -> component -> value."""

    def __init__(self, path):
        self.rows, self.static, self.stamps = {}, {}, {}
        for chunk in chunks.RrdReader(path).stream():
            batch = chunk.to_record_batch()
            for row in range(batch.num_rows):
                values = {
                    name: batch.column(name)[row].as_py()
                    for name in batch.schema.names
                    if ':' in name and batch.column(name)[row].is_valid
                }
                if chunk.is_static:
                    self.static.setdefault(chunk.entity_path, {}).update(values)
                    continue
                frame = batch.column('frame')[row].as_py()
                self.rows.setdefault(chunk.entity_path, {}).setdefault(frame, {}).update(values)
                if 'stamp' in chunk.timeline_names:
                    self.stamps[frame] = batch.column('stamp')[row].value

    def __call__(self, entity, component, frame=0):
        return self.rows[entity][frame][component]


@pytest.fixture
def written(tmp_path):
    """Write scenes to a file and read it."""

    def write(*scenes):
        path = tmp_path / 'scenes.rrd'
        with save_recording(path) as add:
            for frame, scene in enumerate(scenes):
                add(scene, frame)
        assert list(tmp_path.iterdir()) == [path]
        return File(path)

    return write


def pixels(file, entity, frame=0, dtype=np.uint16, size_hw=(48, 64)):
    component = 'DepthImage:buffer' if dtype == np.float32 else 'SegmentationImage:buffer'
    (buffer,) = file(entity, component, frame)
    return np.array(buffer, np.uint8).view(dtype).reshape(size_hw)


def test_the_file_holds_the_values_of_the_scene(written):
    scene = full_scene()
    file = written(scene)
    depth = pixels(file, '/camera/depth', dtype=np.float32)
    np.testing.assert_array_equal(depth, scene.depth.meters)
    assert file('/camera/depth', 'DepthImage:meter') == [1.0]
    np.testing.assert_array_equal(pixels(file, '/camera/instances'), scene.masks.instance_map())
    classes, _ = scene.labels()
    np.testing.assert_array_equal(pixels(file, '/camera/classes'), classes)
    cloud, colors = scene.cloud().known()
    np.testing.assert_array_equal(file('/points', 'Points3D:positions'), cloud)
    packed = np.array(file('/points', 'Points3D:colors'), '>u4').view(np.uint8).reshape(-1, 4)
    np.testing.assert_array_equal(packed[:, :3], colors)


def test_pictures_come_as_jpeg_of_the_same_pixels(written):
    scene = example_scene(0)
    # JPEG keeps what changes slowly.
    ramp = np.broadcast_to(np.arange(64, dtype=np.uint8)[None, :, None] * 3, (48, 64, 3)).copy()
    file = written(replace(scene, image=replace(scene.image, rgb=ramp)))
    (blob,) = file('/camera/image', 'EncodedImage:blob')
    with PillowImage.open(io.BytesIO(bytes(blob))) as picture:
        assert np.abs(np.asarray(picture).astype(int) - ramp).max() < 6


def test_boxes_are_those_of_the_objects(written):
    scene = full_scene()
    file = written(scene)
    boxes = scene.detections.boxes_xyxy
    centers = np.array(file('/camera/boxes', 'Boxes2D:centers'))
    halves = np.array(file('/camera/boxes', 'Boxes2D:half_sizes'))
    np.testing.assert_allclose(np.hstack([centers - halves, centers + halves]), boxes, atol=1e-4)
    assert file('/camera/boxes', 'Boxes2D:class_ids') == (scene.detections.class_ids + 1).tolist()
    labels = file('/camera/boxes', 'Boxes2D:labels')
    assert [label.split()[0] for label in labels] == list(scene.detections.class_names)

    placed = [item for item in scene.objects if item.position is not None]
    assert 0 < len(placed) < len(scene.objects)
    expected = [item.position.box for item in placed]
    for component, values in (
        ('centers', [box.center_m for box in expected]),
        ('half_sizes', [np.array(box.size_m) / 2 for box in expected]),
        ('quaternions', [box.rotation_xyzw for box in expected]),
    ):
        got = file('/boxes_3d', f'Boxes3D:{component}')
        np.testing.assert_allclose(got, np.array(values), rtol=1e-6)
    colors = np.array(file('/boxes_3d', 'Boxes3D:colors'), '>u4').view(np.uint8).reshape(-1, 4)
    assert [tuple(row[:3]) for row in colors.tolist()] == [object_color(item) for item in placed]


def test_names_are_below_their_boxes(written):
    """No corner of a box is lower than its name; y is down."""
    scene = full_scene()
    placed = [item for item in scene.objects if item.position is not None]
    file = written(scene)
    assert file('/boxes_3d', 'Boxes3D:show_labels') == [False]
    labels = file('/boxes_3d/names', 'Points3D:labels')
    assert labels == [format_labels(item)[1] for item in placed]
    signs = np.array(list(itertools.product((-0.5, 0.5), repeat=3)))
    points = file('/boxes_3d/names', 'Points3D:positions')
    for item, (x, y, z) in zip(placed, points, strict=True):
        box = item.position.box
        corners = signs * box.size_m @ quaternion_to_matrix(box.rotation_xyzw).T + box.center_m
        assert y == pytest.approx(corners[:, 1].max(), rel=1e-6)
        assert (x, z) == pytest.approx(np.array(box.center_m)[[0, 2]], rel=1e-6)


def test_ellipsoids_hold_95_percent_of_calibrated_objects(written):
    """The half axes of each are those of the covariance it was made from."""
    rotation = quaternion_to_matrix(TURNED) @ quaternion_to_matrix((0.1, 0.2, 0.3, 0.9))
    covariance = rotation @ np.diag([0.04, 0.0001, 0.01]) @ rotation.T
    scene = full_scene()
    objects = tuple(
        item
        if item.position is None
        else replace(
            item,
            position=replace(
                item.position, covariance_m2=covariance, covariance_calibrated=item.index == 1
            ),
        )
        for item in scene.objects
    )
    file = written(replace(scene, objects=objects))
    (center,) = file('/uncertainty', 'Ellipsoids3D:centers')
    np.testing.assert_allclose(center, objects[1].position.centroid_m, rtol=1e-6)
    (half_axes,) = file('/uncertainty', 'Ellipsoids3D:half_sizes')
    (quaternion,) = file('/uncertainty', 'Ellipsoids3D:quaternions')
    turn = quaternion_to_matrix(quaternion)
    rebuilt = turn @ np.diag(np.square(half_axes)) @ turn.T / chi2.ppf(0.95, 3)
    np.testing.assert_allclose(rebuilt, covariance, atol=1e-7)


def test_a_point_projects_through_the_pinhole_onto_its_pixel(written):
    """Rerun's pixels begin at a corner: the center of pixel (u, v) is (u + 0.5, v + 0.5)."""
    camera = CameraModel((48, 64), 70.0, 80.0, 30.0, 25.0)
    scene = full_scene(camera=camera)
    file = written(scene)
    (columns,) = file('/camera', 'Pinhole:image_from_camera')
    matrix = np.array(columns).reshape(3, 3).T
    rows, cols = np.nonzero(np.isfinite(scene.depth.meters))
    points = np.array(file('/points', 'Points3D:positions'))
    projected = points @ matrix.T
    pixel = projected[:, :2] / projected[:, 2:]
    np.testing.assert_allclose(pixel, np.stack([cols, rows], axis=1) + 0.5, atol=1e-3)
    assert file('/camera', 'Pinhole:resolution') == [[64.0, 48.0]]


def test_times_are_milliseconds_of_each_stage(written):
    scene = full_scene()
    file = written(scene)
    for stage, seconds in scene.timing_s.items():
        assert file(f'/timing_ms/{stage}', 'Scalars:scalars') == [pytest.approx(seconds * 1e3)]


def test_frames_and_stamps_are_the_timelines(written):
    first, second = example_scene(0), example_scene(1)
    second = replace(second, image=replace(second.image, stamp_ns=1_700_000_001_000_000_001))
    unstamped = replace(first, image=replace(first.image, stamp_ns=0))
    file = written(first, second, unstamped)
    assert file.stamps == {0: 1_700_000_000_123_456_789, 1: 1_700_000_001_000_000_001}
    assert set(file.rows['/camera/image']) == {0, 1, 2}


def test_a_result_never_stays_beside_another_frames_picture(written):
    bare = Scene(image=example_scene(1).image)
    file = written(full_scene(), bare, full_scene())
    gone = set(file.rows) - {'/camera/image'}
    assert {'/camera', '/camera/boxes', '/camera/depth', '/points', '/boxes_3d'} <= gone
    for entity in gone:
        assert file(entity, 'Clear:is_recursive', 1) == [False]
        assert 'Clear:is_recursive' not in file.rows[entity][2]


def test_nothing_found_is_shown_as_nothing(written):
    file = written(full_scene(), example_scene(0, count=0))
    assert file('/camera/boxes', 'Boxes2D:centers', 1) == []
    assert file('/boxes_3d', 'Boxes3D:centers', 1) == []
    assert not pixels(file, '/camera/instances', 1).any()
    assert len(file('/points', 'Points3D:positions', 1)) > 0


def test_relative_depth_is_a_picture_and_no_meters(written):
    file = written(example_scene(0, relative=True))
    assert '/camera/relative_depth' in file.rows
    assert not {'/camera/depth', '/points', '/boxes_3d'} & set(file.rows)


def test_labels_are_written_with_the_masks_of_their_frame(written):
    scene = example_scene(0)
    file = written(scene, example_scene(0, count=1))
    for entity, names, colors in (
        ('classes', scene.detections.class_names, map(class_color, scene.detections.class_names)),
        (
            'instances',
            [format_labels(item)[1] for item in scene.objects],
            map(object_color, scene.objects),
        ),
    ):
        (entries,) = file(f'/camera/{entity}', 'AnnotationContext:context')
        descriptions = [one['class_description']['info'] for one in entries]
        assert [one['class_id'] for one in entries] == [0, 1, 2, 3]
        assert [info['label'] for info in descriptions] == ['background', *names]
        packed = [red << 24 | green << 16 | blue << 8 | 255 for red, green, blue in colors]
        assert [info['color'] for info in descriptions] == [0, *packed]
        (fewer,) = file(f'/camera/{entity}', 'AnnotationContext:context', 1)
        assert [one['class_id'] for one in fewer] == [0, 1]


def test_large_clouds_are_thinned_evenly():
    scene = example_scene(0, (480, 640))
    points = scene_to_entities(scene)['points']
    count = len(points.positions.as_arrow_array())
    assert MAX_POINTS / 2 < count <= MAX_POINTS


def save(path, scene, frames):
    with save_recording(path) as add:
        for frame in range(frames):
            add(scene, frame)


def test_a_full_disk_is_reported_and_leaves_no_file(tmp_path, full_disk):
    path = tmp_path / 'scenes.rrd'
    scene = example_scene(0, (240, 320))
    with full_disk(50_000), raises(OutputError, 'cannot_write', match='space'):
        save(path, scene, 3)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_reported(tmp_path):
    with (
        raises(OutputError, 'cannot_write', match='Check the folder'),
        save_recording(tmp_path / 'none' / 'scenes.rrd'),
    ):
        pass
