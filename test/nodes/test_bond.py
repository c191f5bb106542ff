"""The bond of the node with a lifecycle manager, over DDS."""

import itertools

import pytest

pytest.importorskip('rclpy')

from graph import Graph
import rclpy.lifecycle

from robot_perception.nodes.messages import message_class

pytestmark = pytest.mark.ros

SUCCESS = rclpy.lifecycle.TransitionCallbackReturn.SUCCESS


@pytest.fixture
def graph():
    made = Graph()
    yield made
    made.close()


@pytest.fixture
def bonds(graph):
    """Subscribe to the bonds of a node that a manager starts; return what it sends."""
    node = graph.start(autostart=False)
    graph.subscribe('/bond', 'bond/msg/Status')
    assert node.trigger_configure() == SUCCESS
    graph.spin_until(lambda: graph.subscriber.count_publishers('/bond') == 1, 'discovery')
    graph.spin(0.5)
    return graph.received['/bond']


def answer(graph, *, active):
    """Publish a status as the manager's side of the bond."""
    manager = graph.publisher('/bond', 'bond/msg/Status')
    graph.spin_until(lambda: manager.get_subscription_count() == 2, 'discovery')
    status = message_class('bond/msg/Status')
    manager.publish(status(id='perception', instance_id='manager', active=active))


def own(bonds):
    return [status for status in bonds if status.instance_id != 'manager']


def test_an_active_node_sends_heartbeats(graph, bonds):
    assert not bonds
    assert graph.node.trigger_activate() == SUCCESS
    graph.spin_until(lambda: len(bonds) >= 10, 'heartbeats')
    assert {status.id for status in bonds} == {'perception'}
    assert all(status.active for status in bonds)
    assert len({status.instance_id for status in bonds}) == 1
    stamps = [status.header.stamp.sec + status.header.stamp.nanosec / 1e9 for status in bonds]
    # Nav2's manager gives a node up after 4 s.
    assert max(b - a for a, b in itertools.pairwise(stamps)) < 2


def test_a_manager_that_leaves_gets_an_acknowledgment(graph, bonds):
    graph.node.trigger_activate()
    answer(graph, active=True)
    graph.spin(0.3)
    answer(graph, active=False)
    graph.spin_until(lambda: not bonds[-1].active and own(bonds)[-1] is bonds[-1], 'leaving')
    count = len(bonds)
    graph.spin(0.5)
    assert len(bonds) == count
    assert graph.node.is_active


def test_a_node_that_becomes_inactive_leaves(graph, bonds):
    graph.node.trigger_activate()
    graph.spin_until(lambda: bonds, 'a heartbeat')
    first = bonds[-1].instance_id
    graph.node.trigger_deactivate()
    graph.spin_until(lambda: not bonds[-1].active, 'leaving')
    # A manager takes an instance that left for dead: the next bond has another.
    graph.node.trigger_activate()
    graph.spin_until(lambda: bonds[-1].active, 'a heartbeat')
    assert bonds[-1].instance_id != first


def test_a_node_that_starts_itself_has_no_bond(graph):
    graph.start()
    graph.spin(0.5)
    assert graph.node.is_active
    assert graph.subscriber.count_publishers('/bond') == 0
