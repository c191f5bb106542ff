"""Inputs over DDS: many kinds of publishers of calibrations and images in one graph."""

import os
from pathlib import Path
import re
import subprocess
import sys

from graph import (
    BEST_EFFORT,
    LATCHED,
    random_rgb,
    RELIABLE,
    to_camera_info,
    to_image_message,
)
import pytest
from rclpy.event_handler import PublisherEventCallbacks, UnsupportedEventTypeError

from robot_perception.core import CameraModel
from robot_perception.nodes.calibration_input import CalibrationInput
from robot_perception.nodes.diagnostics import OK, WARN
from robot_perception.nodes.messages import message_class
from robot_perception.pipeline import Reliability
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


class Camera:
    """A best-effort camera of 1280x720 in a process of its own."""

    def __init__(self, graph, **environment):
        plain = {key: value for key, value in os.environ.items() if not key.startswith('FAST')}
        command = [sys.executable, str(Path(__file__).parents[1] / 'lossy_camera.py')]
        self.process = subprocess.Popen(
            [*command, str(graph.context.get_domain_id()), '60'], env=plain | environment
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
        received = graph.node.slot.counts().received
        graph.spin_until(lambda: graph.node.slot.counts().received > received + 20, 'images')
        level, _, after = graph.statuses()['connections']
    assert level == OK
    assert int(after['lost//image']) - int(before['lost//image']) < 5


def test_a_middleware_that_does_not_count_is_no_error(graph, monkeypatch):
    def refuse(*_, **__):
        raise UnsupportedEventTypeError('message lost')

    monkeypatch.setattr('rclpy.event_handler.EventHandler.__init__', refuse)
    graph.start()
    image = graph.publisher('image', Role.IMAGE.type_name)
    graph.connect(image)
    image.publish(to_image_message(random_rgb()))
    graph.spin_until(lambda: graph.node.slot.counts().received == 1, 'image')
    assert 'lost//image' not in graph.statuses()['connections'][2]
