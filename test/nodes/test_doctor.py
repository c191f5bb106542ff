"""The doctor in a real graph: many causes at once, a healthy graph, and no camera."""

from contextlib import contextmanager
from itertools import count, groupby
import threading
import time

import pytest

pytest.importorskip('rclpy')

from graph import (
    BEST_EFFORT,
    Graph,
    random_rgb,
    RELIABLE,
    SIZE_HW,
    to_camera_info,
    to_image_message,
)
import rclpy
from rclpy.context import Context

from robot_perception.core import CameraModel
from robot_perception.nodes import exit_code, sort_causes
from robot_perception.nodes.child import free_domain
from robot_perception.nodes.doctor import examine_graph
from robot_perception.nodes.messages import message_class
from robot_perception.pipeline import PerceptionConfig

pytestmark = [pytest.mark.ros, pytest.mark.slow]
IMAGE, INFO, TF = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CameraInfo', 'tf2_msgs/msg/TFMessage'
STUB = PerceptionConfig.from_preset('stub')
# A camera never sends the same image again.
SEEDS = count()
DOMAINS = count(50)
SECONDS = 8.0


@pytest.fixture
def graph(monkeypatch):
    """Return a graph in a domain of its own, since nodes of earlier tests may still be there."""
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    # The doctor selects a profile, which must not stay selected for later tests.
    for name in ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE'):
        monkeypatch.setenv(name, '')
        monkeypatch.delenv(name)
    made = Graph(1 + (free_domain() + next(DOMAINS)) % 100)
    yield made
    made.close()


@pytest.fixture
def other_camera(graph):
    """Return a second node named camera, of another process so to speak."""
    context = Context()
    rclpy.init(args=[], context=context, domain_id=graph.context.get_domain_id())
    node = rclpy.create_node('camera', context=context)
    yield node
    node.destroy_node()
    rclpy.try_shutdown(context=context)


@contextmanager
def spinning(graph):
    """Spin the graph on another thread, as other processes would."""
    done = threading.Event()

    def spin():
        while not done.is_set():
            graph.executor.spin_once(timeout_sec=0.02)

    thread = threading.Thread(target=spin)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def examine(graph, monkeypatch, seconds=SECONDS):
    monkeypatch.setenv('ROS_DOMAIN_ID', str(graph.context.get_domain_id()))
    with spinning(graph):
        return examine_graph(STUB, {}, seconds)


def reasons(examination):
    causes = sort_causes(examination.causes)
    # Depends on the machine.
    return [cause.reason for cause in causes if cause.reason != 'vulnerable_middleware']


def publish_every(graph, seconds, *messages):
    """Publish the result of each function with its publisher, again and again."""

    def publish():
        for publisher, make in messages:
            publisher.publish(make())

    graph.camera.create_timer(seconds, publish)


def test_healthy_graph(graph, monkeypatch):
    graph.start()
    graph.subscribe_outputs('scene')
    image, info = graph.publisher('/image', IMAGE), graph.publisher('/camera_info', INFO)
    publish_every(
        graph,
        0.1,
        (info, to_camera_info),
        (image, lambda: to_image_message(random_rgb(next(SEEDS)), time.time_ns())),
    )
    examination = examine(graph, monkeypatch)
    assert reasons(examination) == []
    assert examination.unchecked == {}
    assert examination.found['perception node'] == '/perception'
    assert "64x48 rgb8 in 'camera_optical_frame'" in examination.found['image']


# By rclpy's own callback for incompatible QoS.
@pytest.mark.filterwarnings('ignore:Deprecated in favor:DeprecationWarning')
def test_many_causes_at_once(graph, other_camera, monkeypatch):
    graph.start(depth__source='sensor', frames__target_frame='map', input__reliability='reliable')
    image = graph.publisher('/image', IMAGE)
    graph.publisher('/image', IMAGE)
    other_camera.create_publisher(message_class(IMAGE), '/depth/camera_info', RELIABLE)
    other_camera.create_publisher(message_class(IMAGE), '/depth', BEST_EFFORT)
    info, tf = graph.publisher('/camera_info', INFO), graph.publisher('/tf', TF)
    clock = graph.publisher('/clock', 'rosgraph_msgs/msg/Clock')
    uncalibrated = to_camera_info()
    uncalibrated.k[:] = 0.0
    stamps = iter([1_000_000_000, 1_000_000_000, 900_000_000, 0] * 100)
    no_rotation = message_class(TF)()
    transform = message_class('geometry_msgs/msg/TransformStamped')()
    transform.header.frame_id, transform.child_frame_id = 'map', 'odom'
    transform.transform.rotation.w = 0.0
    no_rotation.transforms = [transform]
    publish_every(
        graph,
        0.05,
        (info, lambda: uncalibrated),
        (image, lambda: to_image_message(random_rgb(next(SEEDS)), next(stamps))),
        (tf, lambda: no_rotation),
        (clock, message_class('rosgraph_msgs/msg/Clock')),
    )
    examination = examine(graph, monkeypatch)
    found = reasons(examination)
    # The first images may have another problem of a kind, as before their calibration arrives.
    assert [reason for reason, _ in groupby(found)] == [
        *('connections', 'calibration', 'depth', 'several_publishers', 'duplicate_node'),
        *('tf', 'stamps_zero', 'stamps_equal', 'stamps_disorder', 'foreign_clock'),
        'clock_unused',
    ], examination.causes
    assert found.count('connections') >= 2
    assert found.count('tf') >= 2
    assert exit_code(examination.causes) == 1
    details = {cause.reason: cause.detail for cause in examination.causes}
    assert details['calibration'] == 'not_calibrated'
    assert details['depth'] == 'no_depth'
    assert all(cause.remedy or cause.evidence for cause in examination.causes)


def test_calibrations_that_differ_are_named_without_a_node(graph, other_camera, monkeypatch):
    image, info = graph.publisher('/image', IMAGE), graph.publisher('/camera_info', INFO)
    other_info = other_camera.create_publisher(message_class(INFO), '/camera_info', RELIABLE)
    other = to_camera_info(CameraModel.nominal(SIZE_HW, 90.0))
    publish_every(
        graph,
        0.1,
        (info, to_camera_info),
        (other_info, lambda: other),
        (image, lambda: to_image_message(random_rgb(next(SEEDS)), time.time_ns())),
    )
    examination = examine(graph, monkeypatch)
    assert 'running node' in examination.unchecked
    (doubt,) = [one for one in examination.causes if one.reason == 'calibration_doubtful']
    assert (doubt.subject, doubt.detail) == ('/camera_info', 'publishers')
    assert 'the publishers send different calibrations: ' in doubt.evidence
    assert exit_code(examination.causes) == 3


def test_each_camera_of_a_node_is_examined(graph, monkeypatch):
    graph.start(cameras=['front', 'left', 'rear'])
    front, info = (
        graph.publisher('/front/image', IMAGE),
        graph.publisher('/front/camera_info', INFO),
    )
    left = graph.publisher('/left/image', IMAGE)
    publish_every(
        graph,
        0.1,
        (front, lambda: to_image_message(random_rgb(next(SEEDS)), time.time_ns())),
        (info, to_camera_info),
        (left, lambda: to_image_message(random_rgb(next(SEEDS)), time.time_ns())),
    )
    examination = examine(graph, monkeypatch)
    missing = {one.subject for one in examination.causes if one.reason == 'no_publisher'}
    assert missing == {'/left/camera_info', '/rear/image'}
    assert 'other perception nodes' not in examination.unchecked
    assert examination.found['perception node'] == '/perception'
    assert examination.found['front image'].startswith('/front/image, ')


def test_no_camera_where_it_was_looked_for(graph, monkeypatch):
    image = graph.publisher('/front/color/image_raw', IMAGE)
    publish_every(
        graph, 0.1, (image, lambda: to_image_message(random_rgb(next(SEEDS)), time.time_ns()))
    )
    examination = examine(graph, monkeypatch, 3.0)
    assert reasons(examination) == ['no_publisher']
    first = examination.causes[0]
    assert first.command == (
        'ros2 launch robot_perception perception.launch.py image:=/front/color/image_raw'
    )
    assert 'running node' in examination.unchecked
