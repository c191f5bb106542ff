"""The publishers of a node, made from the table of outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from rclpy.qos import QoSPolicyKind, QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions

from robot_perception.nodes import qos
from robot_perception.nodes.messages import message_class
from robot_perception.pipeline import (
    LABEL_INFO,
    LABEL_INFO_TYPE,
    Output,
    OUTPUTS,
    Published,
)

_OVERRIDABLE = (
    QoSPolicyKind.HISTORY,
    QoSPolicyKind.DEPTH,
    QoSPolicyKind.RELIABILITY,
    QoSPolicyKind.DURABILITY,
)


class OutputPublishers:
    """One publisher for each output; nothing is made for a topic that nobody listens to."""

    def __init__(self, node: LifecycleNode) -> None:
        """Create the publishers, inactive until the node is.

        Raises:
            PerceptionError: a message package is missing; then nothing has been created.

        """
        for type_name in (*(output.type_name for output in OUTPUTS), LABEL_INFO_TYPE):
            message_class(type_name)
        self._node = node
        self._publishers: dict[Output, LifecyclePublisher[Any]] = {
            output: self._create(output.topic, output.type_name, qos.output())
            for output in OUTPUTS
        }
        self._label_info = self._create(LABEL_INFO, LABEL_INFO_TYPE, qos.latched())

    def _create(self, topic: str, type_name: str, profile: QoSProfile) -> LifecyclePublisher[Any]:
        return self._node.create_lifecycle_publisher(
            message_class(type_name),
            f'~/{topic}',
            profile,
            qos_overriding_options=QoSOverridingOptions(_OVERRIDABLE),
        )

    @property
    def all(self) -> tuple[LifecyclePublisher[Any], ...]:
        """Every publisher."""
        return (*self._publishers.values(), self._label_info)

    def wanted(self) -> tuple[Output, ...]:
        """Outputs that somebody listens to."""
        return tuple(
            output
            for output, publisher in self._publishers.items()
            if publisher.get_subscription_count() > 0
        )

    def publish(
        self,
        outputs: tuple[Output, ...],
        frame: Published,
        on_error: Callable[[Output, Exception], None],
    ) -> int:
        """Make and publish each output of a frame; returns how many went out.

        An output that fails is told to ``on_error`` and takes no other with it.
        """
        return sum(self._publish(output, frame, on_error) for output in outputs)

    def _publish(
        self, output: Output, frame: Published, on_error: Callable[[Output, Exception], None]
    ) -> bool:
        try:
            message = output.make(frame)
            if message is not None:
                self._publishers[output].publish(message)
        except Exception as error:  # noqa: BLE001 - the other topics have nothing to do with it
            on_error(output, error)
            return False
        return message is not None

    def publish_label_info(self, message: object) -> None:
        """Publish the names of the classes, for now and for whoever comes late."""
        self._label_info.publish(message)

    def destroy(self) -> None:
        """Remove the publishers from the node."""
        for publisher in self.all:
            self._node.destroy_lifecycle_publisher(publisher)
