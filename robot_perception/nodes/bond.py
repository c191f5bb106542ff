"""The node's side of a bond, by which Nav2's lifecycle manager detects nodes that died."""

from __future__ import annotations

from typing import Any
import uuid

from rclpy.clock import Clock, ClockType  # type: ignore[attr-defined] # Humble
from rclpy.node import Node
from rclpy.timer import Timer
from std_msgs.msg import Header

from robot_perception.core import PerceptionError
from robot_perception.nodes.callback_errors import CallbackErrors
from robot_perception.nodes.messages import message_class

_STATUS = 'bond/msg/Status'
_PERIOD_S, _TIMEOUT_S = 0.1, 4.0  # as the nodes of Nav2 have them
_DEPTH = 100


def create_bond(node: Node, errors: CallbackErrors) -> Bond | None:
    """Create the bond of a managed node; warn and return None without the package bond."""
    try:
        return Bond(node, errors)
    except PerceptionError as error:
        node.get_logger().warning(
            f'no bond with the lifecycle manager: {error} Or set its bond_timeout to 0.0.'
        )
        return None


class Bond:
    """Sends heartbeats on ``bond`` from `start` to `stop`, under the name of the node.

    The protocol is that of bondcpp: the side that leaves sends a status that is not active, and
    the other acknowledges it with one of its own. A manager that dies does not stop the node.
    """

    def __init__(self, node: Node, errors: CallbackErrors) -> None:
        """Create the topic; ``errors`` counts heartbeats that fail.

        Raises:
            PerceptionError: this ROS installation has no package bond.
        """
        self._node = node
        self._heartbeat = errors.guarded('bond timer', self._send, 'a heartbeat')
        self._status: Any = message_class(_STATUS)
        self._instance_id = ''
        self._timer: Timer | None = None
        # Not a lifecycle publisher: the last status is sent while the node becomes inactive.
        self._publisher = node.create_publisher(self._status, 'bond', _DEPTH)
        receive = errors.guarded(node.resolve_topic_name('bond'), self._on_status)
        self._subscription = node.create_subscription(self._status, 'bond', receive, _DEPTH)

    def start(self) -> None:
        """Begin to send heartbeats as a new instance."""
        self._instance_id = str(uuid.uuid4())
        # Steady time: a paused /clock does not mean that the node died.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = self._node.create_timer(_PERIOD_S, self._heartbeat, clock=steady)
        self._send()

    def stop(self) -> None:
        """Send that the node leaves, and no more heartbeats."""
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
            self._timer = None
            # After a shutdown of ROS nothing can be published.
            if self._node.context.ok():
                self._send(active=False)

    def destroy(self) -> None:
        """Destroy the topic."""
        self.stop()
        self._node.destroy_subscription(self._subscription)
        self._node.destroy_publisher(self._publisher)

    def _send(self, *, active: bool = True) -> None:
        self._publisher.publish(
            self._status(
                header=Header(stamp=self._node.get_clock().now().to_msg()),
                id=self._node.get_name(),
                instance_id=self._instance_id,
                active=active,
                heartbeat_timeout=_TIMEOUT_S,
                heartbeat_period=_PERIOD_S,
            )
        )

    def _on_status(self, status: Any) -> None:  # noqa: ANN401 - a generated message
        if status.id != self._node.get_name() or status.instance_id == self._instance_id:
            return
        if not status.active:
            self.stop()
