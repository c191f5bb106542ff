"""The publishers of a node, made from the table of outputs."""

from __future__ import annotations

from typing import Any

from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions

from robot_perception.nodes import qos
from robot_perception.nodes.messages import message_class
from robot_perception.pipeline import Stages
from robot_perception.pipeline.outputs import Output, OUTPUTS, Published

LABEL_INFO = 'label_info'


class OutputPublishers:
    """One publisher for each output; nothing is made for a topic that nobody listens to."""

    def __init__(self, node: LifecycleNode) -> None:
        """Create the publishers, inactive until the node is."""
        self._node = node
        self._publishers: dict[Output, LifecyclePublisher[Any]] = {
            output: self._create(output.topic, output.type_name, qos.output())
            for output in OUTPUTS
        }
        self._label_info = self._create(LABEL_INFO, 'vision_msgs/msg/LabelInfo', qos.latched())

    def _create(self, topic: str, type_name: str, profile: QoSProfile) -> LifecyclePublisher[Any]:
        return self._node.create_lifecycle_publisher(
            message_class(type_name),
            f'~/{topic}',
            profile,
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
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

    def publish(self, outputs: tuple[Output, ...], frame: Published) -> int:
        """Make and publish each output of a frame; returns how many there were."""
        count = 0
        for output in outputs:
            message = output.make(frame)
            if message is not None:
                self._publishers[output].publish(message)
                count += 1
        return count

    def publish_label_info(self, message: object) -> None:
        """Publish the names of the classes, for now and for whoever comes late."""
        self._label_info.publish(message)

    def destroy(self) -> None:
        """Remove the publishers from the node."""
        for publisher in self.all:
            self._node.destroy_lifecycle_publisher(publisher)


def stages_for(outputs: tuple[Output, ...]) -> Stages:
    """Everything that must run for the given outputs."""
    stages = Stages.NONE
    for output in outputs:
        stages |= output.stages
    return stages
