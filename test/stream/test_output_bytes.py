"""Bytes of clouds and maps, compared with a plain construction, pixel by pixel."""

from dataclasses import replace

import numpy as np
import pytest

from robot_perception.conversions import (
    compressed_to_image,
    FrameTiming,
    header_message,
    RosbagsFactory,
)
from robot_perception.core import (
    CameraModel,
    Detections,
    Image,
    Masks,
    MetricDepth,
    Plane,
    Pose,
    Scene,
    SceneObject,
)
from robot_perception.pipeline import PerceptionConfig
from robot_perception.sources import message_store
from robot_perception.stream import OutputFrame, OUTPUTS
from robot_perception.stream.target_frame import TargetFrame
from robot_perception.viewer import draw_overlay

SIZE_HW = (37, 53)
FACTORY = RosbagsFactory(message_store())
HEADER = header_message(FACTORY, 10**9, 'eye')
MAKE = {output.topic: output.make for output in OUTPUTS}
POINT = np.dtype([(name, '<f4') for name in ('x', 'y', 'z')] + [('rgb', '<u4')])
LABELED = np.dtype([*POINT.descr, ('label', '<u4'), ('instance', '<u4')])
PINHOLE = CameraModel(SIZE_HW, 50.0, 48.0, 25.5, 18.25)
# Its corners have no rays.
FOLDED = CameraModel(SIZE_HW, 22.0, 22.0, 26.0, 18.0, 'plumb_bob', (-0.5, 0.0, 0.0, 0.0))
# A turn by 30 degrees about the vertical axis.
POSE = Pose(
    np.array([[0.75**0.5, 0, 0.5], [0, 1, 0], [-0.5, 0, 0.75**0.5]]), np.array([1.5, -2.25, 0.125])
)
GROUND = Plane((0.0, -1.0, 0.0), 0.3)


def strided_view(array):
    """Return a view of equal values whose pixels lie neither in one row nor in order."""
    padded = np.zeros((array.shape[0], 2 * array.shape[1] + 3, *array.shape[2:]), array.dtype)
    view = padded[:, 1 : 2 * array.shape[1] : 2][:, ::-1]
    view[...] = array
    return view


def make_scene(count=3, camera=PINHOLE, *, seed=0, most_classes=5, strided=False):
    """Return noise with holes in its depth and overlapping rectangles as masks."""
    rng = np.random.default_rng(seed)
    rgb = rng.integers(0, 256, (*SIZE_HW, 3), np.uint8)
    meters = rng.uniform(0.5, 4, SIZE_HW).astype(np.float32)
    meters[rng.random(SIZE_HW) < 0.1] = np.nan
    pixels = np.zeros((count, *SIZE_HW), np.bool_)
    for mask in pixels:
        top, left = rng.integers(0, SIZE_HW)
        mask[top : top + rng.integers(1, 15), left : left + rng.integers(1, 15)] = True
    if strided:
        rgb, meters = strided_view(rgb), strided_view(meters)
        pixels = np.asfortranarray(pixels)
    ids = rng.integers(0, most_classes, count).astype(np.int32)
    boxes = np.tile(np.array([[1, 2, 9, 8]], np.float32), (count, 1))
    return Scene(
        Image(rgb, 10**9, 'eye'),
        camera,
        depth=MetricDepth(meters),
        detections=Detections(boxes, np.full(count, 0.5, np.float32), ids, ('cup',) * count),
        masks=Masks(pixels, np.full(count, 0.5, np.float32)),
        objects=tuple(SceneObject(i, int(ids[i]), 'cup', 0.5, (1, 2, 9, 8)) for i in range(count)),
    )


def make_frame(scene, target=None, **points):
    values = {f'points.{name}': value for name, value in points.items()}
    config = PerceptionConfig.from_preset('stub', values)
    return OutputFrame(FACTORY, HEADER, scene, None, FrameTiming.unknown(), config, target=target)


def plain_instances(masks):
    """Return the index + 1 of the first mask of each pixel."""
    numbers = np.zeros(masks.size_hw, np.uint16)
    for index in reversed(range(len(masks))):
        numbers[masks.pixels[index]] = index + 1
    return numbers


def plain_points(scene):
    """Return the labeled points of a scene, field by field."""
    rays, meters = scene.camera.rays(), scene.depth.meters
    points = np.zeros(SIZE_HW, LABELED)
    points['x'], points['y'] = rays[..., 0] * meters, rays[..., 1] * meters
    points['z'] = meters
    for name in ('x', 'y', 'z'):
        points[name][np.isnan(points['x'])] = np.nan
    red, green, blue = (scene.image.rgb[..., i].astype(np.uint32) for i in range(3))
    points['rgb'] = (red << 16) + (green << 8) + blue
    points['instance'] = plain_instances(scene.masks)
    classes = np.array([0, *(scene.detections.class_ids + 1)], np.uint32)
    points['label'] = classes[points['instance']]
    return points


def plain_list(scene, *, of_objects):
    points = plain_points(scene)
    return points[np.isfinite(points['z']) & ((points['instance'] > 0) == of_objects)]


def check_cloud(message, expected, *, is_dense):
    assert (message.height, message.width) == np.atleast_2d(expected).shape
    assert message.point_step == expected.dtype.itemsize
    assert message.row_step == message.point_step * message.width
    assert message.is_dense == is_dense
    assert bytes(message.data) == expected.tobytes()


COUNTS = (0, 1, 12, 255, 256, 300)


@pytest.mark.parametrize('count', COUNTS)
@pytest.mark.parametrize('camera', [PINHOLE, FOLDED], ids=['pinhole', 'folded'])
def test_points_and_lists(count, camera):
    scene = make_scene(count, camera, most_classes=400)
    assert camera.has_invalid_rays() == (camera is FOLDED)
    frame, points = make_frame(scene), plain_points(scene)
    bare = np.zeros(SIZE_HW, POINT)
    for name in POINT.names:
        bare[name] = points[name]
    check_cloud(MAKE['points'](frame), bare, is_dense=False)
    check_cloud(MAKE['points'](make_frame(scene, labels=True)), points, is_dense=False)
    for topic, of_objects in (('points/objects', True), ('points/background', False)):
        check_cloud(MAKE[topic](frame), plain_list(scene, of_objects=of_objects), is_dense=True)


@pytest.mark.parametrize('count', COUNTS)
def test_maps_of_8_and_16_bits(count):
    scene = make_scene(count, most_classes=400)
    frame, numbers = make_frame(scene), plain_instances(scene.masks)
    instances, classes = MAKE['masks/instances'](frame), MAKE['masks/classes'](frame)
    assert (instances.encoding, classes.encoding) == ('mono16', 'mono8')
    assert (instances.step, classes.step) == (2 * SIZE_HW[1], SIZE_HW[1])
    assert bytes(instances.data) == numbers.astype('<u2').tobytes()
    values = np.minimum(np.array([0, *(scene.detections.class_ids.astype(int) + 1)]), 255)
    assert bytes(classes.data) == values[numbers].astype(np.uint8).tobytes()


def test_arrays_with_strides():
    scene = make_scene(12, strided=True)
    dense = make_scene(12)
    assert scene == dense
    assert not scene.image.rgb.flags.c_contiguous
    for topic, make in MAKE.items():
        one, other = make(make_frame(scene, labels=True)), make(make_frame(dense, labels=True))
        if hasattr(one, 'data'):
            assert bytes(one.data) == bytes(other.data), topic


def test_nothing_known_and_everything_covered():
    scene = make_scene(1)
    everywhere = Masks(np.ones((1, *SIZE_HW), np.bool_), scene.masks.scores)
    nowhere = MetricDepth(np.full(SIZE_HW, np.nan, np.float32))
    for changed in (replace(scene, masks=everywhere), replace(scene, depth=nowhere)):
        for topic, of_objects in (('points/objects', True), ('points/background', False)):
            expected = plain_list(changed, of_objects=of_objects)
            check_cloud(MAKE[topic](make_frame(changed)), expected, is_dense=True)


def plain_filter(points, limits, pose, *, removes_ground):
    """Apply the parameters of lists point by point."""
    kept, cells = [], set()
    for point in points:
        position = np.array([point['x'], point['y'], point['z']])
        height = position.astype(float) @ GROUND.normal + GROUND.distance_m
        if removes_ground and height <= limits.get('ground_tolerance_m', 0.03):
            continue
        if 'max_range_m' in limits and np.linalg.norm(position) > limits['max_range_m']:
            continue
        if pose is not None:
            position = (pose.rotation @ position.astype(float) + pose.translation_m).astype(
                np.float32
            )
        if 'voxel_m' in limits:
            cell = (*np.floor(position / np.float32(limits['voxel_m'])), point['instance'])
            if cell in cells:
                continue
            cells.add(cell)
        kept.append(point.copy())
        for name, value in zip('xyz', position, strict=True):
            kept[-1][name] = value
    return np.array(kept, LABELED)


@pytest.mark.parametrize('pose', [None, POSE], ids=['optical', 'placed'])
@pytest.mark.parametrize(
    'limits',
    [
        {},
        {'remove_ground': True},
        {'max_range_m': 2.0},
        {'voxel_m': 0.25},
        {'remove_ground': True, 'ground_tolerance_m': 0.1, 'max_range_m': 3.0, 'voxel_m': 0.1},
        {'max_range_m': 0.1},
    ],
    ids=lambda limits: ' '.join(limits) or 'all',
)
@pytest.mark.parametrize('camera', [PINHOLE, FOLDED], ids=['pinhole', 'folded'])
def test_filtered_and_placed_lists(camera, limits, pose):
    scene = replace(make_scene(12, camera), ground=GROUND)
    target = None if pose is None else TargetFrame('map', pose)
    frame = make_frame(scene, target, **limits)
    for topic, of_objects in (('points/objects', True), ('points/background', False)):
        message = MAKE[topic](frame)
        expected = plain_filter(
            plain_list(scene, of_objects=of_objects),
            limits,
            pose,
            removes_ground='remove_ground' in limits and not of_objects,
        )
        assert message.header.frame_id == ('eye' if pose is None else 'map')
        received = np.frombuffer(bytes(message.data), LABELED)
        for name in ('rgb', 'label', 'instance'):
            np.testing.assert_array_equal(received[name], expected[name])
        for name in 'xyz':
            # A sum of three products may be rounded in another order.
            np.testing.assert_array_max_ulp(received[name], expected[name], 1 if pose else 0)


@pytest.mark.parametrize('labels', [False, True])
def test_points_in_the_axes_of_the_body(labels):
    scene = make_scene(12)
    body = Pose(np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]]), np.zeros(3))
    target = TargetFrame('eye', body, image_from_optical=body)
    message = MAKE['points'](make_frame(scene, target, labels=labels))
    received = np.frombuffer(bytes(message.data), LABELED if labels else POINT).reshape(SIZE_HW)
    expected = plain_points(scene)
    for name, (source, sign) in zip('xyz', (('z', 1), ('x', -1), ('y', -1)), strict=True):
        np.testing.assert_array_equal(received[name], sign * expected[source])
    for name in received.dtype.names[3:]:
        np.testing.assert_array_equal(received[name], expected[name])


@pytest.mark.parametrize('missing', ['camera', 'depth', 'masks', 'detections'])
def test_what_a_scene_lacks_is_not_made(missing):
    scene = make_scene(0)
    frame = make_frame(replace(scene, **{missing: None}), labels=True)
    for topic in ('points', 'points/objects', 'points/background'):
        assert MAKE[topic](frame) is None
    bare = MAKE['points'](make_frame(replace(scene, **{missing: None})))
    assert (bare is None) == (missing in {'camera', 'depth'})


def test_only_overlays_of_the_demo_networks_have_a_caption():
    scene = make_scene()
    for preset, is_plain in (('stub', True), ('demo', False)):
        config = PerceptionConfig.from_preset(preset)
        frame = OutputFrame(FACTORY, HEADER, scene, None, FrameTiming.unknown(), config)
        data = bytes(MAKE['overlay'](frame).data)
        assert (data == draw_overlay(scene).tobytes()) == is_plain
        assert data == draw_overlay(scene, caption=config.caption).tobytes()


def test_the_compressed_overlay_is_a_jpeg_of_the_overlay():
    scene = replace(make_scene(), image=Image(np.full((*SIZE_HW, 3), 90, np.uint8), 10**9, 'eye'))
    frame = make_frame(scene)
    message = MAKE['overlay/compressed'](frame)
    assert message.format == 'rgb8; jpeg compressed bgr8'
    assert message.header == HEADER
    decoded = compressed_to_image(message).rgb.astype(int)
    assert np.abs(decoded - frame.overlay).mean() < 6


def test_annotations_do_not_depend_on_depth():
    scene = make_scene()
    message = MAKE['annotations'](make_frame(scene))
    assert [text.text for text in message.texts] == ['cup 0.50'] * 3
    assert MAKE['annotations'](make_frame(replace(scene, depth=None, masks=None))) == message


@pytest.mark.parametrize('topic', ['overlay', 'overlay/compressed', 'annotations'])
def test_without_a_detector_nothing_is_drawn(topic):
    assert MAKE[topic](make_frame(Scene(make_scene().image))) is None
