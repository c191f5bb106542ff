"""Outputs that are made while the next frame is computed, over real DDS with stub networks."""

import threading
import time

import pytest

pytest.importorskip('rclpy')

from graph import random_rgb, RELIABLE, SECOND_NS, to_image_message, TYPES, wait_until
import rclpy

from robot_perception.core import ModelError
from robot_perception.models.stub import StubDetector
from robot_perception.nodes import stage_limits
from robot_perception.nodes.messages import message_class
from robot_perception.stream import outputs

pytestmark = pytest.mark.ros

OK, ERROR = b'\x00', b'\x02'
TIMEOUT_S = 20.0


class Stages:
    """The detector and the making of its messages, which can be held, slowed and made to fail.

    The detector waits as for a GPU, without the lock of Python.

    Attributes:
        network, output: let frames go on where they are set.
        computed, made: seconds of the stamps of the images, in the order of their calls.
        errors: seconds -> error of the output.
        network_s: time that the detector takes.
        output_threads: names of the threads that made messages.
    """

    def __init__(self, monkeypatch):
        self.network, self.output = threading.Event(), threading.Event()
        self.network.set()
        self.output.set()
        self.computed, self.made, self.errors = [], [], {}
        self.network_s = 0.0
        self.output_threads = set()
        detect, make = StubDetector.detect, outputs.conversions.detections_2d_message

        def detect_slowly(network, image, **options):
            self.computed.append(image.image.stamp_ns // SECOND_NS)
            self.network.wait(TIMEOUT_S)
            time.sleep(self.network_s)
            return detect(network, image, **options)

        def make_slowly(factory, header, detections):
            self.output_threads.add(threading.current_thread().name)
            self.made.append(header.stamp.sec)
            self.output.wait(TIMEOUT_S)
            if header.stamp.sec in self.errors:
                raise self.errors[header.stamp.sec]
            return make(factory, header, detections)

        monkeypatch.setattr(StubDetector, 'detect', detect_slowly)
        monkeypatch.setattr(outputs.conversions, 'detections_2d_message', make_slowly)


@pytest.fixture
def stages(monkeypatch):
    made = Stages(monkeypatch)
    yield made
    made.network.set()
    made.output.set()


class Rig:
    """A node, its camera and its outputs."""

    def __init__(self, graph, *topics, cameras=('',), **parameters):
        self.graph, self.topics, self.cameras = graph, topics, cameras
        names = {} if cameras == ('',) else {'cameras': list(cameras)}
        graph.start(**{'overlap_outputs': 'always', **names, **parameters})
        self.images = []
        for camera in cameras:
            prefix = f'{camera}/' if camera else ''
            for topic in topics:
                graph.subscribe(f'/perception/{prefix}{topic}', TYPES[topic], name=prefix + topic)
            self.images.append(
                graph.publisher(f'{prefix}image', 'sensor_msgs/msg/Image', RELIABLE)
            )
        self.connect()

    def connect(self):
        for image in self.images:
            self.graph.connect(image)
        names = {
            f'/perception/{camera}/{topic}'.replace('//', '/')
            for camera in self.cameras
            for topic in self.topics
        }
        self.graph.spin_until(
            lambda: (
                names
                <= {
                    one.topic_name
                    for one in self.graph.node.publishers
                    if one.get_subscription_count()
                }
            ),
            'outputs',
        )

    def send(self, seconds, camera=0):
        """Publish an image and wait until the node has received it."""
        before = self.graph.counts(camera).received
        self.images[camera].publish(to_image_message(random_rgb(seconds), seconds * SECOND_NS))
        self.graph.spin_until(lambda: self.graph.counts(camera).received > before, 'image')

    def settle(self, camera=0):
        self.graph.spin_until(lambda: self.graph.counts(camera).waiting == 0, 'end')

    def stamps(self, name):
        """Return the seconds of the stamps of the messages of a topic, in order of arrival."""
        return [message.header.stamp.sec for message in self.graph.received[name]]

    def wait_for_stamps(self, expected):
        for topic in self.topics:
            self.graph.spin_until(
                lambda t=topic: self.stamps(t) == expected, f'{topic}: {expected}'
            )


def hold_first_output(rig, stages):
    """Send an image and hold the making of its output."""
    stages.output.clear()
    rig.send(1)
    rig.graph.spin_until(lambda: stages.made == [1], 'first output')


def begin_second_frame(rig, stages):
    """Send another image and wait until the network has it."""
    rig.send(2)
    rig.graph.spin_until(lambda: stages.computed == [1, 2], 'second frame')


def alive(name):
    return [one for one in threading.enumerate() if one.name == name and one.is_alive()]


def test_the_next_frame_is_computed_meanwhile_and_no_later_one(graph, stages):
    rig = Rig(graph, 'detections', 'depth/image', 'timing')
    hold_first_output(rig, stages)
    # The output of the first ends only after this.
    begin_second_frame(rig, stages)
    rig.send(3)
    rig.send(4)
    graph.spin(0.3)
    assert (stages.computed, stages.made) == ([1, 2], [1])
    counts = graph.counts()
    assert (counts.published, counts.waiting, counts.dropped) == (0, 3, {'newer_frame': 1})
    stages.output.set()
    rig.settle()
    rig.wait_for_stamps([1, 2, 4])
    assert (stages.computed, stages.made) == ([1, 2, 4], [1, 2, 4])
    assert graph.counts().published == 3
    assert stages.output_threads == {'outputs'}
    (timing, *_) = graph.received['timing']
    last_s = dict(zip(timing.stages, timing.last, strict=True))
    assert last_s['publish'] > 0.3


@pytest.mark.parametrize('choice', ['auto', 'never'])
def test_on_a_cpu_frames_are_made_on_one_thread(graph, stages, choice):
    rig = Rig(graph, 'detections', overlap_outputs=choice)
    rig.send(1)
    rig.wait_for_stamps([1])
    assert stages.output_threads == {'perception'}
    assert not alive('outputs')


def test_every_output_of_every_frame_arrives_in_order(graph, stages):
    rig = Rig(graph, 'detections', 'scene', 'timing')
    stages.network_s = 0.004
    for seconds in range(1, 41):
        rig.send(seconds)
    rig.settle()
    counts = graph.counts()
    assert counts.received == 40 == counts.published + sum(counts.dropped.values())
    assert counts.dropped.keys() <= {'newer_frame'}
    assert stages.computed == stages.made
    assert len(stages.made) == counts.published
    assert stages.made == sorted(set(stages.made))
    assert stages.made[-1] == 40
    rig.wait_for_stamps(stages.made)


def test_an_output_that_fails_is_reported_and_loses_no_other_frame(graph, stages):
    class Panic(BaseException):
        """What libraries in Rust raise."""

    rig = Rig(graph, 'detections', 'timing')
    stages.errors = {2: ZeroDivisionError('two'), 3: Panic('three')}
    for seconds in range(1, 5):
        rig.send(seconds)
        rig.settle()
        if seconds == 2:
            level, message, _ = graph.statuses()['outputs']
            assert level == ERROR
            assert "detections: ZeroDivisionError('two')" in message
    graph.spin_until(lambda: rig.stamps('timing') == [1, 2, 4], 'timing')
    graph.spin_until(lambda: rig.stamps('detections') == [1, 4], 'others')
    counts = graph.counts()
    assert (counts.published, counts.dropped) == (3, {'internal_error': 1})
    assert graph.statuses()['outputs'][:1] == (OK,)


def test_a_network_that_fails_leaves_the_frame_before_alone(graph, stages, monkeypatch):
    rig = Rig(graph, 'detections')
    hold_first_output(rig, stages)

    def fail(network, image, **options):
        raise ModelError('broken', 'detector: broken')

    with monkeypatch.context() as patch:
        patch.setattr(StubDetector, 'detect', fail)
        rig.send(2)
        graph.spin_until(lambda: graph.counts().dropped == {'model_error': 1}, 'loss')
    stages.output.set()
    rig.send(3)
    rig.wait_for_stamps([1, 3])
    rig.settle()


def test_deactivation_publishes_what_is_at_work_and_nothing_later(graph, stages):
    rig = Rig(graph, 'detections', 'timing')
    hold_first_output(rig, stages)
    stages.network.clear()
    begin_second_frame(rig, stages)
    rig.send(3)
    release = threading.Timer(0.2, lambda: (stages.network.set(), stages.output.set()))
    release.start()
    graph.node.trigger_deactivate()
    release.join()
    counts = graph.counts()
    assert (counts.published, counts.waiting, counts.dropped) == (2, 0, {'inactive': 1})
    assert not alive('outputs')
    assert not alive('perception')
    rig.wait_for_stamps([1, 2])
    graph.node.trigger_activate()
    rig.connect()
    rig.send(4)
    rig.settle()
    rig.wait_for_stamps([1, 2, 4])
    assert graph.counts().published == 3


def test_deactivation_gives_up_outputs_that_do_not_end(graph, stages):
    rig = Rig(graph, 'detections')
    hold_first_output(rig, stages)
    begin_second_frame(rig, stages)
    graph.node.trigger_deactivate()
    assert graph.counts().dropped == {'hang': 2}
    # The thread of the networks waited for the other one, and is not kept by it.
    wait_until(lambda: not alive('perception'))
    assert graph.node.supervisor.has_abandoned_thread
    graph.node.trigger_activate()
    rig.connect()
    stages.output.set()
    wait_until(lambda: not graph.node.supervisor.has_abandoned_thread)
    assert not graph.node.supervisor.has_abandoned_thread
    rig.send(3)
    rig.settle()
    # Nothing of the frame that was given up, which would arrive first.
    rig.wait_for_stamps([3])
    counts = graph.counts()
    assert (counts.published, counts.dropped) == (1, {'hang': 2})


@pytest.mark.parametrize('waiting', [0, 1])
def test_outputs_that_hang_are_abandoned_and_frames_go_on(graph, stages, monkeypatch, waiting):
    rig = Rig(graph, 'detections')
    rig.send(1)
    rig.wait_for_stamps([1])
    rig.settle()
    monkeypatch.setattr(stage_limits, '_LATE', (0.2, 3.0))
    monkeypatch.setattr(stage_limits, '_HANGS', (0.5, 10.0))
    stages.output.clear()
    rig.send(2)
    graph.spin_until(lambda: stages.made == [1, 2], 'second output')
    if waiting:
        rig.send(3)
    lost = {'hang': 1 + waiting}
    graph.spin_until(lambda: graph.counts().dropped == lost, 'end of the hang')
    assert graph.node.supervisor.trouble.startswith('publish has run for')
    held, stages.output = stages.output, threading.Event()
    stages.output.set()
    # The thread of the networks did not hang, and takes no image from its successor.
    rig.send(4)
    rig.wait_for_stamps([1, 4])
    rig.settle()
    held.set()
    wait_until(lambda: not graph.node.supervisor.has_abandoned_thread)
    assert not graph.node.supervisor.has_abandoned_thread
    rig.send(5)
    rig.settle()
    rig.wait_for_stamps([1, 4, 5])
    counts = graph.counts()
    assert (counts.published, counts.dropped) == (3, lost)


def test_a_shutdown_of_ros_in_the_middle_ends_both_threads(graph, stages):
    rig = Rig(graph, 'detections')
    hold_first_output(rig, stages)
    begin_second_frame(rig, stages)
    release = threading.Timer(0.2, stages.output.set)
    release.start()
    # Destroys the nodes.
    rclpy.try_shutdown(context=graph.context)
    graph.nodes.clear()
    release.join()
    counts = graph.counts()
    assert (counts.received, counts.waiting) == (2, 0)
    assert not counts.rejected
    assert not alive('outputs')
    assert not alive('perception')


def test_a_request_is_answered_once_by_a_frame_that_began_after_it(graph, stages, monkeypatch):
    graph.start(overlap_outputs='always')
    image = graph.publisher('image', 'sensor_msgs/msg/Image', RELIABLE)
    service = message_class('robot_perception/srv/Perceive')
    client = graph.subscriber.create_client(service, '/perception/perceive')
    graph.spin_until(client.service_is_ready, 'service')
    graph.connect(image)
    held, release, scene_message = [], threading.Event(), outputs.conversions.scene_message

    def hold(*arguments):
        held.append(arguments)
        release.wait(TIMEOUT_S)
        return scene_message(*arguments)

    monkeypatch.setattr(outputs.conversions, 'scene_message', hold)

    def ask():
        answer = client.call_async(service.Request(timeout_s=60.0))
        graph.spin(0.3)
        return answer

    def send(seconds):
        before = graph.counts().received
        image.publish(to_image_message(random_rgb(seconds), seconds * SECOND_NS))
        graph.spin_until(lambda: graph.counts().received > before, 'image')

    first = ask()
    send(1)
    graph.spin_until(lambda: held, 'scene')
    # The request is that of the first frame, so that the second serves no one.
    send(2)
    graph.spin_until(lambda: graph.counts().dropped == {'no_subscriber': 1}, 'second frame')
    second = ask()
    send(3)
    graph.spin_until(lambda: stages.computed == [1, 3], 'third frame')
    release.set()
    graph.spin_until(lambda: first.done() and second.done(), 'answers')
    answers = [one.result() for one in (first, second)]
    assert [one.success for one in answers] == [True, True]
    assert [one.scene.header.stamp.sec for one in answers] == [1, 3]
    graph.settle()
    assert (graph.counts().published, len(held)) == (2, 2)


@pytest.mark.parametrize('batch', ['never', 'always'])
def test_cameras_share_the_thread_and_each_keeps_its_order(graph, stages, batch):
    cameras = ('front', 'rear')
    rig = Rig(graph, 'detections', 'scene', cameras=cameras, batch_cameras=batch)
    stages.network_s = 0.002
    for seconds in range(1, 21):
        rig.send(seconds, camera=0)
        rig.send(seconds, camera=1)
    for index, camera in enumerate(cameras):
        rig.settle(index)
        counts = graph.counts(index)
        assert counts.received == 20 == counts.published + sum(counts.dropped.values())
        for topic in rig.topics:
            name = f'{camera}/{topic}'
            graph.spin_until(lambda n=name, c=counts: len(rig.stamps(n)) == c.published, name)
            stamps = rig.stamps(name)
            assert stamps == sorted(set(stamps))
            assert stamps[-1] == 20
    assert stages.output_threads == {'outputs'}
