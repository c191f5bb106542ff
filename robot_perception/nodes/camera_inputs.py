"""All subscriptions of a camera, which feed its synchronizer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, replace
from functools import partial

from rclpy.node import Node

from robot_perception.conversions import Message
from robot_perception.nodes.calibration_input import CalibrationInput
from robot_perception.nodes.callback_errors import CallbackErrors
from robot_perception.nodes.inputs import image_topics, Input, Topic
from robot_perception.nodes.losses import InputLosses
from robot_perception.nodes.messages import camera_topic, message_stamp_ns
from robot_perception.nodes.transform_listener import TransformListener
from robot_perception.pipeline import PerceptionConfig, Transport
from robot_perception.sources import Role
from robot_perception.stream import CameraTopics, needed_roles, Synchronizer


class CameraInputs:
    """Subscribes to the topics that a configuration needs.

    Images go to a callback, transforms to what all cameras share, all else to the synchronizer.
    """

    def __init__(
        self,
        node: Node,
        camera: str,
        synchronizer: Synchronizer,
        transforms: TransformListener,
        *,
        on_image: Callable[[Message], None],
        errors: CallbackErrors,
    ) -> None:
        """Create the inputs without subscriptions; call `subscribe`.

        Args:
            node: the subscribing node.
            camera: name of the camera; empty for the only one.
            synchronizer: receives all messages but images and transforms.
            transforms: of all cameras of the node.
            on_image: receives the images.
            errors: counts the messages that are lost to an error.
        """
        self._node = node
        self._names = CameraTopics(
            *(camera_topic(name, camera) for name in astuple(CameraTopics()))
        )
        self._full_names = CameraTopics(*map(node.resolve_topic_name, astuple(self._names)))
        self._synchronizer = synchronizer
        self._on_image = on_image
        self._errors = errors
        self._transforms = transforms
        self._inputs: list[Input] = []
        self._calibrations: list[CalibrationInput] = []

    @property
    def topics(self) -> CameraTopics:
        """Full names of the topics; that of the images follows the publishers."""
        names = self._full_names
        return replace(names, image=next((one.topic for one in self._inputs), names.image))

    def subscribe(self, config: PerceptionConfig) -> None:
        """Subscribe to images, and to what else the configuration needs.

        Raises:
            PerceptionError: a message package is missing.
        """
        default = self._names
        node, transport = self._node, config.input.transport
        self._listen(
            image_topics(node, default.image, 'compressed', transport), self._on_image, config
        )
        if Role.DEPTH in needed_roles(config):
            # Either is lossless, so that there is nothing to choose.
            topics = image_topics(node, default.depth, 'compressedDepth', Transport.AUTO)
            self._listen(topics, self._on_depth, config)
        for role, name in (
            (Role.CAMERA_INFO, default.camera_info),
            (Role.DEPTH_CAMERA_INFO, default.depth_camera_info),
        ):
            if role in needed_roles(config):
                topic = node.resolve_topic_name(name)
                add = self._errors.guarded(topic, partial(self._synchronizer.add, role))
                self._calibrations.append(
                    CalibrationInput(node, topic, role.type_name, add, config.input.reliability)
                )
        self.listen_to_transforms(config)

    def listen_to_transforms(self, config: PerceptionConfig) -> None:
        """Subscribe to the transforms that a changed configuration needs.

        Raises:
            PerceptionError: this ROS installation has no tf2_msgs.
        """
        self._transforms.listen(needed_roles(config))

    def follow_publishers(self) -> None:
        """Subscribe to what is published, with the QoS of its publishers."""
        for one in self._all_inputs():
            one.update()

    def problems(self) -> Iterator[str]:
        """Describe publishers that cannot be received from."""
        for one in self._all_inputs():
            yield from one.problems()

    def calibration_doubts(self) -> list[str]:
        """Describe calibrations that are lost, or contradict one another."""
        return [doubt for one in self._calibrations for doubt in one.doubts()]

    def losses(self) -> list[InputLosses]:
        """Return the messages that were lost, by topic; call once a second."""
        return [losses for one in self._all_inputs() for losses in one.losses()]

    def destroy(self) -> None:
        """Remove all subscriptions, and drop what depends on time."""
        for one in self._all_inputs():
            one.destroy()
        self._inputs.clear()
        self._calibrations.clear()
        self._transforms.listen(frozenset())
        self._synchronizer.reset()

    def _all_inputs(self) -> list[Input | CalibrationInput]:
        return [*self._inputs, *self._calibrations]

    def _listen(
        self,
        topics: Sequence[Topic],
        callback: Callable[[Message], None],
        config: PerceptionConfig,
    ) -> None:
        guarded = self._errors.guarded(topics[0].name, callback)
        self._inputs.append(Input(self._node, topics, guarded, config.input.reliability))

    def _on_depth(self, message: Message) -> None:
        received_ns = self._node.get_clock().now().nanoseconds
        self._synchronizer.add(Role.DEPTH, message, message_stamp_ns(message), received_ns)
