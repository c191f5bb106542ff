"""config/perception.policy.xml allows what the node does in a graph, and nothing else."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

pytest.importorskip('rclpy')

from graph import Graph

from robot_perception.nodes.child import free_domain

pytestmark = pytest.mark.ros
ACTION_PARTS = {
    ('service', 'reply'): ('send_goal', 'cancel_goal', 'get_result'),
    ('topic', 'publish'): ('feedback', 'status'),
}
POLICY = Path(__file__).parents[2] / 'config' / 'perception.policy.xml'


@pytest.fixture
def graph():
    """Return a graph in a free domain: a node of an earlier test would have the same name."""
    made = Graph(free_domain())
    yield made
    made.close()


def allowed(kind, right):
    """Return the full names of the topics or services that a node named perception may use."""
    (profile,) = ET.parse(POLICY).iter('profile')  # noqa: S314 - our own
    lists = [one for one in profile.iter(f'{kind}s') if one.get(right) == 'ALLOW']
    names = [one.text for each in lists for one in each.iter(kind)]
    # As sros2 expands an action that a node executes.
    names += [
        f'{action.text}/_action/{part}'
        for action in profile.iter('action')
        for part in ACTION_PARTS.get((kind, right), ())
    ]
    return {
        name if name.startswith('/') else f'/{name.replace("~", "perception")}' for name in names
    }


def names(rows):
    return {name for name, _ in rows}


def test_the_policy_is_what_the_node_uses(graph):
    node = graph.start(
        autostart=False, depth__source='sensor', frames__target_frame='map', use_sim_time=True
    )
    node.trigger_configure()
    who = node.get_name(), node.get_namespace()

    def services():
        return names(node.get_service_names_and_types_by_node(*who))

    graph.spin_until(lambda: services() == allowed('service', 'reply'), 'the services')
    published = names(node.get_publisher_names_and_types_by_node(*who))
    assert published == allowed('topic', 'publish')
    subscribed = names(node.get_subscriber_names_and_types_by_node(*who))
    assert subscribed == allowed('topic', 'subscribe')
    assert names(node.get_client_names_and_types_by_node(*who)) == set()
