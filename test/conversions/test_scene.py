"""Messages of scenes, features and timings."""

import math

import numpy as np
import pytest
from reasons import raises

from robot_perception.conversions import (
    features_message,
    FrameTiming,
    scene_class_message,
    scene_labels_message,
    scene_message,
    timing_message,
    to_camera,
    to_depth,
    to_scene,
)
from robot_perception.core import (
    Box3D,
    CameraModel,
    Detections,
    Image,
    Masks,
    MetricDepth,
    ObjectPosition,
    RelativeDepth,
    Scene,
    SceneClasses,
    SceneFeatures,
    SceneObject,
)
from robot_perception.core.errors import ShapeError

RNG = np.random.default_rng(9)
SIZE = (6, 8)
IMAGE = Image(RNG.integers(0, 256, (*SIZE, 3), np.uint8))
FEATURES = SceneFeatures(
    'facebook/dinov2-small',
    RNG.normal(size=4).astype(np.float32),
    RNG.normal(size=(2, 3, 4)).astype(np.float32),
)
TIMING = FrameTiming(('depth', 'detect'), (0.25, 0.5), (0.2, 0.4), (0.3, 0.6), (1, 2), 30, 0.125)
METERS = RNG.uniform(0.5, 4, SIZE).astype(np.float32)
METERS[0, 0] = np.nan
CAMERA = CameraModel(SIZE, 7, 7.5, 3.5, 2.5)


def full_scene():
    pixels = np.zeros((2, *SIZE), bool)
    pixels[0, 1:4, 2:7] = True
    pixels[0, 2, 4] = False
    box = Box3D((0.0, 0.5, 1.25), (0.5, 0.25, 0.125))
    position = ObjectPosition(1.5, (0.25, 0.5, 1.5), np.eye(3), box)
    return Scene(
        IMAGE,
        CAMERA,
        FEATURES,
        MetricDepth(METERS),
        Detections(
            np.array([[2, 1, 7, 4], [0, 0, 1, 1]], np.float32),
            np.array([0.75, 0.5], np.float32),
            np.array([41, 3], np.int32),
            ('cup', 'ball'),
        ),
        Masks(pixels, np.ones(2, np.float32)),
        (
            SceneObject(0, 41, 'cup', 0.75, (2, 1, 7, 4), 12, position),
            SceneObject(1, 3, 'ball', 0.5, (0, 0, 1, 1)),
        ),
    )


def test_the_whole_scene(factory, header, on_the_wire):
    scene = full_scene()
    message = on_the_wire(scene_message(factory, header, scene, TIMING))
    assert (message.header, message.height, message.width) == (header, *SIZE)
    assert message.features[0].model == 'facebook/dinov2-small'
    assert len(message.features[0].patches) == 0
    np.testing.assert_array_equal(to_depth(message.depth[0]).meters, METERS)
    assert to_camera(message.camera_info[0], rectified=False) == CAMERA
    for part in (message.features[0], message.depth[0], message.camera_info[0], message.timing):
        assert part.header == header
    first, second = message.objects
    assert (first.index, first.class_id, first.class_name, first.score) == (0, 41, 'cup', 0.75)
    assert (first.track_id, second.track_id) == ('12', '')
    assert (first.bbox.center.position.x, first.bbox.size_y) == (4.5, 3.0)
    assert first.depth == 1.5
    assert (first.centroid[0].x, first.centroid[0].z) == (0.25, 1.5)
    assert (first.bbox_3d[0].center.position.z, first.bbox_3d[0].size.z) == (1.25, 0.125)
    np.testing.assert_array_equal(first.points_covariance, np.eye(3).reshape(-1))
    assert (first.mask_score, second.mask_score) == (1.0, 1.0)
    assert len(second.points_covariance) == 0
    assert math.isnan(second.depth)
    assert (len(second.centroid), len(second.bbox_3d)) == (0, 0)


def test_masks_are_read_back_from_their_regions(factory, header, on_the_wire):
    scene = full_scene()
    message = on_the_wire(scene_message(factory, header, scene, TIMING))
    for item, expected in zip(message.objects, scene.masks.pixels, strict=True):
        region, mask = item.mask_roi, item.mask
        assert (mask.height, mask.width, mask.encoding) == (region.height, region.width, 'mono8')
        assert mask.header == header
        whole = np.zeros(SIZE, np.uint8)
        rows = slice(region.y_offset, region.y_offset + region.height)
        columns = slice(region.x_offset, region.x_offset + region.width)
        window = np.frombuffer(mask.data, np.uint8).reshape(region.height, region.width)
        whole[rows, columns] = window
        np.testing.assert_array_equal(whole, np.where(expected, 255, 0))
    assert (message.objects[0].mask_roi.height, message.objects[0].mask_roi.width) == (3, 5)
    assert (message.objects[1].mask_roi.height, message.objects[1].mask_roi.width) == (0, 0)


@pytest.mark.parametrize('depth', [None, RelativeDepth(np.ones(SIZE, np.float32))])
def test_unknown_parts_are_empty(factory, header, on_the_wire, depth):
    message = on_the_wire(scene_message(factory, header, Scene(IMAGE, depth=depth), TIMING))
    for part in (message.features, message.depth, message.camera_info, message.objects):
        assert len(part) == 0


def test_objects_without_masks(factory, header, on_the_wire):
    detections = Detections(
        np.array([[2, 1, 7, 4]], np.float32),
        np.ones(1, np.float32),
        np.zeros(1, np.int32),
        ('cup',),
    )
    objects = (SceneObject(0, 0, 'cup', 1.0, (2, 1, 7, 4)),)
    scene = Scene(IMAGE, detections=detections, objects=objects)
    message = on_the_wire(scene_message(factory, header, scene, TIMING))
    assert message.objects[0].mask_roi.height == 0
    assert len(message.objects[0].mask.data) == 0
    assert math.isnan(message.objects[0].mask_score)


@pytest.mark.parametrize('with_patches', [True, False])
def test_features(factory, header, on_the_wire, with_patches):
    message = on_the_wire(features_message(factory, header, FEATURES, with_patches=with_patches))
    assert (message.header, message.model) == (header, FEATURES.model)
    assert (message.grid_height, message.grid_width) == (2, 3)
    np.testing.assert_array_equal(message.vector, FEATURES.vector)
    expected = FEATURES.patches.reshape(-1) if with_patches else np.zeros(0)
    np.testing.assert_array_equal(message.patches, expected)


def test_timing(factory, header, on_the_wire):
    message = on_the_wire(timing_message(factory, header, TIMING))
    assert (message.header, list(message.stages)) == (header, ['depth', 'detect'])
    assert (message.window, message.age) == (30, 0.125)
    for name in ('last', 'p50', 'p95', 'p99'):
        expected = np.array(getattr(TIMING, f'{name}_s'), np.float32)
        np.testing.assert_array_equal(getattr(message, name), expected)


def test_unknown_age_is_nan(factory, header, on_the_wire):
    timing = FrameTiming((), (), (), (), (), 0, math.nan)
    assert math.isnan(on_the_wire(timing_message(factory, header, timing)).age)


@pytest.mark.parametrize('name', ['last_s', 'p50_s', 'p95_s', 'p99_s'])
def test_a_missing_time_is_rejected(name):
    times = dict.fromkeys(('last_s', 'p50_s', 'p95_s', 'p99_s'), (1.0, 2.0)) | {name: (1.0,)}
    expected = f'{name}: expected one value for each of 2 stages, got 1'
    with raises(ShapeError, 'count_mismatch', expected):
        FrameTiming(('a', 'b'), **times, window=1, age_s=0.0)


def test_classes_of_the_image_come_back(factory, header, on_the_wire):
    names = ('kitchen', 'tabby, tabby cat', 'corridor')
    classes = SceneClasses('clip', names, np.array([0.7, 0.2, 0.1], np.float32))
    scene = Scene(image=IMAGE, scene_classes=classes)
    message = on_the_wire(scene_message(factory, header, scene, TIMING))
    found = to_scene(message, IMAGE).scene_classes
    assert (found.model, found.names) == ('', names)
    np.testing.assert_array_equal(found.scores, classes.scores)
    alone = on_the_wire(scene_class_message(factory, header, classes))
    assert alone.header == header
    assert [(one.class_id, one.score) for one in alone.results] == [
        (one.class_id, one.score) for one in message.scene_classes
    ]
    bare = scene_message(factory, header, Scene(image=IMAGE), TIMING)
    assert to_scene(bare, IMAGE).scene_classes is None
    labels = on_the_wire(scene_labels_message(factory, header, names))
    assert [(one.class_id, one.class_name) for one in labels.class_map] == list(enumerate(names))
