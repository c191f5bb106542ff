"""Errors of the callbacks of messages, timers, services and parameters, on the real node."""

import pytest

pytest.importorskip('rclpy')

from graph import random_rgb, RELIABLE, SECOND_NS, to_camera_info, to_image_message
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from std_srvs.srv import SetBool

from robot_perception.nodes.camera_inputs import CameraInputs
from robot_perception.nodes.camera_watch import CameraWatch
from robot_perception.nodes.messages import message_class
from robot_perception.nodes.perceive import PerceiveService
from robot_perception.nodes.slot import FrameSlot
from robot_perception.nodes.supervisor import WorkerSupervisor
from robot_perception.pipeline import PerceptionPipeline
from robot_perception.sources import Role
from robot_perception.stream import SharedTransforms, Synchronizer

pytestmark = pytest.mark.ros

OK, ERROR = b'\x00', b'\x02'
FATAL = [ValueError('injected'), MemoryError('injected'), SystemExit('injected')]


@pytest.fixture
def faults(monkeypatch):
    """Errors that the arrival of messages raises: role of the message -> error."""
    errors = {}
    add, frame_set = Synchronizer.add, Synchronizer.frame_set
    add_transforms = SharedTransforms.add

    def failing_add(self, role, *arguments):
        if role in errors:
            raise errors[role]
        add(self, role, *arguments)

    def failing_add_transforms(self, message, *, static):
        if Role.TF in errors:
            raise errors[Role.TF]
        add_transforms(self, message, static=static)

    def failing_frame_set(self, *arguments):
        if Role.IMAGE in errors:
            raise errors[Role.IMAGE]
        return frame_set(self, *arguments)

    monkeypatch.setattr(Synchronizer, 'add', failing_add)
    monkeypatch.setattr(SharedTransforms, 'add', failing_add_transforms)
    monkeypatch.setattr(Synchronizer, 'frame_set', failing_frame_set)
    return errors


@pytest.mark.parametrize('error', FATAL, ids=lambda one: type(one).__name__)
def test_an_error_at_the_arrival_of_an_image_is_named_and_the_node_goes_on(graph, faults, error):
    graph.start()
    image = graph.publisher('image', 'sensor_msgs/msg/Image', RELIABLE)
    graph.subscribe_outputs('depth/image')
    graph.connect(image)

    def send(number):
        image.publish(to_image_message(random_rgb(number), number * SECOND_NS))
        graph.spin_until(lambda: graph.counts().received == number, 'arrival')

    faults[Role.IMAGE] = error
    send(1)
    statuses = graph.statuses()
    faults.clear()
    level, message, values = statuses['inputs']
    assert level == ERROR
    assert '/image: a message was lost' in message
    assert repr(error) in message
    assert values == {'failed//image': '1'}
    assert statuses['frames'][:2] == (ERROR, 'frames lost to internal_error')
    send(2)
    graph.spin_until(lambda: graph.received['depth/image'], 'frame after the error')
    graph.settle()
    counts = graph.counts()
    assert (counts.received, counts.published, counts.dropped) == (2, 1, {'internal_error': 1})
    graph.spin_until(lambda: graph.statuses()['inputs'][0] == OK, 'end of the error')
    assert graph.statuses()['inputs'][2] == {'failed//image': '1'}


def test_errors_of_the_other_inputs_stand_until_a_later_message_is_read(graph, faults):
    graph.start(depth__source='sensor', frames__target_frame='base')
    tf = message_class(Role.TF.type_name)
    inputs = {
        '/camera_info': (Role.CAMERA_INFO, to_camera_info()),
        '/depth': (Role.DEPTH, to_image_message(random_rgb())),
        '/tf': (Role.TF, tf()),
    }
    qos = QoSProfile(depth=50)
    publishers = {
        topic: graph.publisher(topic, role.type_name, qos) for topic, (role, _) in inputs.items()
    }

    def send():
        for topic, publisher in publishers.items():
            graph.spin_until(publisher.get_subscription_count, topic)
            publisher.publish(inputs[topic][1])

    def failed():
        return graph.statuses()['inputs'][2]

    faults.update({role: RuntimeError(f'injected {role.name}') for role, _ in inputs.values()})
    send()
    graph.spin_until(lambda: len(failed()) == len(inputs), 'errors')
    faults.clear()
    graph.statuses()
    level, message, values = graph.statuses()['inputs']
    assert level == ERROR
    assert all(f'injected {role.name}' in message for role, _ in inputs.values())
    # A calibration may arrive at two subscriptions, while they adapt to its publisher.
    assert values.keys() == {f'failed/{topic}' for topic in inputs}
    assert values['failed//depth'] == values['failed//tf'] == '1'
    send()
    graph.spin_until(lambda: graph.statuses()['inputs'][0] == OK, 'end of the errors')


def fail_once(monkeypatch, owner, name, error):
    """Let the next call of a method raise an error."""
    method, errors = getattr(owner, name), [error]

    def failing(self, *arguments, **options):
        if errors:
            raise errors.pop()
        return method(self, *arguments, **options)

    monkeypatch.setattr(owner, name, failing)


def call(graph, kind, name, request):
    client = graph.subscriber.create_client(kind, name)
    graph.spin_until(client.service_is_ready, name)
    future = client.call_async(request)
    graph.spin_until(future.done, f'answer of {name}')
    return future.result()


def wait_for_failed(graph, name):
    """Wait until the error of a call is in /diagnostics, and return its text."""

    def is_named():
        level, message, values = graph.statuses()['inputs']
        return level == ERROR and f'{name}: ' in message and values == {f'failed/{name}': '1'}

    graph.spin_until(is_named, name)
    return graph.received['/diagnostics'][-1]


@pytest.mark.parametrize(
    ('owner', 'method', 'name'),
    [
        (CameraInputs, 'follow_publishers', 'subscription timer'),
        (CameraWatch, 'report', 'diagnostics timer'),
        (WorkerSupervisor, 'check', 'worker timer'),
    ],
)
def test_an_error_of_a_timer_is_named_and_the_timer_goes_on(
    graph, monkeypatch, owner, method, name
):
    fail_once(monkeypatch, owner, method, SystemExit('injected'))
    graph.start()
    wait_for_failed(graph, name)
    graph.spin_until(lambda: graph.statuses()['inputs'][0] == OK, 'end of the error')
    assert 'frames' in graph.statuses()


def test_a_report_that_always_fails_is_named(graph, monkeypatch):
    def failing(_):
        raise ValueError('injected')

    monkeypatch.setattr(CameraWatch, 'report', failing)
    graph.start()
    for _ in range(2):
        (name,) = graph.statuses()
        assert name == 'inputs'


def test_an_error_of_a_service_is_an_answer(graph, monkeypatch):
    graph.start()
    fail_once(monkeypatch, FrameSlot, 'discard', ValueError('injected'))
    answer = call(graph, SetBool, '/perception/enable', SetBool.Request(data=False))
    assert (answer.success, answer.message[:17]) == (False, 'an internal error')
    wait_for_failed(graph, '/perception/enable')
    assert call(graph, SetBool, '/perception/enable', SetBool.Request(data=False)).success
    graph.spin_until(lambda: graph.statuses()['inputs'][0] == OK, 'end of the error')


def test_an_error_of_a_change_of_parameters_is_an_answer_and_changes_nothing(graph, monkeypatch):
    graph.start()
    fail_once(monkeypatch, PerceptionPipeline, 'reconfigure', ValueError('injected'))
    value = Parameter('detector.threshold', value=0.7).to_parameter_msg()
    request = SetParameters.Request(parameters=[value])
    (result,) = call(graph, SetParameters, '/perception/set_parameters', request).results
    assert not result.successful
    assert 'internal error' in result.reason
    wait_for_failed(graph, 'parameters')
    assert graph.node.get_parameter('detector.threshold').value == 0.5
    (result,) = call(graph, SetParameters, '/perception/set_parameters', request).results
    assert result.successful


def test_an_error_of_perceive_is_an_answer(graph, monkeypatch):
    pytest.importorskip('robot_perception.srv')
    graph.start()
    service = message_class('robot_perception/srv/Perceive')
    fail_once(monkeypatch, PerceiveService, '_next_scene', ValueError('injected'))
    answer = call(graph, service, '/perception/perceive', service.Request())
    assert (answer.success, answer.message[:17]) == (False, 'an internal error')
    wait_for_failed(graph, '/perception/perceive')
