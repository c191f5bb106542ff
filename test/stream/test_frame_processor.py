"""Processed frames: status, when inputs are waited for, and what is computed once."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from robot_perception.conversions import (
    camera_info_message,
    header_message,
    image_message,
    RosbagsFactory,
)
from robot_perception.core import (
    CameraModel,
    Detections,
    Masks,
    masks,
    MetricDepth,
    Pose,
    scene,
    Semantics,
    Stage,
    StampedTransform,
    TransformBuffer,
)
from robot_perception.models import StubSceneClassifier
from robot_perception.pipeline import PerceptionConfig, PerceptionPipeline, Stopwatch
from robot_perception.sources import message_store
from robot_perception.stream import (
    CameraTopics,
    FrameProcessor,
    FrameSet,
    FrameTimer,
    MessageTime,
    OUTPUTS,
)
from robot_perception.stream.status import NOT_NEEDED, USABLE

SIZE_HW = (120, 160)
CAMERA = CameraModel.nominal(SIZE_HW, 70)
OPTICAL, MAP = 'camera_optical_frame', 'map'
TYPES = message_store()
FACTORY = RosbagsFactory(TYPES)
BY_TOPIC = {output.topic: output for output in OUTPUTS}
IN_3D = ('points', 'points/objects', 'points/background', 'detections_3d', 'markers')


class Level:
    """A depth network that predicts a floor 0.5 m below a level camera, or a wall."""

    def __init__(self, *, floor):
        falling = CAMERA.rays()[..., 1] if floor else np.zeros(SIZE_HW, np.float32)
        with np.errstate(divide='ignore'):
            far = np.where(falling > 0, 0.5 / falling, np.inf)
        self.meters = np.minimum(far, 4.0).astype(np.float32)

    def estimate(self, _):
        return MetricDepth(self.meters)


class Objects:
    """A detector and segmenter of two overlapping objects that records when it is used."""

    class_names = ('cup', 'chair')
    windows = ((slice(20, 70), slice(30, 90)), (slice(60, 110), slice(70, 130)))

    def __init__(self, events=None):
        self.events = [] if events is None else events

    def detect(self, _, *, threshold, max_objects):
        self.events.append('detector')
        boxes = [[cols.start, rows.start, cols.stop, rows.stop] for rows, cols in self.windows]
        return Detections(
            np.array(boxes, np.float32),
            np.array([0.9, 0.8], np.float32),
            np.array([0, 1], np.int32),
            self.class_names,
        )

    def encode(self, _):
        pass

    def segment(self, _, boxes_xyxy):
        self.events.append('segmenter')
        pixels = np.zeros((len(boxes_xyxy), *SIZE_HW), np.bool_)
        for mask, window in zip(pixels, self.windows, strict=True):
            mask[window] = True
        return Masks(pixels, np.ones(len(pixels), np.float32))


class Pixels:
    """A network of every pixel that finds one class and no object."""

    class_names = ('floor',)

    def segment(self, _):
        nothing = np.zeros(SIZE_HW, np.uint16)
        return Semantics('pixels', nothing, self.class_names, nothing)


def make_frame_set(depth=lambda: None, lookup=None, stamp_ns=10**9, time=None):
    """Return the noise image of a calibrated camera, whose pose is that of the map by default."""
    header = header_message(FACTORY, stamp_ns, OPTICAL)
    pixels = np.random.default_rng(0).integers(0, 256, (*SIZE_HW, 3), np.uint8)
    return FrameSet(
        image_message(FACTORY, header, pixels, 'rgb8'),
        time or MessageTime(stamp_ns, stamp_ns, stamp_ns),
        CameraTopics('/image'),
        camera_info_message(FACTORY, header, CAMERA),
        depth=depth,
        depth_camera_info=lambda: None,
        lookup=lookup or (lambda *_: Pose(np.eye(3), np.zeros(3))),
    )


def sensor_depth():
    header = header_message(FACTORY, 10**9, OPTICAL)
    return image_message(FACTORY, header, Level(floor=True).meters, '32FC1')


def make_processor(objects=None, **parameters):
    named = {name.replace('__', '.'): value for name, value in parameters.items()}
    config = PerceptionConfig.from_preset('stub', named)
    objects = objects or Objects()
    semantics = Pixels() if config.semantics.enabled else None
    scene_classifier = StubSceneClassifier() if config.scene.enabled else None
    pipeline = PerceptionPipeline(
        config,
        depth=Level(floor=True),
        detector=objects,
        segmenter=objects,
        semantics=semantics,
        scene=scene_classifier,
    )
    return FrameProcessor(pipeline, FACTORY)


def test_images_that_are_read_ahead_leave_the_same_state():
    alone, ahead = make_processor(), make_processor()
    frame_sets = []
    # Images of 10, 12 and 16 bits.
    for bits in (10, 12, 16):
        frame_set = make_frame_set()
        pixels = np.linspace(0, 2**bits - 1, SIZE_HW[0] * SIZE_HW[1]).reshape(SIZE_HW)
        message = image_message(
            FACTORY, frame_set.image.header, pixels.astype(np.uint16), 'mono16'
        )
        frame_sets.append(replace(frame_set, image=message))
    config = ahead.pipeline.config
    reads = [ahead.read(one.image, config, Stopwatch()) for one in frame_sets]
    for frame_set, read in zip(frame_sets, reads, strict=True):
        expected = alone.process(frame_set, ())
        found = ahead.process(frame_set, (), read=read)
        pixels = expected.output.scene.image.rgb
        assert np.array_equal(found.output.scene.image.rgb, pixels)
        assert found.remarks == expected.remarks != ()
        assert ahead.state_dict() == alone.state_dict()


@pytest.mark.parametrize(
    ('height_m', 'floor', 'needed', 'problem'),
    [
        (0.0, True, False, ''),
        (0.6, True, True, ''),
        (0.6, False, True, 'no ground was found 0.6 m below the camera, so that depth has the '),
        (2.0, True, True, 'no ground was found 2 m below the camera'),
    ],
)
def test_a_known_height_that_sets_no_scale_is_a_problem(height_m, floor, needed, problem):
    config = PerceptionConfig.from_preset('stub', {'camera.height_m': height_m})
    processor = FrameProcessor(PerceptionPipeline(config, depth=Level(floor=floor)), FACTORY)
    status = processor.process(make_frame_set(), OUTPUTS).status
    assert status.calibration == USABLE
    assert status.depth.problem.startswith(problem)
    assert bool(status.depth.problem) == bool(problem)
    assert (status.depth.reason == 'no_ground') == bool(problem)
    assert height_m == 0.0 or status.depth.needed == needed


class ReadLater:
    """A message that calls ``during`` when its pixels are read."""

    def __init__(self, message, during):
        self.message, self.during = message, during

    def __getattr__(self, name):
        if name == 'data':
            self.during()
        return getattr(self.message, name)


def test_parameters_that_change_during_a_frame_apply_from_the_next():
    processor = make_processor(camera__height_m=0.6, features__enabled=False)
    changes = {'camera.height_m': 0.0, 'segmenter.enabled': False}
    changed = processor.pipeline.config.with_values(changes)
    frame_set = make_frame_set()
    message = ReadLater(frame_set.image, lambda: processor.pipeline.reconfigure(changed))
    first = processor.process(replace(frame_set, image=message), OUTPUTS)
    assert first.output.config.camera.height_m == 0.6
    assert first.output.scene.depth_fit.scale == pytest.approx(0.6 / 0.5, rel=0.05)
    assert first.output.scene.masks is not None
    assert Stage.SEGMENTER in first.stages
    second = processor.process(make_frame_set(stamp_ns=10**9 + 1), OUTPUTS)
    assert second.output.config == changed
    assert second.output.scene.depth_fit is None
    assert second.output.scene.masks is None


def test_depth_of_a_network_without_a_known_pixel_is_a_problem():
    config = PerceptionConfig.from_preset('stub')
    network = Level(floor=True)
    network.meters = np.full(SIZE_HW, np.nan, np.float32)
    processor = FrameProcessor(PerceptionPipeline(config, depth=network), FACTORY)
    status = processor.process(make_frame_set(), OUTPUTS).status.depth
    assert (status.reason, status.is_usable) == ('empty_depth', False)


def test_outputs_carry_the_frame_that_is_set():
    processor = make_processor(camera__frame_id='head')
    frame = processor.process(make_frame_set(), OUTPUTS)
    assert not any(status.problem for status in frame.status)
    for topic in ('points', 'detections_3d', 'scene', 'overlay', 'depth/camera_info'):
        header = BY_TOPIC[topic].make(frame.output).header
        assert (header.frame_id, header.stamp.sec) == ('head', 1)


def xyz(cloud):
    fields = np.frombuffer(bytes(cloud.data), np.float32).reshape(-1, cloud.point_step // 4)
    return fields[:, :3]


@pytest.mark.parametrize('target', ['', MAP])
def test_a_body_frame_gets_its_own_axes(target):
    """X forward, y left and z up, for every output in 3D; TF gives the identity."""
    names = {'frames__target_frame': target, 'depth__source': 'sensor'}
    optical = make_processor(**names).process(make_frame_set(sensor_depth), OUTPUTS).output
    processor = make_processor(camera__optical='body', **names)
    body = processor.process(make_frame_set(sensor_depth), OUTPUTS).output
    for topic in ('points', 'points/objects', 'points/background'):
        before, after = (xyz(BY_TOPIC[topic].make(one)) for one in (optical, body))
        expected = np.stack([before[:, 2], -before[:, 0], -before[:, 1]], axis=1)
        np.testing.assert_allclose(after, expected, atol=1e-6)
    for topic in ('scene', 'detections_3d'):
        before, after = (BY_TOPIC[topic].make(one) for one in (optical, body))
        assert after.header == before.header
        for one, other in zip(boxes(before), boxes(after), strict=True):
            x, y, z = one
            np.testing.assert_allclose(other, (z, -x, -y), atol=1e-9)
    flat, turned = (BY_TOPIC['depth/image'].make(one) for one in (optical, body))
    np.testing.assert_array_equal(flat.data, turned.data)


def boxes(message):
    """Return the centers of the boxes of a Scene or Detection3DArray."""
    if hasattr(message, 'objects'):
        centers = [box.center.position for item in message.objects for box in item.bbox_3d]
    else:
        centers = [item.bbox.center.position for item in message.detections]
    assert centers
    return [(one.x, one.y, one.z) for one in centers]


@pytest.mark.parametrize('parallel', [False, True])
def test_depth_and_pose_are_waited_for_after_the_detector_has_run(parallel):
    events = []

    def depth():
        events.append('depth')
        return sensor_depth()

    def lookup(target, source, _):
        events.append(f'{target} from {source}')
        return Pose(np.eye(3), np.zeros(3))

    processor = make_processor(
        Objects(events),
        parallel=parallel,
        depth__source='sensor',
        frames__target_frame=MAP,
        frames__gravity_frame='odom',
        frames__fixed_frame='odom',
    )
    frame = processor.process(make_frame_set(depth, lookup), OUTPUTS)
    assert not any(status.problem for status in frame.status)
    assert Counter(events) == Counter(
        [
            'detector',
            'segmenter',
            'depth',
            f'{MAP} from {OPTICAL}',
            f'{OPTICAL} from odom',
            f'odom from {OPTICAL}',
        ]
    )
    assert events[0] == 'detector'


@pytest.mark.parametrize('topics', [('features',), ('detections',), ('overlay',)])
def test_outputs_without_3d_wait_for_nothing(topics):
    def unexpected(*_):
        pytest.fail('asked for depth or pose')

    processor = make_processor(depth__source='sensor', frames__target_frame=MAP)
    outputs = tuple(BY_TOPIC[topic] for topic in topics)
    status = processor.process(make_frame_set(unexpected, unexpected), outputs).status
    assert (status.depth, status.frames) == (NOT_NEEDED, NOT_NEEDED)


@pytest.fixture
def calls(monkeypatch):
    """Count how often depth is lifted into a cloud and masks are painted into one image."""
    counts = Counter()
    lift, paint = scene.lift_image, masks.Masks.__dict__['_instance_map'].func

    def lifted(*arguments, **named):
        counts['lift'] += 1
        return lift(*arguments, **named)

    def painted(self):
        counts['paint'] += 1
        return paint(self)

    monkeypatch.setattr(scene, 'lift_image', lifted)
    monkeypatch.setattr(masks.Masks.__dict__['_instance_map'], 'func', painted)
    return counts


@pytest.mark.parametrize('labels', [False, True])
@pytest.mark.parametrize(
    'topics', [*((topic,) for topic in BY_TOPIC), IN_3D, tuple(BY_TOPIC)], ids=' '.join
)
def test_each_frame_is_lifted_and_painted_at_most_once(calls, topics, labels):
    processor = make_processor(
        points__labels=labels,
        points__remove_ground=True,
        semantics__enabled=True,
        scene__enabled=True,
    )
    outputs = tuple(BY_TOPIC[topic] for topic in topics)
    for index in range(2):
        frame = processor.process(make_frame_set(stamp_ns=10**9 + index), outputs)
        for output in outputs:
            assert output.make(frame.output) is not None or output.topic == 'features'
        assert max(calls.values(), default=0) <= 1 + index
    if len(topics) > 1:
        assert calls == {'lift': 2, 'paint': 2}


@pytest.mark.parametrize('topic', BY_TOPIC)
def test_an_output_built_twice_gives_equal_messages(topic):
    processor = make_processor(
        frames__target_frame=MAP, points__labels=True, tracking__enabled=True
    )
    processor.process(make_frame_set(), OUTPUTS)
    frame = processor.process(make_frame_set(stamp_ns=2 * 10**9), OUTPUTS).output
    shown, left = frame.shown_markers, frame.markers_left
    first, second = (cdr(topic, frame) for _ in range(2))
    for other in OUTPUTS:
        other.make(frame)
    assert first == second == cdr(topic, frame)
    assert (frame.shown_markers, frame.markers_left) == (shown, left)


def cdr(topic, frame):
    message = BY_TOPIC[topic].make(frame)
    return message and bytes(TYPES.serialize_cdr(message, BY_TOPIC[topic].type_name))


def test_markers_of_objects_that_left_are_deleted_once():
    objects = Objects()
    processor = make_processor(objects)
    first = processor.process(make_frame_set(), OUTPUTS).output
    assert first.shown_markers == frozenset()
    assert first.markers_left
    objects.windows = ()
    objects.detect = lambda *_, **__: Detections.empty()
    second = processor.process(make_frame_set(stamp_ns=10**9 + 1), OUTPUTS).output
    assert (second.shown_markers, second.markers_left) == (first.markers_left, frozenset())
    third = processor.process(make_frame_set(stamp_ns=10**9 + 2), OUTPUTS).output
    assert third.shown_markers == frozenset()
    deleted = [len(BY_TOPIC['markers'].make(one).markers) for one in (first, second, third)]
    assert deleted == [len(first.markers_left), len(first.markers_left), 0]


class TestTime:
    """What is kept of earlier frames, and the time of images without a usable stamp."""

    @staticmethod
    def process(processor, *times):
        """Process images; returns the outputs and the numbers of the tracks of each."""
        frames = [
            processor.process(make_frame_set(stamp_ns=time.stamp_ns, time=time), OUTPUTS)
            for time in times
        ]
        return frames, [frame.output.scene.detections.track_ids.tolist() for frame in frames]

    @staticmethod
    def stamped(*stamps_s):
        return [MessageTime(*(round(stamp * 1e9),) * 3) for stamp in stamps_s]

    @pytest.mark.parametrize(
        ('stamps_s', 'is_kept'),
        [
            ((10.0, 10.2, 10.1, 10.3), True),
            ((10.0, 10.000001, 10.0, 10.1), True),
            ((10.0, 10.5, 10.0, 10.6), True),
            ((10.0, 10.6, 10.0, 10.6), False),
        ],
    )
    def test_disorder_drops_nothing_and_a_restart_everything(self, stamps_s, is_kept):
        processor = make_processor()
        processor.timer = FrameTimer(100)
        frames, track_ids = self.process(processor, *self.stamped(*stamps_s))
        assert (track_ids[-1] == track_ids[0]) == is_kept
        assert frames[-1].output.timing.window == (4 if is_kept else 2)

    @pytest.mark.parametrize(
        ('fault', 'stamp_ns', 'problem'),
        [
            ('zero_stamp', 0, 'the stamp of the image is zero'),
            ('repeated_stamp', 10**9, 'the image has the stamp of an earlier one'),
        ],
    )
    def test_images_without_a_usable_stamp_are_tracked_and_keep_their_headers(
        self, fault, stamp_ns, problem
    ):
        times = [
            MessageTime(stamp_ns, received_ns, received_ns, fault)
            for received_ns in (10**9, 2 * 10**9)
        ]
        frames, track_ids = self.process(make_processor(), *times)
        assert track_ids[0] == track_ids[1] != []
        status = frames[0].status.stamps
        assert status.reason == fault
        assert problem in status.problem
        assert 'it was received' in status.problem
        message = BY_TOPIC['detections'].make(frames[0].output)
        assert (message.header.stamp.sec, message.header.stamp.nanosec) == divmod(stamp_ns, 10**9)

    def test_a_usable_stamp_is_no_problem(self):
        frames, _ = self.process(make_processor(), *self.stamped(1.0))
        assert frames[0].status.stamps == USABLE

    @pytest.mark.parametrize(
        ('newest_s', 'expected_m'), [(4, 3.0), (3, 3.0), (2, 2.0)], ids=['past', 'now', 'before']
    )
    @pytest.mark.parametrize('fault', ['zero_stamp', 'repeated_stamp'])
    def test_their_pose_is_that_of_the_receipt_or_the_newest(self, fault, newest_s, expected_m):
        """The camera moves one meter a second; the image is received after three seconds."""
        buffer = TransformBuffer()
        for second in range(1, newest_s + 1):
            move = (float(second), 0.0, 0.0)
            buffer.insert(
                StampedTransform(MAP, OPTICAL, second * 10**9, move, (0.0, 0.0, 0.0, 1.0))
            )
        time = MessageTime(0 if fault == 'zero_stamp' else 10**9, 3 * 10**9, 3 * 10**9, fault)
        processor = make_processor(frames__target_frame=MAP)
        frame_set = make_frame_set(lookup=buffer.lookup, stamp_ns=time.stamp_ns, time=time)
        frame = processor.process(frame_set, OUTPUTS)
        assert not frame.status.frames.problem
        pose = frame.output.target_from_optical
        assert pose.translation_m.tolist() == pytest.approx([expected_m, 0.0, 0.0])
