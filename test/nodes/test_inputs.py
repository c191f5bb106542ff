"""Inputs over DDS: many kinds of publishers of calibrations and images in one graph."""

import os
from pathlib import Path
import re
import subprocess
import sys
import time

from graph import (
    BEST_EFFORT,
    header,
    LATCHED,
    random_rgb,
    RELIABLE,
    to_camera_info,
    to_image_message,
    TYPES,
)
import numpy as np
import pytest
from rclpy.duration import Duration
from rclpy.event_handler import (
    PublisherEventCallbacks,
    SubscriptionEventCallbacks,
    UnsupportedEventTypeError,
)
from rclpy.qos import LivelinessPolicy, QoSProfile

from robot_perception.core import CameraModel
from robot_perception.nodes.calibration_input import CalibrationInput
from robot_perception.nodes.diagnostic_status import ERROR, OK, WARN
from robot_perception.nodes.inputs import image_topics, Input
from robot_perception.nodes.messages import message_class, message_stamp_ns
from robot_perception.pipeline import Reliability, Transport
from robot_perception.sources import Role

pytestmark = pytest.mark.ros

INFO = Role.CAMERA_INFO.type_name
OTHER = to_camera_info(CameraModel.nominal((48, 64), 90.0))


class Calibrations:
    """Calibration inputs of one node, by topic, which follow their publishers."""

    def __init__(self, graph):
        self.graph = graph
        self.inputs, self.received = {}, {}
        graph.subscriber.create_timer(0.2, self.update)

    def listen(self, topic):
        kept = self.received[topic] = []
        self.inputs[topic] = CalibrationInput(
            self.graph.subscriber, topic, INFO, kept.append, Reliability.AUTO
        )

    def update(self):
        for one in self.inputs.values():
            one.update()

    def publisher(self, topic, qos, node=None):
        return (node or self.graph.camera).create_publisher(
            message_class(INFO),
            topic,
            qos,
            # rclpy warns of each subscription that is for another kind.
            event_callbacks=PublisherEventCallbacks(use_default_callbacks=False),
        )

    def doubts(self, topic):
        return list(self.inputs[topic].doubts())


def test_calibrations_of_every_kind_of_publisher(graph):
    calibrations = Calibrations(graph)
    topics = ['/once', '/latched', '/late', '/often', '/before', '/equal', '/different']
    latched = calibrations.publisher('/latched', LATCHED)
    latched.publish(to_camera_info())
    before = calibrations.publisher('/before', BEST_EFFORT)
    before.publish(to_camera_info())
    for topic in topics:
        calibrations.listen(topic)
    # A best-effort publisher that sends as soon as anybody listens, and never again.
    once = calibrations.publisher('/once', BEST_EFFORT)
    graph.spin_until(once.get_subscription_count, 'connection')
    once.publish(to_camera_info())
    often = calibrations.publisher('/often', BEST_EFFORT)
    pairs = {
        topic: [
            calibrations.publisher(topic, qos, node)
            for qos, node in ((RELIABLE, graph.camera), (LATCHED, graph.subscriber))
        ]
        for topic in ('/equal', '/different')
    }
    for _ in range(30):
        often.publish(to_camera_info())
        for topic, (first, second) in pairs.items():
            first.publish(to_camera_info())
            second.publish(OTHER if topic == '/different' else to_camera_info())
        graph.spin(0.033)
    late = calibrations.publisher('/late', RELIABLE)
    graph.spin_until(late.get_subscription_count, 'connection')
    late.publish(to_camera_info())
    received = calibrations.received
    graph.spin_until(lambda: received['/late'], 'late calibration')
    assert len(received['/once']) == 1
    assert received['/latched']
    assert len(received['/often']) > 15
    assert not received['/before']
    # Equal ones are legal.
    for topic in set(topics) - {'/before', '/different'}:
        assert calibrations.doubts(topic) == [], topic
        assert list(calibrations.inputs[topic].problems()) == [], topic
    (doubt,) = calibrations.doubts('/different')
    assert 'node camera (64x48, fx 55.4, frame ' in doubt
    assert 'node subscriber (64x48, fx 32.0, frame ' in doubt
    assert 'End all but the one of this camera' in doubt
    graph.spin_until(lambda: calibrations.doubts('/before'), 'suspicion')
    (doubt,) = calibrations.doubts('/before')
    assert '/before: nothing has arrived from node camera' in doubt

    # What is advised helps.
    graph.subscriber.destroy_publisher(pairs['/different'][1])
    graph.spin_until(lambda: not calibrations.doubts('/different'), 'one publisher')
    graph.camera.destroy_publisher(before)
    calibrations.publisher('/before', LATCHED).publish(to_camera_info())
    graph.spin_until(lambda: received['/before'], 'latched calibration')
    assert calibrations.doubts('/before') == []


class Images:
    """Inputs of images of one node, by name, and the cameras that publish them."""

    def __init__(self, graph):
        self.graph = graph
        self.inputs, self.received, self.published, self.publishers = {}, {}, {}, {}
        graph.subscriber.create_timer(0.2, self.update)

    def listen(self, name):
        kept = self.received[name] = []
        self.published[name] = []
        topics = image_topics(self.graph.subscriber, name, 'compressed', Transport.AUTO)

        def receive(message):
            kept.append((message_stamp_ns(message), hasattr(message, 'format')))

        self.inputs[name] = Input(self.graph.subscriber, topics, receive, Reliability.AUTO)

    def update(self):
        for one in self.inputs.values():
            one.update()

    def advertise(self, name, kind='raw', qos=RELIABLE):
        type_name = Role.IMAGE if kind == 'raw' else Role.COMPRESSED_IMAGE
        topic = name if kind == 'raw' else f'{name}/compressed'
        made = self.graph.camera.create_publisher(
            message_class(type_name.type_name),
            topic,
            qos,
            event_callbacks=PublisherEventCallbacks(use_default_callbacks=False),
        )
        self.publishers[name, kind] = made
        return made

    def withdraw(self, name, kind='raw'):
        self.graph.camera.destroy_publisher(self.publishers.pop((name, kind)))

    def play(self, seconds, *silent):
        """Publish the same images from all publishers but the silent ones, 20 a second."""
        for _ in range(int(20 * seconds)):
            stamp_ns = time.time_ns()
            for (name, kind), publisher in self.publishers.items():
                if (name, kind) in silent:
                    continue
                self.published[name].append(stamp_ns)
                publisher.publish(image_of_kind(kind, stamp_ns))
            self.graph.spin(0.05)

    def last(self, name):
        """Return whether the last image was compressed."""
        return self.received[name][-1][1]


def image_of_kind(kind, stamp_ns):
    if kind == 'raw':
        return to_image_message(np.zeros((4, 4, 3), np.uint8), stamp_ns)
    message = message_class(Role.COMPRESSED_IMAGE.type_name)(header=header(stamp_ns), format='png')
    message.data = b'any'
    return message


def test_what_flows_is_received_once_whatever_publishers_do(graph):
    images = Images(graph)
    for name in ('/silent', '/later', '/back', '/stops'):
        images.listen(name)
        if name != '/back':
            images.advertise(name, 'compressed', BEST_EFFORT)
        images.advertise(name, 'raw')
    silent, later = ('/silent', 'raw'), ('/later', 'raw')
    images.play(1.5, silent, later)
    # A silent raw publisher does not keep compressed images from being used.
    assert [images.last(name) for name in ('/silent', '/later', '/stops')] == [True, True, False]
    assert images.inputs['/silent'].topic == '/silent/compressed'
    assert images.inputs['/stops'].topic == '/stops'
    assert [list(one.problems()) for one in images.inputs.values()] == [[]] * 4
    # While raw images flow, compressed ones are not subscribed to.
    assert images.publishers['/stops', 'compressed'].get_subscription_count() == 0

    # One begins to flow, one ends, one comes back with other QoS.
    images.withdraw('/stops')
    images.withdraw('/back')
    images.play(0.4, silent)
    images.advertise('/back', 'raw', BEST_EFFORT)
    images.play(2.5, silent)
    assert [images.last(name) for name in ('/silent', '/later', '/stops')] == [True, False, True]
    images.withdraw('/back')
    images.advertise('/back', 'raw', RELIABLE)
    images.play(1.0, silent)
    for name, received in images.received.items():
        stamps = [stamp_ns for stamp_ns, _ in received]
        # No image comes twice, and few are lost while subscriptions change.
        assert len(stamps) == len(set(stamps)), name
        assert len(stamps) > 0.6 * len(set(images.published[name])), name
        assert images.published[name][-1] - stamps[-1] < 10**9, name


# rclpy's own handler of the event calls a deprecated method of its logger.
@pytest.mark.filterwarnings('ignore:Deprecated in favor of:DeprecationWarning')
def test_deadline_and_liveliness_are_named_and_the_advice_helps(graph):
    wishes = {
        'features': QoSProfile(depth=5, deadline=Duration(seconds=1)),
        'scene': QoSProfile(
            depth=5,
            liveliness=LivelinessPolicy.MANUAL_BY_TOPIC,
            liveliness_lease_duration=Duration(seconds=3),
        ),
    }
    graph.start()
    for topic, qos in wishes.items():
        graph.subscriber.create_subscription(
            message_class(TYPES[topic]),
            f'/perception/{topic}',
            print,
            qos,
            event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
        )
    graph.spin_until(lambda: graph.statuses()['connections'][0] == ERROR, 'conflict')
    message = graph.statuses()['connections'][1]
    overrides = dict(re.findall(r'(qos_overrides\.\S+):=(\w+)', message))
    assert overrides == {
        'qos_overrides./perception/features.publisher.deadline': '1000000000',
        'qos_overrides./perception/scene.publisher.liveliness': 'manual_by_topic',
        'qos_overrides./perception/scene.publisher.liveliness_lease_duration': '3000000000',
    }
    graph.nodes.remove(graph.node)
    graph.executor.remove_node(graph.node)
    graph.node.destroy_node()
    graph.start(**{key: int(text) if text.isdigit() else text for key, text in overrides.items()})
    graph.spin_until(lambda: graph.statuses()['connections'][0] == OK, 'connection')


class Camera:
    """A best-effort camera of 1280x720, or a broadcaster, in a process of its own."""

    def __init__(self, graph, topic='image', **environment):
        plain = {key: value for key, value in os.environ.items() if not key.startswith('FAST')}
        command = [sys.executable, str(Path(__file__).parents[1] / 'lossy_camera.py')]
        self.process = subprocess.Popen(
            [*command, str(graph.context.get_domain_id()), '60', topic], env=plain | environment
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def test_lost_images_are_counted_and_the_advice_helps(graph):
    graph.start()
    with Camera(graph):
        graph.spin_until(lambda: graph.statuses()['connections'][0] == WARN, 'loss')
        _, message, values = graph.statuses()['connections']
    assert '/image: ' in message
    assert ' from node lossy_camera were lost' in message
    assert int(values['lost//image']) >= 5
    variable, profile = re.search(r'Start it with (\w+)=(\S+\.xml)', message).groups()
    with Camera(graph, **{variable: profile}):
        # Ten seconds are judged together.
        graph.spin_until(lambda: graph.statuses()['connections'][0] == OK, 'end of the loss')
        _, _, before = graph.statuses()['connections']
        received = graph.counts().received
        graph.spin_until(lambda: graph.counts().received > received + 20, 'images')
        level, _, after = graph.statuses()['connections']
    assert level == OK
    assert int(after['lost//image']) - int(before['lost//image']) < 5


def test_lost_transforms_are_counted(graph):
    override = {'qos_overrides./tf.subscription.reliability': 'best_effort'}
    graph.start(frames__target_frame='base', **override)
    assert graph.statuses()['connections'][2]['lost//tf'] == '0'
    with Camera(graph, 'tf'):
        graph.spin_until(lambda: graph.statuses()['connections'][0] == WARN, 'loss')
        _, message, values = graph.statuses()['connections']
    assert re.match(r'/tf: \d+ of the last \d+ messages from node lossy_camera were lost', message)
    assert int(values['lost//tf']) >= 5


def test_a_middleware_that_does_not_count_is_no_error(graph, monkeypatch):
    def refuse(*_, **__):
        raise UnsupportedEventTypeError('message lost')

    monkeypatch.setattr('rclpy.event_handler.EventHandler.__init__', refuse)
    graph.start()
    image = graph.publisher('image', Role.IMAGE.type_name)
    graph.connect(image)
    image.publish(to_image_message(random_rgb()))
    graph.spin_until(lambda: graph.counts().received == 1, 'image')
    assert 'lost//image' not in graph.statuses()['connections'][2]
