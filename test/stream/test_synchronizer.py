"""Images get the calibration, depth and transforms that belong to them, live and recorded."""

import threading
import time

from hypothesis import given, settings, strategies
import numpy as np
import pytest
from reasons import raises

from robot_perception.core import CameraModel, SourceError, TransformError
from robot_perception.pipeline import PerceptionConfig
from robot_perception.sources import message_stamp_ns, Role, Sample, standard_types
from robot_perception.sources.messages import camera_info, color_image, depth_image
from robot_perception.stream import (
    CameraTopics,
    needed_roles,
    RecordedSynchronizer,
    SharedTransforms,
    Synchronizer,
)

MS = 1_000_000
TIMEOUT_S = 20.0
# The longest that can be configured: a test that waits for it to end fails.
LONG_WAIT_S = 10.0
CAMERA = CameraModel.nominal((2, 2), 60.0)
TYPES = standard_types()
ROLES = frozenset({Role.IMAGE, Role.CAMERA_INFO, Role.DEPTH})
SENSOR = {Role.DEPTH, Role.COMPRESSED_DEPTH, Role.DEPTH_CAMERA_INFO, Role.TF_STATIC}


def make_config(**parameters):
    """Return a configuration with sensor depth; parameters by name with __ for the dot."""
    values = {'depth__source': 'sensor', 'depth__max_offset_s': 0.02, 'depth__max_wait_s': 0.1}
    named = {name.replace('__', '.'): value for name, value in {**values, **parameters}.items()}
    return PerceptionConfig.from_preset('stub', named)


def depth_promise(synchronizer, stamp_ns, max_offset_s, max_wait_s=0.0):
    config = make_config(depth__max_offset_s=max_offset_s, depth__max_wait_s=max_wait_s)
    return synchronizer.frame_set(None, stamp_ns, 0, config, CameraTopics()).depth


def filled(*stamps_ns):
    """Return a synchronizer with depth messages that are their own stamps."""
    synchronizer = Synchronizer()
    for stamp_ns in stamps_ns:
        synchronizer.add(Role.DEPTH, stamp_ns, stamp_ns)
    return synchronizer


def transform(stamp_ns, child='base_link'):
    types = TYPES.types
    stamp = types['builtin_interfaces/msg/Time'](stamp_ns // 10**9, stamp_ns % 10**9)
    item = types['geometry_msgs/msg/TransformStamped'](
        types['std_msgs/msg/Header'](stamp, 'map'),
        child,
        types['geometry_msgs/msg/Transform'](
            types['geometry_msgs/msg/Vector3'](stamp_ns / 1e9, 0.0, 0.0),
            types['geometry_msgs/msg/Quaternion'](0.0, 0.0, 0.0, 1.0),
        ),
    )
    return types['tf2_msgs/msg/TFMessage']([item])


def run(function):
    """Call a function on another thread; returns the thread and where the result will be."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()), daemon=True)
    thread.start()
    return thread, results


class TestLiveDepth:
    """`Synchronizer.frame_set(...).depth()`."""

    @pytest.mark.parametrize(
        ('stamps_ms', 'image_ms', 'max_offset_s', 'expected_ms'),
        [
            ([], 100, 1.0, None),
            ([100], 100, 0.0, 100),
            ([90, 110], 104, 1.0, 110),
            ([90, 110], 96, 1.0, 90),
            ([110, 90, 100], 99, 1.0, 100),
            # The largest difference is still allowed.
            ([120], 100, 0.02, 120),
            ([80], 100, 0.02, 80),
            ([121], 100, 0.02, None),
            ([79], 100, 0.02, None),
            ([999_990], 1_000_001, 0.02, 999_990),
        ],
    )
    def test_is_the_nearest_within_the_limit(self, stamps_ms, image_ms, max_offset_s, expected_ms):
        synchronizer = filled(*(stamp * MS for stamp in stamps_ms))
        depth = depth_promise(synchronizer, image_ms * MS, max_offset_s)()
        assert depth == (None if expected_ms is None else expected_ms * MS)

    def test_is_dropped_after_a_jump_of_time(self):
        synchronizer = filled(100 * MS)
        synchronizer.reset()
        assert depth_promise(synchronizer, 100 * MS, 1.0)() is None

    def test_is_waited_for(self):
        synchronizer = filled(60 * MS)
        thread, results = run(depth_promise(synchronizer, 100 * MS, 0.02, LONG_WAIT_S))
        # An older message may still be followed by the one of this image.
        synchronizer.add(Role.DEPTH, 90 * MS, 90 * MS)
        thread.join(0.05)
        assert thread.is_alive()
        synchronizer.add(Role.DEPTH, 101 * MS, 101 * MS)
        thread.join(TIMEOUT_S)
        assert results == [101 * MS]

    def test_a_later_message_ends_the_wait_even_when_its_offset_is_too_large(self):
        synchronizer = Synchronizer()
        thread, results = run(depth_promise(synchronizer, 100 * MS, 0.02, LONG_WAIT_S))
        begin = time.monotonic()
        synchronizer.add(Role.DEPTH, 200 * MS, 200 * MS)
        thread.join(TIMEOUT_S)
        assert results == [None]
        assert time.monotonic() - begin < LONG_WAIT_S / 2

    def test_the_wait_ends_at_its_limit_with_what_is_there(self):
        synchronizer = filled(90 * MS)
        begin = time.monotonic()
        assert depth_promise(synchronizer, 100 * MS, 0.02, 0.05)() == 90 * MS
        assert time.monotonic() - begin >= 0.05

    @pytest.mark.slow
    def test_the_wait_begins_with_the_frame_and_not_with_the_first_use(self):
        depth = depth_promise(Synchronizer(), 100 * MS, 0.02, 1.0)
        time.sleep(1.0)
        begin = time.monotonic()
        assert depth() is None
        assert time.monotonic() - begin < 0.9

    def test_is_not_waited_for_when_it_is_there(self):
        begin = time.monotonic()
        assert depth_promise(filled(100 * MS), 100 * MS, 0.02, LONG_WAIT_S)() == 100 * MS
        assert time.monotonic() - begin < LONG_WAIT_S / 2

    def test_may_be_cleared_during_a_wait(self):
        synchronizer = filled(60 * MS)
        thread, results = run(depth_promise(synchronizer, 100 * MS, 0.02, LONG_WAIT_S))
        synchronizer.reset()
        synchronizer.add(Role.DEPTH, 110 * MS, 110 * MS)
        thread.join(TIMEOUT_S)
        assert results == [110 * MS]

    def test_is_kept_however_many_come_before_it_is_used(self):
        synchronizer = filled(90 * MS)
        depth = depth_promise(synchronizer, 100 * MS, 0.02, LONG_WAIT_S)
        # As many as a camera of 30 Hz sends while a detector runs for a second.
        for index in range(30):
            synchronizer.add(Role.DEPTH, (101 + 33 * index) * MS, (101 + 33 * index) * MS)
        assert depth() == 101 * MS

    def test_close_ends_the_wait_and_open_allows_it_again(self):
        synchronizer = filled(90 * MS)
        depth = depth_promise(synchronizer, 100 * MS, 0.02, LONG_WAIT_S)
        synchronizer.close()
        begin = time.monotonic()
        assert depth() == 90 * MS
        assert time.monotonic() - begin < LONG_WAIT_S / 2
        synchronizer.open()
        begin = time.monotonic()
        depth_promise(synchronizer, 110 * MS, 0.02, 0.05)()
        assert time.monotonic() - begin >= 0.05


class TestLiveTransforms:
    """`Synchronizer.frame_set(...).lookup`."""

    @staticmethod
    def promise(synchronizer, tf_wait_s):
        config = make_config(frames__tf_wait_s=tf_wait_s)
        lookup = synchronizer.frame_set(None, 1, 0, config, CameraTopics()).lookup
        return lambda: lookup('map', 'base_link', 150 * MS)

    def test_is_waited_for_until_the_stamp_can_be_interpolated(self):
        synchronizer = Synchronizer()
        thread, results = run(self.promise(synchronizer, LONG_WAIT_S))
        synchronizer.add(Role.TF, transform(100 * MS))
        thread.join(0.05)
        assert thread.is_alive()
        synchronizer.add(Role.TF, transform(200 * MS))
        thread.join(TIMEOUT_S)
        assert results[0].translation_m.tolist() == pytest.approx([0.15, 0.0, 0.0])

    def test_the_wait_ends_at_its_limit(self):
        synchronizer = Synchronizer()
        synchronizer.add(Role.TF, transform(100 * MS))
        begin = time.monotonic()
        with pytest.raises(TransformError):
            self.promise(synchronizer, 0.05)()
        assert time.monotonic() - begin >= 0.05

    def test_what_cannot_come_is_not_waited_for(self):
        synchronizer = Synchronizer()
        synchronizer.add(Role.TF, transform(200 * MS))
        begin = time.monotonic()
        with pytest.raises(TransformError):
            self.promise(synchronizer, LONG_WAIT_S)()
        assert time.monotonic() - begin < LONG_WAIT_S / 2

    def test_close_ends_the_wait(self):
        synchronizer = Synchronizer()
        synchronizer.close()
        begin = time.monotonic()
        with pytest.raises(TransformError):
            self.promise(synchronizer, LONG_WAIT_S)()
        assert time.monotonic() - begin < LONG_WAIT_S / 2

    def test_static_transforms_stay_after_a_jump_of_time(self):
        synchronizer = Synchronizer()
        synchronizer.add(Role.TF_STATIC, transform(0, 'camera'))
        synchronizer.add(Role.TF, transform(150 * MS))
        synchronizer.reset()
        assert synchronizer.lookup('map', 'camera', 150 * MS)
        with pytest.raises(TransformError):
            synchronizer.lookup('map', 'base_link', 150 * MS)

    def test_an_invalid_transform_is_reported_once(self):
        synchronizer = Synchronizer()
        synchronizer.add(Role.TF, transform(0, 'map'))
        assert 'expected two different frames' in synchronizer.take_transform_fault()
        assert synchronizer.take_transform_fault() == ''

    def test_cameras_share_transforms_and_each_reports_a_fault_once(self):
        transforms = SharedTransforms()
        cameras = [Synchronizer(transforms) for _ in range(2)]
        waiting = [run(self.promise(camera, LONG_WAIT_S)) for camera in cameras]
        for stamp_ns in (100 * MS, 200 * MS):
            transforms.add(transform(stamp_ns), static=False)
        for thread, results in waiting:
            thread.join(TIMEOUT_S)
            assert results[0].translation_m.tolist() == pytest.approx([0.15, 0.0, 0.0])
        transforms.refuse('unreadable')
        assert [camera.take_transform_fault() for camera in cameras] == ['unreadable'] * 2
        assert [camera.take_transform_fault() for camera in cameras] == [''] * 2

    def test_closing_one_camera_ends_no_wait_of_another(self):
        transforms = SharedTransforms()
        first, second = (Synchronizer(transforms) for _ in range(2))
        lookup = self.promise(second, LONG_WAIT_S)

        def fails():
            with pytest.raises(TransformError):
                lookup()
            return True

        thread, results = run(fails)
        first.close()
        thread.join(0.05)
        assert thread.is_alive()
        second.close()
        thread.join(TIMEOUT_S)
        assert results == [True]


def image(received_ms, stamp_ms=None):
    stamp_ns = (received_ms if stamp_ms is None else stamp_ms) * MS
    pixels = np.zeros((2, 2, 3), np.uint8)
    return Sample(Role.IMAGE, received_ms * MS, color_image(pixels, stamp_ns, 'camera'))


def depth_sample(received_ms, stamp_ms=None):
    stamp_ns = (received_ms if stamp_ms is None else stamp_ms) * MS
    pixels = np.ones((2, 2), np.uint16)
    return Sample(Role.DEPTH, received_ms * MS, depth_image(pixels, stamp_ns, 'camera'))


def info_sample(received_ms, frame_id):
    cdr = camera_info(CAMERA, received_ms * MS, frame_id)
    return Sample(Role.CAMERA_INFO, received_ms * MS, cdr)


def tf_sample(received_ms):
    message = transform(received_ms * MS)
    cdr = bytes(TYPES.serialize_cdr(message, Role.TF.type_name))
    return Sample(Role.TF, received_ms * MS, cdr)


def recorded(roles=ROLES, **parameters):
    config = make_config(**parameters)
    return RecordedSynchronizer(roles, config, CameraTopics(), TYPES)


def join(samples, roles=ROLES, **parameters):
    """Return stamp, frame of the calibration, and stamp of the depth of each image, in ms."""
    synchronizer = recorded(roles, **parameters)
    synchronizer.prime(info_sample(0, 'first'))
    frames = [frame for sample in samples for frame in synchronizer.add(sample)]
    frames += synchronizer.flush()
    return [
        (
            message_stamp_ns(frame.sample.cdr) // MS,
            frame.camera_info.header.frame_id,
            frame.depth and message_stamp_ns(frame.depth.cdr) // MS,
        )
        for frame in frames
    ]


def in_order(samples):
    return sorted(samples, key=lambda sample: sample.stamp_ns)


class TestRecorded:
    """`RecordedSynchronizer`."""

    def test_calibration_is_the_newest_before_the_image(self):
        infos = [info_sample(20, 'second'), info_sample(40, 'third')]
        samples = in_order([*infos, image(10), image(30), image(50)])
        assert [info for _, info, _ in join(samples)] == ['first', 'second', 'third']

    @pytest.mark.parametrize(
        ('depths', 'expected'),
        [
            ([], None),
            ([(90, 90)], 90),
            ([(90, 90), (103, 101)], 101),
            # The image waits for later depth, up to the limit.
            ([(90, 85), (190, 100)], 100),
            ([(90, 85), (201, 100)], 85),
            # A later stamp ends the wait.
            ([(103, 130), (104, 100)], None),
            ([(90, 79)], None),
        ],
    )
    def test_depth_is_the_nearest_that_is_recorded_in_time(self, depths, expected):
        samples = in_order([image(100), *(depth_sample(*depth) for depth in depths)])
        assert join(samples) == [(100, 'first', expected)]

    @settings(max_examples=60)
    @given(
        steps=strategies.lists(
            strategies.tuples(
                strategies.sampled_from([image, depth_sample]), strategies.integers(1, 60)
            ),
            max_size=40,
        ),
        delay_ms=strategies.integers(0, 30),
    )
    def test_equals_a_live_synchronizer_that_got_the_messages_until_the_image_is_settled(
        self, steps, delay_ms
    ):
        now, samples = 0, []
        for make, step in steps:
            now += step
            delay = delay_ms if make is depth_sample else 0
            samples.append(make(now, max(now - delay, 0)))
        expected = []
        for index, sample in enumerate(samples):
            if sample.role is not Role.IMAGE:
                continue
            stamp_ns = message_stamp_ns(sample.cdr)
            live = Synchronizer()
            for earlier in samples[:index]:
                self.put(live, earlier)
            request = live.request_depth(
                live.image_time(stamp_ns, sample.stamp_ns), make_config().depth
            )
            for later in samples[index + 1 :]:
                if request.is_settled or later.stamp_ns - sample.stamp_ns > 100 * MS:
                    break
                self.put(live, later)
            depth_ns = request.nearest(0.02)
            expected.append((stamp_ns // MS, None if depth_ns is None else depth_ns // MS))
        assert [(stamp, depth) for stamp, _, depth in join(samples)] == expected

    def test_depth_is_kept_while_an_image_waits_for_its_transforms(self):
        synchronizer = recorded(
            ROLES | {Role.TF}, frames__fixed_frame='map', frames__tf_wait_s=1.0
        )
        samples = [image(100), *(depth_sample(101 + 33 * index) for index in range(40))]
        (frame,) = (frame for sample in samples for frame in synchronizer.add(sample))
        assert message_stamp_ns(frame.depth.cdr) == 101 * MS

    @staticmethod
    def put(synchronizer, sample):
        if sample.role is Role.DEPTH:
            stamp_ns = message_stamp_ns(sample.cdr)
            synchronizer.add(Role.DEPTH, stamp_ns, stamp_ns, sample.stamp_ns)

    def test_depth_is_not_waited_for_without_its_topic(self):
        samples = [image(1), depth_sample(2), image(3)]
        roles = frozenset({Role.IMAGE})
        synchronizer = recorded(roles)
        counts = [len(list(synchronizer.add(sample))) for sample in samples]
        assert counts == [1, 0, 1]

    def test_depth_is_ignored_when_the_configuration_does_not_need_it(self):
        synchronizer = recorded(depth__source='model')
        (frame,) = [
            frame for sample in (depth_sample(1), image(1)) for frame in synchronizer.add(sample)
        ]
        assert frame.depth is None

    def test_broken_messages_are_left_out(self):
        broken = b'\0\7\0\0' + bytes(8)
        samples = [
            Sample(Role.CAMERA_INFO, MS, broken),
            Sample(Role.DEPTH, MS, broken),
            depth_sample(2),
            image(2),
        ]
        assert join(samples) == [(2, 'first', 2)]

    def test_a_broken_image_is_an_error_of_its_own_frame(self):
        synchronizer = recorded(frozenset({Role.IMAGE}))
        (frame,) = synchronizer.add(Sample(Role.IMAGE, MS, b'\0\1\0\0'))
        with raises(SourceError, 'broken_message'):
            synchronizer.frame_set(frame)

    @pytest.mark.parametrize(('tf_wait_s', 'expected'), [(0.0, 95), (0.05, 140), (0.2, 190)])
    def test_an_image_waits_for_its_transforms(self, tf_wait_s, expected):
        synchronizer = recorded(
            frozenset({Role.IMAGE, Role.TF}),
            frames__fixed_frame='map',
            frames__tf_wait_s=tf_wait_s,
        )
        samples = [tf_sample(95), image(100), tf_sample(140), tf_sample(190), tf_sample(320)]
        newest = []
        for sample in samples:
            for frame in synchronizer.add(sample):
                pose = synchronizer.frame_set(frame).lookup('map', 'base_link', None)
                newest.append(round(pose.translation_m[0] * 1000))
        assert newest == [expected]


@pytest.mark.parametrize('little_endian', [True, False])
def test_the_stamp_of_a_message_is_read_in_either_byte_order(little_endian):
    stamp = TYPES.types['builtin_interfaces/msg/Time'](sec=1, nanosec=234 * MS)
    header = TYPES.types['std_msgs/msg/Header'](stamp=stamp, frame_id='camera')
    cdr = bytes(TYPES.serialize_cdr(header, 'std_msgs/msg/Header', little_endian=little_endian))
    assert message_stamp_ns(cdr) == 1234 * MS


@pytest.mark.parametrize('cdr', [b'\0\1\0\0', b'\0\7\0\0' + bytes(8)])
def test_a_message_without_a_stamp_has_none(cdr):
    assert message_stamp_ns(cdr) is None


@pytest.mark.parametrize(
    ('parameters', 'added'),
    [
        ({'depth__source': 'model'}, set()),
        ({'depth__source': 'sensor'}, SENSOR),
        ({'depth__source': 'fused'}, SENSOR),
        (
            {'depth__source': 'model', 'frames__gravity_frame': 'map'},
            {Role.TF, Role.TF_STATIC},
        ),
    ],
)
def test_only_messages_that_the_configuration_needs_are_asked_for(parameters, added):
    always = {Role.IMAGE, Role.COMPRESSED_IMAGE, Role.CAMERA_INFO}
    assert needed_roles(make_config(**parameters)) == always | added
