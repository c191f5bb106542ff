"""Errors of the callbacks of input messages, on the real node."""

import pytest

pytest.importorskip('rclpy')

from graph import random_rgb, RELIABLE, SECOND_NS, to_camera_info, to_image_message
from rclpy.qos import QoSProfile

from robot_perception.nodes.messages import message_class
from robot_perception.sources import Role
from robot_perception.stream import Synchronizer

pytestmark = pytest.mark.ros

OK, ERROR = b'\x00', b'\x02'
FATAL = [ValueError('injected'), MemoryError('injected'), SystemExit('injected')]


@pytest.fixture
def faults(monkeypatch):
    """Errors that the synchronizer raises: role of the message -> error."""
    errors = {}
    add, frame_set = Synchronizer.add, Synchronizer.frame_set

    def failing_add(self, role, *arguments):
        if role in errors:
            raise errors[role]
        add(self, role, *arguments)

    def failing_frame_set(self, *arguments):
        if Role.IMAGE in errors:
            raise errors[Role.IMAGE]
        return frame_set(self, *arguments)

    monkeypatch.setattr(Synchronizer, 'add', failing_add)
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
        graph.spin_until(lambda: graph.node.slot.counts().received == number, 'arrival')

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
    counts = graph.node.slot.counts()
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
