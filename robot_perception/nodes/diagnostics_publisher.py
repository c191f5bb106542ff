"""Publishes the diagnostics of a node."""

from __future__ import annotations

from collections.abc import Sequence

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node

from robot_perception.nodes import qos
from robot_perception.nodes.callback_errors import FailedCalls
from robot_perception.nodes.diagnostics import (
    diagnostic_array,
    inputs_status,
    node_statuses,
    NodeView,
    scene_problem,
    Status,
)


class DiagnosticsPublisher:
    """Publishes /diagnostics.

    Attributes:
        problem: what keeps frames from becoming scenes by the last report, empty if nothing does.
    """

    def __init__(self, node: Node) -> None:
        """Create the publisher."""
        self.problem = ''
        self._node = node
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', qos.output())

    def publish(self, view: NodeView) -> None:
        """Report the state of the node."""
        statuses = node_statuses(view)
        self.problem = scene_problem(statuses)
        self._send(statuses, view.topic)

    def publish_failed(self, failed: FailedCalls) -> None:
        """Report failed calls alone, where the state of the node cannot be reported."""
        self._send([inputs_status(failed)], '')

    def _send(self, statuses: Sequence[Status], hardware_id: str) -> None:
        stamp = self._node.get_clock().now().to_msg()
        name = self._node.get_fully_qualified_name()
        self._publisher.publish(diagnostic_array(stamp, name, hardware_id, statuses))
