"""Fixtures of a real ROS graph."""

import pytest


@pytest.fixture
def graph(monkeypatch):
    pytest.importorskip('rclpy')
    from graph import Graph

    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    made = Graph()
    yield made
    made.close()
