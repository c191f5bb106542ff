"""Stages that hang, threads that end, and signals, on the real node."""

import threading

import pytest

pytest.importorskip('rclpy')

from graph import random_rgb, RELIABLE, SECOND_NS, to_image_message
from lifecycle_msgs.srv import GetState
from rclpy.lifecycle import LifecyclePublisher

from robot_perception.models.stub import StubDepthEstimator
from robot_perception.nodes import stage_limits
from robot_perception.nodes.supervisor import WorkerError

pytestmark = pytest.mark.ros

OK, ERROR = b'\x00', b'\x02'


@pytest.fixture
def hang(monkeypatch):
    """Make the depth stage hang while the event is set; the limits are a tenth of the real."""
    monkeypatch.setattr(stage_limits, '_LATE', (0.2, 3.0))
    monkeypatch.setattr(stage_limits, '_HANGS', (0.5, 10.0))
    hangs, release, estimate = threading.Event(), threading.Event(), StubDepthEstimator.estimate
    hangs.began, hangs.release = threading.Event(), release

    def hanging(self, frame):
        if hangs.is_set():
            hangs.began.set()
            release.wait()
        return estimate(self, frame)

    monkeypatch.setattr(StubDepthEstimator, 'estimate', hanging)
    yield hangs
    release.set()


class Feed:
    """Publishes images, each with the next stamp."""

    def __init__(self, graph):
        graph.start()
        self.graph, self.sent = graph, 0
        self.image = graph.publisher('image', 'sensor_msgs/msg/Image', RELIABLE)
        graph.subscribe_outputs('depth/image')
        graph.connect(self.image)
        self.send()
        graph.spin_until(lambda: graph.received['depth/image'], 'first frame')

    def send(self):
        self.sent += 1
        self.image.publish(to_image_message(random_rgb(self.sent), self.sent * SECOND_NS))
        self.graph.spin_until(lambda: self.graph.counts().received == self.sent, 'arrival')


def check_sum(graph, sent):
    counts = graph.counts()
    ended = counts.published + sum(counts.dropped.values()) + sum(counts.rejected.values())
    assert counts.received == sent == ended + counts.waiting
    return counts


def test_a_hanging_stage_is_named_and_its_frame_counted_and_frames_go_on(graph, hang):
    feed = Feed(graph)
    hang.set()
    feed.send()
    client = graph.subscriber.create_client(GetState, '/perception/get_state')
    graph.spin_until(client.service_is_ready, 'service')
    future = client.call_async(GetState.Request())
    graph.spin_until(future.done, 'answer during the hang')
    graph.spin_until(lambda: graph.counts().dropped == {'hang': 1}, 'end of the hang')
    level, message, _ = graph.statuses()['frames']
    assert level == ERROR
    assert message.startswith('depth has run for ')
    assert graph.statuses()['model'][0] == ERROR
    hang.clear()
    feed.send()
    graph.spin_until(lambda: len(graph.received['depth/image']) == 2, 'frame after the hang')
    # A frame counts once all its outputs are published.
    graph.settle()
    assert check_sum(graph, 3).published == 2
    assert graph.statuses()['model'][0] == OK


def test_a_second_hang_ends_the_node(graph, hang):
    feed = Feed(graph)
    hang.set()
    feed.send()
    graph.spin_until(lambda: graph.counts().dropped == {'hang': 1}, 'first hang')
    feed.send()
    with pytest.raises(WorkerError, match='depth has run for .* for the second time'):
        graph.spin(20)
    assert check_sum(graph, 3).dropped == {'hang': 2}


def test_a_publisher_that_blocks_is_named_and_frames_go_on(graph, hang, monkeypatch):
    feed = Feed(graph)
    blocks, publish = threading.Event(), LifecyclePublisher.publish

    def blocking(self, message):
        if self.topic_name == '/perception/depth/image' and blocks.is_set():
            hang.release.wait()
        return publish(self, message)

    monkeypatch.setattr(LifecyclePublisher, 'publish', blocking)
    blocks.set()
    feed.send()
    graph.spin_until(lambda: graph.counts().dropped == {'hang': 1}, 'end of the hang')
    level, message, _ = graph.statuses()['frames']
    assert level == ERROR
    assert message.startswith('publish has run for ')
    blocks.clear()
    feed.send()
    graph.spin_until(lambda: len(graph.received['depth/image']) == 2, 'frame after the hang')


def test_deactivation_abandons_a_stage_that_hangs(graph, hang):
    feed = Feed(graph)
    hang.set()
    feed.send()
    graph.spin_until(hang.began.is_set, 'hang')
    graph.node.trigger_deactivate()
    assert graph.node.lifecycle_state == 'inactive'
    assert check_sum(graph, 2).dropped == {'hang': 1}
    hang.clear()
    graph.node.trigger_activate()
    feed.send()
    graph.spin_until(lambda: len(graph.received['depth/image']) == 2, 'frame')


@pytest.mark.parametrize('error', [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_no_exception_ends_the_worker(graph, monkeypatch, error):
    feed = Feed(graph)

    def fail(self, frame):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(StubDepthEstimator, 'estimate', fail)
        feed.send()
        graph.settle()
    feed.send()
    graph.spin_until(lambda: len(graph.received['depth/image']) == 2, 'frame')
    assert check_sum(graph, 3).dropped == {'internal_error': 1}


def test_a_lost_gpu_ends_the_node(graph, monkeypatch):
    feed = Feed(graph)

    def fail(self, frame):
        raise RuntimeError('CUDA error: an illegal memory access was encountered')

    monkeypatch.setattr(StubDepthEstimator, 'estimate', fail)
    feed.send()
    with pytest.raises(WorkerError, match='depth: the GPU refuses every further call'):
        graph.spin(20)


def test_names_are_qualified_even_after_a_failed_configuration(graph):
    graph.start(detector__model='/no/such/folder')
    values = graph.statuses()['frames'][2]
    assert values['topic'] == '/image'
    statuses = graph.received['/diagnostics'][-1].status
    assert {status.name.split(':')[0] for status in statuses} == {'/perception'}
    assert {status.hardware_id for status in statuses} == {'/image'}
