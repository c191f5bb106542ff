"""A domain of one's own."""

import socket

import pytest

pytest.importorskip('rclpy')

from robot_perception.core.errors import PerceptionError
from robot_perception.nodes import child
from robot_perception.nodes.child import free_domain

pytestmark = pytest.mark.ros


def test_a_domain_in_use_is_not_free(monkeypatch, graph):
    # The graph took the first free one; from there the search has to go on.
    taken = graph.context.get_domain_id()
    monkeypatch.setattr(child.os, 'getpid', lambda: taken - 1)
    assert free_domain() != taken


def test_all_taken_is_an_error(monkeypatch):
    def refuse(*_):
        raise OSError

    monkeypatch.setattr(socket.socket, 'bind', refuse)
    with pytest.raises(PerceptionError, match='free ROS domain .* Set ROS_DOMAIN_ID'):
        free_domain()
