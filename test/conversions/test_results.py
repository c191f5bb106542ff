"""Round trips of results: scene -> message -> CDR -> message -> scene."""

from dataclasses import replace
import math

from hypothesis import given, HealthCheck, settings, strategies
import numpy as np
import pytest
from reasons import raises
from scenes import example_scene

from robot_perception.conversions import (
    features_message,
    FrameTiming,
    scene_message,
    to_features,
    to_scene,
)
from robot_perception.core import (
    CameraModel,
    Detections,
    Image,
    MetricDepth,
    ObjectPosition,
    RelativeDepth,
    Scene,
)
from robot_perception.core.errors import CalibrationError, ConversionError, InputError

# A fixture that is the same for all examples of one test does them no harm.
EXAMPLES = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SIZES = strategies.tuples(strategies.integers(1, 40), strategies.integers(1, 40))
LENSES = [
    ('none', ()),
    ('plumb_bob', (0.1, -0.2, 0.001, 0.002, 0.05)),
    ('rational_polynomial', (0.1, -0.2, 0.001, 0.002, 0.05, 0.3, -0.1, 0.02)),
    ('equidistant', (0.1, -0.01, 0.002, 0.0)),
]


def build_timing(scene):
    times = tuple(scene.timing_s.values())
    return FrameTiming(tuple(scene.timing_s), times, times, times, times, 1, 0.1)


def build_message(factory, header, scene):
    return scene_message(factory, header, scene, build_timing(scene))


def assert_same_arrays(got, expected, *names):
    for name in names:
        one, other = getattr(got, name), getattr(expected, name)
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other, err_msg=name)


def assert_same_object(got, expected):
    # Halves and sums of float32 corners in float64: exact to the last digits.
    assert got.box_xyxy == pytest.approx(expected.box_xyxy, rel=1e-12)
    if expected.position is None:
        assert got == replace(expected, box_xyxy=got.box_xyxy)
        return
    actual, truth = got.position, expected.position
    assert replace(got, position=None, box_xyxy=()) == replace(
        expected, position=None, box_xyxy=()
    )
    assert actual.depth_m == np.float32(truth.depth_m)
    assert (actual.centroid_m, actual.box) == (truth.centroid_m, truth.box)
    assert_same_arrays(actual, truth, 'points_covariance_m2', 'covariance_m2')
    assert actual.covariance_calibrated == truth.covariance_calibrated


def assert_same(got, expected):
    """Assert that all parts are equal."""
    assert got.image is expected.image
    assert got.camera == expected.camera
    assert (got.features is None) == (expected.features is None)
    if expected.features is not None:
        assert got.features.model == expected.features.model
        assert_same_arrays(got.features, expected.features, 'vector')
    # Depth without a unit has no place in the message.
    assert isinstance(got.depth, MetricDepth) == isinstance(expected.depth, MetricDepth)
    if isinstance(expected.depth, MetricDepth):
        assert_same_arrays(got.depth, expected.depth, 'meters')
    assert_same_arrays(got.detections, expected.detections, 'boxes_xyxy', 'scores', 'class_ids')
    assert got.detections.class_names == expected.detections.class_names
    assert (got.masks is None) == (expected.masks is None)
    if expected.masks is not None:
        assert_same_arrays(got.masks, expected.masks, 'pixels', 'scores')
    for item, truth in zip(got.objects, expected.objects, strict=True):
        assert_same_object(item, truth)
    assert dict(got.timing_s) == {
        stage: np.float32(seconds) for stage, seconds in expected.timing_s.items()
    }


@EXAMPLES
@given(
    seed=strategies.integers(0, 2**32 - 1),
    size_hw=SIZES,
    count=strategies.integers(0, 5),
    relative=strategies.booleans(),
    without=strategies.sets(strategies.sampled_from(['features', 'depth', 'camera'])),
)
def test_a_scene_is_read_back(
    factory, header, on_the_wire, seed, size_hw, count, relative, without
):
    scene = example_scene(seed, size_hw, count, relative=relative)
    scene = replace(scene, **dict.fromkeys(without))
    message = on_the_wire(build_message(factory, header, scene))
    assert_same(to_scene(message, scene.image), scene)


def test_no_objects_are_a_result(factory, header, on_the_wire):
    scene = example_scene(count=0)
    back = to_scene(on_the_wire(build_message(factory, header, scene)), scene.image)
    assert_same(back, scene)
    assert (len(back.detections), len(back.masks), back.objects) == (0, 0, ())
    assert back.masks.size_hw == scene.image.size_hw
    assert back.detections.track_ids is None


def test_objects_without_masks(factory, header, on_the_wire):
    scene = replace(example_scene(), masks=None)
    back = to_scene(on_the_wire(build_message(factory, header, scene)), scene.image)
    assert back.masks is None
    assert_same(back, scene)


def test_a_scene_without_anything(factory, header, on_the_wire):
    """The message does not distinguish an empty result from a stage that did not run."""
    scene = Scene(example_scene().image)
    back = to_scene(on_the_wire(build_message(factory, header, scene)), scene.image)
    assert (back.camera, back.features, back.depth, back.objects) == (None, None, None, ())
    assert (len(back.detections), len(back.masks), dict(back.timing_s)) == (0, 0, {})


def test_relative_depth_is_not_written(factory, header, on_the_wire):
    scene = example_scene(relative=True)
    assert isinstance(scene.depth, RelativeDepth)
    assert to_scene(on_the_wire(build_message(factory, header, scene)), scene.image).depth is None


@pytest.mark.parametrize(
    ('tracks', 'expected'),
    [
        ((4, 0, 9_223_372_036_854_775_807), [4, 0, 9_223_372_036_854_775_807]),
        ((-3, 1, 2), [-3, 1, 2]),
        ((4, None, 6), None),
        ((None, None, None), None),
    ],
)
def test_tracks(factory, header, on_the_wire, tracks, expected):
    scene = example_scene(count=3)
    objects = [
        replace(item, track_id=track) for item, track in zip(scene.objects, tracks, strict=True)
    ]
    scene = replace(scene, objects=tuple(objects))
    back = to_scene(on_the_wire(build_message(factory, header, scene)), scene.image)
    assert tuple(item.track_id for item in back.objects) == tracks
    got = back.detections.track_ids
    assert (None if got is None else got.tolist()) == expected


def test_visibility(factory, header, on_the_wire):
    answers = [(None, None), (False, True), (True, False)]
    scene = example_scene(count=3)
    objects = [
        replace(item, truncated=truncated, occluded=occluded)
        for item, (truncated, occluded) in zip(scene.objects, answers, strict=True)
    ]
    scene = replace(scene, objects=tuple(objects))
    message = on_the_wire(build_message(factory, header, scene))
    # UNKNOWN, YES, NO
    assert [item.occluded for item in message.objects] == [0, 2, 1]
    back = to_scene(message, scene.image)
    assert [(item.truncated, item.occluded) for item in back.objects] == answers


def test_objects_with_and_without_position(factory, header, on_the_wire):
    scene = example_scene(count=2)
    back = to_scene(on_the_wire(build_message(factory, header, scene)), scene.image)
    first, second = back.objects
    assert isinstance(first.position, ObjectPosition)
    assert (second.position, second.depth_m, second.centroid_m) == (None, None, None)


@pytest.mark.parametrize(('model', 'coefficients'), LENSES, ids=[name for name, _ in LENSES])
def test_the_lens_is_read_back(factory, header, on_the_wire, model, coefficients):
    scene = example_scene()
    camera = CameraModel(scene.image.size_hw, 61.5, 62.5, 31.25, 23.75, model, coefficients)
    scene = replace(scene, camera=camera)
    back = to_scene(on_the_wire(build_message(factory, header, scene)), scene.image)
    assert back.camera == camera


@pytest.mark.parametrize('with_patches', [True, False])
def test_features_are_read_back(factory, header, on_the_wire, with_patches):
    features = example_scene().features
    message = features_message(factory, header, features, with_patches=with_patches)
    back = to_features(on_the_wire(message))
    assert back.model == features.model
    assert_same_arrays(back, features, 'vector')
    if with_patches:
        assert_same_arrays(back, features, 'patches')
    else:
        assert back.grid_hw == (0, 0)


def test_features_of_their_own_topic_replace_those_of_the_scene(factory, header, on_the_wire):
    scene = example_scene()
    message = on_the_wire(build_message(factory, header, scene))
    assert to_scene(message, scene.image).features.grid_hw == (0, 0)
    whole = to_features(
        on_the_wire(features_message(factory, header, scene.features, with_patches=True))
    )
    back = to_scene(message, scene.image, whole)
    assert_same_arrays(back.features, scene.features, 'patches')


def test_results_are_read_only(factory, header, on_the_wire):
    scene = example_scene()
    back = to_scene(on_the_wire(build_message(factory, header, scene)), scene.image)
    arrays = (back.depth.meters, back.masks.pixels, back.detections.boxes_xyxy)
    assert not any(array.flags.writeable for array in arrays)


def shorten_patches(factory, message):
    message.features[0].patches = factory.sequence(np.zeros(7, np.float32))


def shorten_times(factory, message):
    message.timing.last = factory.sequence(np.zeros(3, np.float32))


def shorten_mask(factory, message):
    mask = message.objects[0].mask
    mask.data = factory.sequence(np.zeros(5, np.uint8))


def push_mask_out(factory, message):
    message.objects[0].mask_roi.x_offset = 64


def name_the_track(factory, message):
    message.objects[1].track_id = 'left cup'


def grow_the_track(factory, message):
    message.objects[1].track_id = '9223372036854775808'


def swap_objects(factory, message):
    message.objects[0], message.objects[1] = message.objects[1], message.objects[0]


def lose_centroid(factory, message):
    message.objects[0].centroid = []


def lose_covariance(factory, message):
    message.objects[0].points_covariance = factory.sequence(np.zeros(0))


def turn_box(factory, message):
    message.objects[0].bbox_3d[0].center.orientation.w = 0.5


def flip_box(factory, message):
    message.objects[0].bbox.size_x = -2.0


def raise_score(factory, message):
    message.objects[0].score = 1.5


def zero_calibration(factory, message):
    message.camera_info[0].k = np.zeros(9)


def other_camera(factory, message):
    message.camera_info[0].width = 65


def other_encoding(factory, message):
    message.depth[0].encoding = 'rgb8'


def answer_oddly(factory, message):
    message.objects[0].occluded = 3


def grow(factory, message):
    message.height = 49


DAMAGE = [
    (
        grow,
        ConversionError,
        r'scene: expected the size of the image \(48, 64\), got \(49, 64\). P',
    ),
    (shorten_patches, ConversionError, r'patches: expected 4 x 5 x 32 numbers, got 7. The mess'),
    (shorten_times, ConversionError, r'timing: expected 4 times, got 3. The message is damaged'),
    (shorten_mask, ConversionError, r'mask: expected \d+ pixels inside the image, got 5. The m'),
    (push_mask_out, ConversionError, r'mask: expected 0 pixels inside the image, got \d+. The '),
    (name_the_track, ConversionError, r"track_id: expected a 64-bit integer, got 'left cup'"),
    (grow_the_track, ConversionError, r"track_id: .* 64-bit integer, got '9223372036854775808'"),
    (answer_oddly, ConversionError, r'occluded: expected UNKNOWN, NO or YES .*, got 3. The mess'),
    (swap_objects, ConversionError, r'index: expected the object at index 0, got 1. The mess'),
    (lose_centroid, ConversionError, r'bbox_3d: expected a centroid and the 9 .*got \(0, 9\)'),
    (lose_covariance, ConversionError, r'bbox_3d: .* covariances of its points, got \(1, 0\)'),
    (turn_box, InputError, r'rotation_xyzw: expected a unit quaternion, got length 0.5'),
    (flip_box, InputError, r'boxes_xyxy: expected left <= right .*got swapped corners'),
    (raise_score, InputError, r'scores: expected values in \[0, 1\], got values outside'),
    (zero_calibration, CalibrationError, r'K: expected a focal length, got fx=0.0, fy=0.0'),
    (other_camera, InputError, r'camera: expected the size of the image \(48, 64\), got \(48, 65'),
    (other_encoding, ConversionError, 'encoding'),
]


@pytest.mark.parametrize(
    ('damage', 'kind', 'match'), DAMAGE, ids=lambda one: getattr(one, '__name__', '')
)
def test_an_inconsistent_message_is_rejected(factory, header, on_the_wire, damage, kind, match):
    scene = example_scene()
    message = on_the_wire(build_message(factory, header, scene))
    assert_same(to_scene(message, scene.image), scene)
    damage(factory, message)
    with pytest.raises(kind, match=match) as caught:
        to_scene(message, scene.image)
    assert isinstance(caught.value, InputError)


def test_reasons_are_stable(factory, header, on_the_wire):
    scene = example_scene()
    reasons = {}
    for damage, kind, _ in DAMAGE:
        message = on_the_wire(build_message(factory, header, scene))
        damage(factory, message)
        with pytest.raises(InputError) as caught:
            to_scene(message, scene.image)
        if kind is ConversionError:
            reasons[damage.__name__] = caught.value.reason
    assert set(reasons.values()) == {
        'size', 'patches', 'timing', 'mask', 'track_id', 'index', 'bbox_3d', 'encoding',
        'occluded',
    }  # fmt: skip


def test_no_scores_of_masks_are_no_masks(factory, header):
    scene = example_scene()
    message = build_message(factory, header, scene)
    for item in message.objects:
        item.mask_score = math.nan
    assert to_scene(message, scene.image).masks is None


def test_a_scene_of_another_image_is_rejected(factory, header):
    message = build_message(factory, header, example_scene())
    image = Image(np.zeros((64, 48, 3), np.uint8))
    with raises(ConversionError, 'size', 'Pair it with the image of its stamp'):
        to_scene(message, image)


def test_boxes_are_not_clipped(factory, header, on_the_wire):
    """Boxes may lie partly outside the image."""
    scene = example_scene(count=1)
    boxes = np.array([[-3.3, -0.1, 70.7, 50.2]], np.float32)
    old = scene.detections
    detections = Detections(boxes, old.scores, old.class_ids, old.class_names)
    scene = replace(
        scene,
        detections=detections,
        objects=(replace(scene.objects[0], box_xyxy=tuple(boxes[0].tolist())),),
    )
    back = to_scene(on_the_wire(build_message(factory, header, scene)), scene.image)
    np.testing.assert_array_equal(back.detections.boxes_xyxy, boxes)
