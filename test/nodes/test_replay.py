"""The replay node over real DDS."""

import os
from pathlib import Path
import signal
import subprocess
import sys
import threading

from bags import folder_frames, FRAME_ID, generated_frames, write_rgbd_bag
from commands import read_until
import cv2
import numpy as np
import pytest
from reasons import raises

from robot_perception.core.errors import ConfigError, SourceError

rclpy = pytest.importorskip('rclpy')

from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from robot_perception.nodes.child import free_domain
from robot_perception.nodes.messages import message_class
from robot_perception.nodes.replay_node import ReplayNode

pytestmark = pytest.mark.ros

RECORDINGS = Path(__file__).parents[3] / 'shared' / 'data'
DOMAIN = free_domain()
TIMEOUT_S = 30
RELIABLE = QoSProfile(depth=200, reliability=ReliabilityPolicy.RELIABLE)


@pytest.fixture
def context(monkeypatch):
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    own = Context()
    rclpy.init(args=[], context=own, domain_id=DOMAIN)
    yield own
    rclpy.try_shutdown(context=own)


class Listener:
    """Keeps received messages, serialized, by topic."""

    def __init__(self, context, topics, qos=RELIABLE):
        self.node = rclpy.create_node('listener', context=context)
        self.received = {topic: [] for topic in topics}
        for topic, kind in topics.items():
            self.node.create_subscription(kind, topic, self.received[topic].append, qos, raw=True)


def replay_node(context, path, on_sample=None, **parameters):
    values = {'source': str(path), 'wait_for_subscriber_s': 10.0, **parameters}
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    return ReplayNode(context=context, on_sample=on_sample, parameter_overrides=overrides)


def play_to(listener, node):
    """Play until the end and return the report."""
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    executor.add_node(listener.node)
    node.start()
    try:
        executor.spin_until_future_complete(node.finished, TIMEOUT_S)
        for _ in range(20):
            executor.spin_once(timeout_sec=0.05)
        return node.finished.result()
    finally:
        executor.shutdown()
        node.destroy_node()
        listener.node.destroy_node()


@pytest.mark.parametrize('qos', [RELIABLE, qos_profile_sensor_data], ids=['reliable', 'sensor'])
@pytest.mark.parametrize('compressed', [False, True], ids=['raw', 'jpeg'])
def test_every_image_arrives_in_order_byte_for_byte(context, tmp_path, compressed, qos):
    written = write_rgbd_bag(tmp_path / 'bag', generated_frames(30), compressed=compressed)
    image = 'image/compressed' if compressed else 'image'
    names = {
        image: CompressedImage if compressed else Image,
        'camera_info': CameraInfo,
        'depth': Image,
    }
    listener = Listener(context, names, qos)
    report = play_to(listener, replay_node(context, tmp_path / 'bag', rate=2.0))
    assert (report.samples, report.passes, report.error) == (len(written), 1, None)
    suffixes = {image: '/image_raw', 'camera_info': '/camera_info', 'depth': '/image_raw'}
    for topic, suffix in suffixes.items():
        sent = [
            one.cdr
            for one in written
            if one.topic.removesuffix('/compressed').endswith(suffix)
            and ('depth' in one.topic) == (topic == 'depth')
        ]
        assert len(sent) == 30
        assert listener.received[topic] == sent


@pytest.mark.data
@pytest.mark.skipif(not RECORDINGS.is_dir(), reason='needs the real recordings')
def test_real_recording_arrives(context, tmp_path):
    frames = folder_frames(RECORDINGS / 'redkitchen', 6)
    written = write_rgbd_bag(tmp_path / 'bag', frames, storage='sqlite3')
    listener = Listener(context, {'image': Image})
    play_to(listener, replay_node(context, tmp_path / 'bag', rate=0.5))
    sent = [one.cdr for one in written if one.topic == '/camera/color/image_raw']
    assert listener.received['image'] == sent
    image = deserialize_message(listener.received['image'][0], Image)
    assert (image.height, image.width, image.encoding) == (480, 640, 'bgr8')
    assert bytes(image.data) == frames[0].bgr.tobytes()


def test_image_files_become_messages(context, tmp_path):
    bgr = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    depth = np.arange(12 * 16, dtype=np.uint16).reshape(12, 16)
    cv2.imwrite(str(tmp_path / 'a.color.png'), bgr)
    cv2.imwrite(str(tmp_path / 'a.depth.png'), depth)
    listener = Listener(context, {'image': Image, 'camera_info': CameraInfo, 'depth': Image})
    play_to(listener, replay_node(context, tmp_path, hfov_deg=90.0, frame_id=FRAME_ID))
    image = deserialize_message(listener.received['image'][0], Image)
    assert (image.height, image.width, image.step, image.encoding) == (12, 16, 48, 'bgr8')
    assert image.header.frame_id == FRAME_ID
    assert bytes(image.data) == bgr.tobytes()
    info = deserialize_message(listener.received['camera_info'][0], CameraInfo)
    assert info.header == image.header
    assert list(info.k) == pytest.approx([8, 0, 7.5, 0, 8, 5.5, 0, 0, 1])
    meters = deserialize_message(listener.received['depth'][0], Image)
    assert (meters.encoding, meters.header) == ('16UC1', image.header)
    assert bytes(meters.data) == depth.tobytes()


def test_clock_runs_with_the_recording(context, tmp_path):
    written = write_rgbd_bag(tmp_path / 'bag', generated_frames(5))
    listener = Listener(context, {'image': Image, '/clock': Clock})
    play_to(listener, replay_node(context, tmp_path / 'bag', clock=True))
    clocks = [deserialize_message(one, Clock).clock for one in listener.received['/clock']]
    times = [one.sec * 10**9 + one.nanosec for one in clocks]
    assert times == sorted(times)
    assert times[-1] == written[-1].stamp_ns
    # Between the recorded times, not only at them.
    assert set(times) - {one.stamp_ns for one in written}


def test_transforms_are_left_out_where_ros_lacks_their_messages(context, tmp_path, monkeypatch):
    for name in ('tf2_msgs', 'tf2_msgs.msg'):
        monkeypatch.setitem(sys.modules, name, None)
    message_class.cache_clear()
    write_rgbd_bag(tmp_path / 'bag', generated_frames(1))
    node = replay_node(context, tmp_path / 'bag')
    topics = {output.topic_name for output in node.publishers}
    node.destroy_node()
    assert {'/image', '/camera_info', '/depth'} <= topics
    assert '/tf_static' not in topics


def test_compressed_topic_follows_a_remapping(tmp_path, monkeypatch):
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    own = Context()
    arguments = ['--ros-args', '-r', 'image:=/front/image_raw']
    rclpy.init(args=arguments, context=own, domain_id=DOMAIN)
    try:
        write_rgbd_bag(tmp_path / 'bag', generated_frames(1), compressed=True)
        node = replay_node(own, tmp_path / 'bag')
        topics = {output.topic_name for output in node.publishers}
        node.destroy_node()
    finally:
        rclpy.try_shutdown(context=own)
    assert '/front/image_raw/compressed' in topics


def test_stop_ends_an_endless_loop(context, tmp_path):
    write_rgbd_bag(tmp_path / 'bag', generated_frames(2))
    published = threading.Event()
    node = replay_node(
        context,
        tmp_path / 'bag',
        on_sample=lambda _: published.set(),
        loop=True,
        wait_for_subscriber_s=0.0,
    )
    node.start()
    assert published.wait(TIMEOUT_S)
    node.stop()
    assert node.finished.done()
    node.destroy_node()


def test_the_replay_waits_for_enough_subscribers(context, tmp_path):
    write_rgbd_bag(tmp_path / 'bag', generated_frames(2))
    published = threading.Event()
    node = ReplayNode(
        context=context,
        subscribers=2,
        on_sample=lambda _: published.set(),
        parameter_overrides=[
            Parameter('source', value=str(tmp_path / 'bag')),
            Parameter('wait_for_subscriber_s', value=60.0),
        ],
    )
    listeners = [Listener(context, {'image': Image})]
    node.start()
    try:
        assert not published.wait(1.5)
        listeners.append(Listener(context, {'image': Image}))
        assert published.wait(TIMEOUT_S)
    finally:
        node.destroy_node()
        for listener in listeners:
            listener.node.destroy_node()


@pytest.mark.parametrize(
    ('parameters', 'kind', 'reason', 'message'),
    [
        ({'source': ''}, ConfigError, 'missing_source', 'source: expected a path'),
        ({'rate': 0.0}, ConfigError, 'out_of_range', r'rate: expected 0\.001 to 1000, got'),
        ({'rate': 'fast'}, ConfigError, 'wrong_type', 'rate: expected float'),
        ({'source': '/gone'}, SourceError, 'missing_file', '/gone: expected a bag, video'),
    ],
)
def test_bad_parameters(context, tmp_path, parameters, kind, reason, message):
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((4, 4, 3), np.uint8))
    with raises(kind, reason, match=message):
        replay_node(context, tmp_path / 'a.png', **parameters)


def start_program(folder, source, *arguments):
    """Run the node as `ros2 run` does, in a process of its own."""
    code = 'from robot_perception.nodes.replay_node import main; raise SystemExit(main())'
    environment = {'ROS_DOMAIN_ID': str(DOMAIN), 'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}
    return subprocess.Popen(
        [sys.executable, '-c', code, '--ros-args', '-p', f'source:={source}', *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.fixture
def recording(tmp_path):
    write_rgbd_bag(tmp_path / 'whole', generated_frames(3))
    cut = tmp_path / 'cut.mcap'
    cut.write_bytes((tmp_path / 'whole' / 'whole.mcap').read_bytes()[:-8])
    return tmp_path


@pytest.mark.parametrize(
    ('arguments', 'code', 'text'),
    [
        (['whole'], 0, 'bag whole: '),
        (['gone'], 1, 'gone: expected a bag'),
        (['whole', '-p', 'rate:=-1.0'], 2, 'rate: expected 0.001 to 1000'),
        (['whole', '--bogus'], 2, 'bad ROS arguments'),
        (['cut.mcap'], 3, 'breaks off after'),
    ],
)
def test_exit_code(recording, arguments, code, text):
    program = start_program(recording, *arguments)
    _, errors = program.communicate(timeout=TIMEOUT_S)
    assert program.returncode == code, errors
    assert text in errors
    assert 'Traceback' not in errors


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM], ids=lambda one: one.name)
def test_signal_ends_the_program_cleanly(recording, number):
    program = start_program(recording, 'whole', '-p', 'loop:=true', '-p', 'clock:=true')
    try:
        assert 'bag whole: ' in read_until(program, program.stderr, 'bag whole: ')
        program.send_signal(number)
        _, errors = program.communicate(timeout=TIMEOUT_S)
    finally:
        # It would keep publishing to the next user of its domain.
        program.kill()
    assert program.returncode == 0, errors
    assert 'Traceback' not in errors
    assert 'never retrieved' not in errors
