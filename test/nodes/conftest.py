"""Fixtures of a real ROS graph."""

import pytest


@pytest.fixture
def graph():
    pytest.importorskip('rclpy')
    from graph import local_graph

    with local_graph() as made:
        yield made
