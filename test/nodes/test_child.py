"""A domain of one's own."""

import os
import socket

import pytest

pytest.importorskip('rclpy')

import rclpy
from rclpy.context import Context

from robot_perception.core.errors import PerceptionError
from robot_perception.nodes import child
from robot_perception.nodes.child import free_domain

pytestmark = pytest.mark.ros


def test_a_domain_in_use_is_not_free(monkeypatch, graph):
    # The graph took the first free one; from there the search has to go on.
    taken = graph.context.get_domain_id()
    monkeypatch.setattr(child.os, 'getpid', lambda: taken - 1)
    assert free_domain() != taken


@pytest.mark.parametrize(
    'port', [7400, 7410, 7412, 7414], ids=['multicast', 'first', 'second', 'third']
)
def test_a_port_of_any_participant_takes_its_domain(monkeypatch, port):
    domain = free_domain()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as participant:
        participant.bind(('', port + 250 * domain))
        monkeypatch.setattr(child.os, 'getpid', lambda: domain - 1)
        assert free_domain() != domain


def test_all_taken_is_an_error(monkeypatch):
    def refuse(*_):
        raise OSError

    monkeypatch.setattr(socket.socket, 'bind', refuse)
    with pytest.raises(PerceptionError, match='free ROS domain .* Set ROS_DOMAIN_ID'):
        free_domain()


def test_every_name_is_below_a_namespace_of_this_process(monkeypatch):
    monkeypatch.setattr(child.os, 'environ', {'ROS_DOMAIN_ID': '7'})
    arguments = child.isolate_ros_graph()
    assert child.os.environ['ROS_DOMAIN_ID'] == '7'
    assert child.os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] == 'LOCALHOST'
    context = Context()
    rclpy.init(args=arguments, context=context, domain_id=free_domain())
    try:
        node = rclpy.create_node('perception', context=context)
        for name in ('image', '/clock', '/diagnostics', '/tf', '/tf_static'):
            below = f'/robot_perception_{os.getpid()}/{name.lstrip("/")}'
            assert node.resolve_topic_name(name) == below
        node.destroy_node()
    finally:
        rclpy.try_shutdown(context=context)
