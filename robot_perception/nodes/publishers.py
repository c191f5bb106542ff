"""Publishers of the outputs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
import time
from typing import Any

from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from rclpy.qos import QoSPolicyKind, QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions

from robot_perception.nodes import qos
from robot_perception.nodes.ask import TrackedImage
from robot_perception.nodes.connections import publisher_problems
from robot_perception.nodes.messages import available_outputs, camera_topic, message_class
from robot_perception.nodes.perceive import PerceiveService, SceneRequest
from robot_perception.stream import (
    ANNOTATIONS,
    LABEL_INFO,
    LABEL_INFO_TYPE,
    Output,
    OutputFrame,
    SCENE,
    SCENE_LABEL_INFO,
    SEMANTIC_LABEL_INFO,
)

_OVERRIDABLE = (
    QoSPolicyKind.HISTORY,
    QoSPolicyKind.DEPTH,
    QoSPolicyKind.RELIABILITY,
    QoSPolicyKind.DURABILITY,
    QoSPolicyKind.DEADLINE,
    QoSPolicyKind.LIVELINESS,
    QoSPolicyKind.LIVELINESS_LEASE_DURATION,
)


@dataclass(frozen=True, slots=True)
class Demand:
    """What a frame is processed for.

    Attributes:
        outputs: to be made; none if the frame need not be processed.
        requests: to be answered with its scene.
    """

    outputs: tuple[Output, ...]
    requests: tuple[SceneRequest, ...] = ()


class OutputPublishers:
    """One publisher for each output; no message is made for a topic without subscribers.

    Attributes:
        tracked: image and tracked objects of the last frame; None if it has none.
    """

    def __init__(self, node: LifecycleNode, camera: str, perceive: PerceiveService) -> None:
        """Create the publishers; they are inactive until the node is active.

        A scene that ``perceive`` waits for is made without subscribers too.

        Args:
            node: the publishing node.
            camera: name of the camera; empty for the only one.
            perceive: answers requests with scenes.

        Raises:
            PerceptionError: a message package is missing; then no publisher is created.
        """
        outputs = available_outputs()
        message_class(LABEL_INFO_TYPE)
        if ANNOTATIONS not in outputs:
            node.get_logger().info(
                '~/annotations is not published: foxglove_msgs is not installed. For Foxglove '
                'install ros-$ROS_DISTRO-foxglove-msgs.',
                once=True,
            )
        self._node = node
        self._camera = camera
        self._perceive = perceive
        self.tracked: TrackedImage | None = None
        self._problems: Sequence[str] = ()
        self._publishers: dict[Output, LifecyclePublisher[Any]] = {
            output: self._create(output.topic, output.type_name, qos.output())
            for output in outputs
        }
        self._label_infos = {
            topic: self._create(topic, LABEL_INFO_TYPE, qos.latched())
            for topic in (LABEL_INFO, SEMANTIC_LABEL_INFO, SCENE_LABEL_INFO)
        }

    def _create(self, topic: str, type_name: str, profile: QoSProfile) -> LifecyclePublisher[Any]:
        return self._node.create_lifecycle_publisher(
            message_class(type_name),
            camera_topic(f'~/{topic}', self._camera),
            profile,
            event_callbacks=qos.no_events(),
            qos_overriding_options=QoSOverridingOptions(_OVERRIDABLE),
        )

    def problems(self) -> Sequence[str]:
        """Describe subscribers that cannot connect, and log those that have appeared."""
        problems = [
            problem
            for publisher in self._all()
            for problem in publisher_problems(self._node, publisher.topic_name)
        ]
        for problem in problems:
            if problem not in self._problems:
                self._node.get_logger().warning(problem)
        self._problems = problems
        return problems

    @property
    def can_publish(self) -> bool:
        """Whether ROS is still running."""
        return bool(self._node.context.ok())

    def begin_frame(self, promised: Collection[SceneRequest]) -> Demand:
        """Return what the frame that begins is for: subscribed outputs, and a requested scene.

        Args:
            promised: requests that an earlier frame will answer, whose outputs are being made.
        """
        requests = self._perceive.open_requests(promised)
        outputs = tuple(
            output
            for output, publisher in self._publishers.items()
            if publisher.get_subscription_count() > 0 or (requests and output is SCENE)
        )
        if not outputs:
            self.tracked = None
        return Demand(outputs, requests)

    def publish(
        self,
        demand: Demand,
        frame: OutputFrame,
        on_error: Callable[[Output, Exception], None],
        is_cancelled: Callable[[], bool],
    ) -> int:
        """Make and publish each output of a frame; returns how many were published.

        Args:
            demand: of the frame.
            frame: the frame.
            on_error: called for an output that fails; the others are published.
            is_cancelled: returns whether the frame was given up; then nothing more is published.
        """
        image, objects = frame.scene.image, frame.scene.detections
        if objects is not None and objects.track_ids is not None:
            self.tracked = image, objects, time.monotonic()
        else:
            self.tracked = None
        return sum(
            self._publish(output, demand.requests, frame, on_error, is_cancelled)
            for output in demand.outputs
            if not is_cancelled()
        )

    def _publish(
        self,
        output: Output,
        requests: tuple[SceneRequest, ...],
        frame: OutputFrame,
        on_error: Callable[[Output, Exception], None],
        is_cancelled: Callable[[], bool],
    ) -> bool:
        try:
            message = output.make(frame)
            if is_cancelled():
                return False
            if message is not None:
                self._publishers[output].publish(message)
                if output is SCENE:
                    self._perceive.answer(requests, message)
        except Exception as error:  # noqa: BLE001 - the other outputs are independent
            on_error(output, error)
            return False
        return message is not None

    def publish_label_info(self, topic: str, message: object) -> None:
        """Publish the names of classes on one of their topics, latched for late subscribers."""
        self._label_infos[topic].publish(message)

    def destroy(self) -> None:
        """Remove the publishers from the node."""
        for publisher in self._all():
            self._node.destroy_lifecycle_publisher(publisher)

    def _all(self) -> tuple[LifecyclePublisher[Any], ...]:
        return (*self._publishers.values(), *self._label_infos.values())
