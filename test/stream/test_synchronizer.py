"""Images find the calibration and depth that a node would find for them."""

from types import SimpleNamespace

from hypothesis import given, settings, strategies
import pytest
from robot_perception.bag.camera_stream import camera_frames, CameraFrame, stamp_of
from robot_perception.nodes.depth_buffer import DepthBuffer

from robot_perception.sources import BagMessage, Role
from robot_perception.sources.messages import standard_types

MS = 1_000_000
ROLES = {'/image': Role.IMAGE, '/info': Role.CAMERA_INFO, '/depth': Role.DEPTH}
TYPES = standard_types()


def message(topic, received_ms, stamp_ms=None, *, little_endian=True):
    stamp_ns = (received_ms if stamp_ms is None else stamp_ms) * MS
    stamp = TYPES.types['builtin_interfaces/msg/Time'](
        sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9
    )
    header = TYPES.types['std_msgs/msg/Header'](stamp=stamp, frame_id='eye')
    cdr = bytes(TYPES.serialize_cdr(header, 'std_msgs/msg/Header', little_endian=little_endian))
    return BagMessage(topic, 'std_msgs/msg/Header', received_ms * MS, cdr)


def joined(messages, max_offset_s=0.02, max_wait_s=0.1, roles=ROLES, tf_wait_s=0.1):
    stream = camera_frames(
        messages,
        roles,
        first_info=b'first',
        max_offset_s=max_offset_s,
        max_wait_s=max_wait_s,
        tf_wait_s=tf_wait_s,
    )
    return [
        (stamp_of(one.image.data) // MS, one.info, one.depth and stamp_of(one.depth) // MS)
        for one in stream
        if isinstance(one, CameraFrame)
    ]


def test_calibration_is_the_newest_before_the_image():
    infos = [message('/info', 20), message('/info', 40)]
    images = [message('/image', at) for at in (10, 30, 50)]
    order = sorted([*infos, *images], key=lambda one: one.stamp_ns)
    assert [info for _, info, _ in joined(order)] == [b'first', infos[0].data, infos[1].data]


@pytest.mark.parametrize(
    ('depths', 'expected'),
    [
        ([], None),
        ([(90, 90)], 90),
        ([(90, 90), (103, 101)], 101),
        # It waits for one on its way, but not for ever.
        ([(90, 85), (190, 100)], 100),
        ([(90, 85), (201, 100)], 85),
        # A later one ends the wait.
        ([(103, 130), (104, 100)], None),
        ([(90, 79)], None),
    ],
)
def test_depth_is_the_nearest_that_comes_in_time(depths, expected):
    order = sorted(
        [message('/image', 100), *(message('/depth', *depth) for depth in depths)],
        key=lambda one: one.stamp_ns,
    )
    assert joined(order) == [(100, b'first', expected)]


STEPS = strategies.lists(
    strategies.tuples(strategies.sampled_from(['/image', '/depth']), strategies.integers(1, 60)),
    max_size=40,
)


@settings(max_examples=60)
@given(steps=STEPS, delay_ms=strategies.integers(0, 30))
def test_as_the_buffer_of_the_node_would(steps, delay_ms):
    """The node's buffer holds what was recorded until an image is settled."""
    now, order = 0, []
    for topic, step in steps:
        now += step
        order.append(message(topic, now, max(now - (delay_ms if topic == '/depth' else 0), 0)))
    expected = []
    for place, one in enumerate(order):
        if one.topic != '/image':
            continue
        buffer = DepthBuffer()
        for other in order[:place]:
            put(buffer, other)
        for later in order[place + 1 :]:
            settled = buffer._history.settled(stamp_of(one.data))
            if settled or later.stamp_ns - one.stamp_ns > 100 * MS:
                break
            put(buffer, later)
        found = buffer.nearest(stamp_of(one.data), 0.02, 0.0)
        expected.append((stamp_of(one.data) // MS, found and stamp_of(found.cdr) // MS))
    assert [(stamp, depth) for stamp, _, depth in joined(order)] == expected


def put(buffer, one):
    if one.topic == '/depth':
        stamp_ns = stamp_of(one.data)
        stamp = SimpleNamespace(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
        buffer.put(SimpleNamespace(header=SimpleNamespace(stamp=stamp), cdr=one.data))


def test_depth_is_not_waited_for_without_a_topic_of_it():
    roles = {'/image': Role.IMAGE}
    order = [message('/image', 1), message('/depth', 2), message('/image', 3)]
    assert joined(order, roles=roles) == [(1, b'first', None), (3, b'first', None)]


def test_stamps_of_either_byte_order_and_of_none():
    for little_endian in (True, False):
        assert stamp_of(message('/image', 1234, little_endian=little_endian).data) == 1234 * MS
    assert stamp_of(b'\0\1\0\0') is None
    assert stamp_of(b'\0\7\0\0' + bytes(8)) is None


def test_what_waits_is_given_before_an_error():
    def breaking():
        yield message('/image', 100)
        raise KeyError('cut')

    stream = camera_frames(
        breaking(), ROLES, first_info=None, max_offset_s=0.02, max_wait_s=0.1, tf_wait_s=0.1
    )
    got = []
    with pytest.raises(KeyError, match='cut'):
        got.extend(stream)
    assert [type(one) for one in got] == [BagMessage, CameraFrame]


@pytest.mark.parametrize(('tf_wait_s', 'heard'), [(0.0, 1), (0.05, 2), (0.2, 3)])
def test_an_image_waits_for_its_transforms(tf_wait_s, heard):
    roles = {'/image': Role.IMAGE, '/tf': Role.TF}
    order = [
        message('/tf', 95),
        message('/image', 100),
        message('/tf', 140),
        message('/tf', 190),
        message('/tf', 320),
    ]
    stream = camera_frames(
        order, roles, first_info=None, max_offset_s=0.02, max_wait_s=0.1, tf_wait_s=tf_wait_s
    )
    before = 0
    for item in stream:
        if isinstance(item, CameraFrame):
            break
        before += item.topic == '/tf'
    assert before == heard
