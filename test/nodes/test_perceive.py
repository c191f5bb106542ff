"""The service ~/perceive, over DDS."""

import threading

import pytest

pytest.importorskip('rclpy')

from graph import random_rgb, RELIABLE, SECOND_NS, to_image_message
from std_srvs.srv import SetBool

from robot_perception.core import ModelError
from robot_perception.models.stub import StubDepthEstimator
from robot_perception.nodes import stage_limits
from robot_perception.nodes.messages import message_class

pytestmark = pytest.mark.ros

SERVICE = 'robot_perception/srv/Perceive'


@pytest.fixture
def ask(graph):
    """Return a function that sends a request and returns its future answer."""
    graph.start()
    # Not at import: tests without ROS are collected where no message is built.
    service = message_class(SERVICE)
    client = graph.subscriber.create_client(service, '/perception/perceive')
    graph.spin_until(client.service_is_ready, 'service')
    return lambda timeout_s: client.call_async(service.Request(timeout_s=timeout_s))


@pytest.fixture
def camera(graph, ask):
    """Return a function that publishes an image with a stamp in seconds."""
    image = graph.publisher('image', 'sensor_msgs/msg/Image', RELIABLE)
    graph.connect(image)
    return lambda second: image.publish(to_image_message(random_rgb(second), second * SECOND_NS))


def refusal(graph, answer):
    """Return the message of an answer without a scene."""
    graph.spin_until(answer.done, 'answer')
    result = answer.result()
    assert not result.success
    assert result.message
    return result.message


def test_a_request_is_answered_with_the_scene_of_the_next_frame(graph, ask, camera):
    camera(1)
    graph.spin_until(lambda: graph.counts().dropped == {'no_subscriber': 1}, 'frame')
    answers = [ask(60.0), ask(60.0)]
    graph.spin(0.5)
    assert not any(answer.done() for answer in answers)
    camera(2)
    graph.spin_until(lambda: all(answer.done() for answer in answers), 'answers')
    for answer in answers:
        result = answer.result()
        assert (result.success, result.message) == (True, '')
        assert result.scene.header.stamp.sec == 2
        assert len(result.scene.objects) > 0
        assert len(result.scene.depth) == 1
    # Once answered, scenes are not made again.
    camera(3)
    graph.spin_until(lambda: graph.counts().dropped == {'no_subscriber': 2}, 'frame')


def test_a_frame_that_is_lost_leaves_the_request_to_the_next(graph, ask, camera, monkeypatch):
    def fail(self, frame):
        raise ModelError('broken', 'depth: broken')

    with monkeypatch.context() as patch:
        patch.setattr(StubDepthEstimator, 'estimate', fail)
        answer = ask(60.0)
        graph.spin(0.5)
        camera(1)
        graph.spin_until(lambda: graph.counts().dropped == {'model_error': 1}, 'loss')
    camera(2)
    graph.spin_until(answer.done, 'answer')
    assert answer.result().scene.header.stamp.sec == 2


def test_without_a_frame_the_request_ends_with_the_reason(graph, ask):
    graph.spin_until(lambda: graph.statuses()['frames'][1].startswith('no image'), 'report')
    message = refusal(graph, ask(0.5))
    assert message == 'no scene within 0.5 s: no image on /image'


def test_a_stage_that_hangs_is_named_while_the_request_waits(graph, ask, camera, monkeypatch):
    monkeypatch.setattr(stage_limits, '_LATE', (0.2, 3.0))
    release = threading.Event()
    monkeypatch.setattr(StubDepthEstimator, 'estimate', lambda *_: release.wait())
    try:
        answer = ask(3.0)
        graph.spin(0.5)
        camera(1)
        message = refusal(graph, answer)
    finally:
        release.set()
    assert message.startswith('no scene within 3 s: depth has run for ')


def test_deactivation_answers_requests_that_wait(graph, ask):
    answers = [ask(60.0), ask(60.0)]
    graph.spin(0.5)
    graph.node.trigger_deactivate()
    for answer in [*answers, ask(60.0)]:
        assert refusal(graph, answer) == (
            'the node is inactive: run "ros2 lifecycle set /perception activate" first.'
        )
    graph.node.trigger_cleanup()
    assert 'run "ros2 lifecycle set /perception configure" first' in refusal(graph, ask(60.0))


def test_a_shutdown_answers_requests_that_wait(graph, ask):
    answer = ask(60.0)
    graph.spin(0.5)
    graph.node.trigger_shutdown()
    assert refusal(graph, answer) == 'the node ends: start it again.'


def test_disabling_answers_requests_that_wait(graph, ask, camera):
    answer = ask(60.0)
    graph.spin(0.5)
    enable = graph.subscriber.create_client(SetBool, '/perception/enable')
    graph.spin_until(enable.service_is_ready, 'service')
    enable.call_async(SetBool.Request(data=False))
    message = refusal(graph, answer)
    assert 'ros2 service call /perception/enable std_srvs/srv/SetBool "{data: true}"' in message


def test_a_timeout_out_of_range_is_refused(graph, ask):
    for timeout_s in (-1.0, 3601.0, float('inf'), float('nan')):
        message = refusal(graph, ask(timeout_s))
        assert message == f'timeout_s: expected 0 to 3600, got {timeout_s}.'
