"""One camera of the node: what arrives from it, and what is published of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import Header

from robot_perception.conversions import Message
from robot_perception.nodes.ask import AskAction, TrackedImage
from robot_perception.nodes.callback_errors import CallbackErrors
from robot_perception.nodes.camera_inputs import CameraInputs
from robot_perception.nodes.camera_processor import CameraProcessor
from robot_perception.nodes.camera_watch import CameraWatch
from robot_perception.nodes.diagnostics import (
    camera_statuses,
    CameraView,
    NodeView,
    OF_NODE,
    scene_problem,
)
from robot_perception.nodes.messages import message_stamp_ns, RosMessages
from robot_perception.nodes.perceive import PerceiveService
from robot_perception.nodes.publishers import OutputPublishers
from robot_perception.nodes.slot import FrameSlot
from robot_perception.nodes.transform_listener import TransformListener
from robot_perception.pipeline import (
    AgeBudget,
    DescriberProcess,
    PerceptionConfig,
    PerceptionPipeline,
)
from robot_perception.stream import (
    ClassNames,
    FrameProcessor,
    FrameTimer,
    label_info_messages,
    Synchronizer,
)


class Camera:
    """The inputs, the newest image and the outputs of a camera; for the thread of the executor.

    Attributes:
        name: first part of the names of its topics; empty for the only camera.
        slot: where images arrive, with the counts of what became of them.
        synchronizer: received messages that belong to images: calibrations, depth and transforms.
        inputs: subscriptions.
        perceive: answers requests for a scene.
        ask: answers questions.
        problem: what keeps frames from becoming scenes by the last report, empty if nothing does.
        pipeline: the networks and the state of earlier frames; None while not configured.
    """

    def __init__(
        self,
        node: LifecycleNode,
        name: str,
        slot: FrameSlot,
        transforms: TransformListener,
        errors: CallbackErrors,
        *,
        describer: DescriberProcess,
        drop_reason: Callable[[], str],
        refusal: Callable[[], str],
    ) -> None:
        """Create the camera without topics, its service and its action.

        Args:
            node: the node.
            name: of the camera; empty for the only one.
            slot: where images arrive.
            transforms: of all cameras.
            errors: counts calls that fail.
            describer: answers the questions of all cameras.
            drop_reason: why images are dropped at present, empty if they are not.
            refusal: the same as a sentence with what to do.

        Raises:
            PerceptionError: the messages of this package are not built.
        """
        self.name = name
        self.slot = slot
        self.synchronizer = Synchronizer(transforms.transforms)
        self.inputs = CameraInputs(
            *(node, name, self.synchronizer, transforms), on_image=self._on_image, errors=errors
        )
        self.perceive = PerceiveService(node, name, errors, refusal, lambda: self.problem)
        self.ask = AskAction(
            *(node, name, errors, describer),
            refusal=refusal,
            config=lambda: self._config,
            tracked=self._tracked_image,
        )
        self.problem = ''
        self.pipeline: PerceptionPipeline | None = None
        self._node = node
        self._drop_reason = drop_reason
        self._watch = CameraWatch()
        self._publishers: OutputPublishers | None = None
        self._reported = slot.counts()
        # Of the last label info; None while it cannot be published.
        self._published: ClassNames | None = None

    def configure(self, pipeline: PerceptionPipeline) -> None:
        """Create the topics.

        Raises:
            PerceptionError: a message package is missing.
        """
        self._publishers = OutputPublishers(self._node, self.name, self.perceive)
        self.inputs.subscribe(pipeline.config)
        self.pipeline = pipeline

    def reconfigure(self, config: PerceptionConfig) -> None:
        """Change live parameters of a configured camera from the next frame on.

        Raises:
            PerceptionError: a parameter is fixed, or this ROS installation has no tf2_msgs.
        """
        assert self.pipeline is not None  # noqa: S101 - configured
        self.pipeline.reconfigure(config)
        self.inputs.listen_to_transforms(config)
        self._follow_names(self.pipeline)

    def activate(self, budget: AgeBudget) -> CameraProcessor:
        """Publish the names of the classes, take images, and return what processes them.

        Args:
            budget: of the age of results, which all cameras share.
        """
        assert self.pipeline is not None  # noqa: S101 - configured
        assert self._publishers is not None  # noqa: S101 - configured
        self.slot.open()
        self.synchronizer.open()
        self._publish_names(self.pipeline)
        timer = FrameTimer(self._config.timing_window, self._now_ns)
        processor = FrameProcessor(self.pipeline, RosMessages(), timer=timer)
        return CameraProcessor(
            *(self.slot, processor, self._publishers, budget),
            self._node.get_logger(),
            follow_names=self._follow_names,
        )

    def _follow_names(self, pipeline: PerceptionPipeline) -> None:
        """Publish the names of the classes if there are others; also called by the worker."""
        if self._published not in {None, ClassNames.of(pipeline)}:
            self._publish_names(pipeline)

    def _publish_names(self, pipeline: PerceptionPipeline) -> None:
        assert self._publishers is not None  # noqa: S101 - configured
        self._published = names = ClassNames.of(pipeline)
        header = Header(stamp=self._node.get_clock().now().to_msg())
        messages = label_info_messages(
            RosMessages(), header, names, pipeline.config.detector.threshold
        )
        for topic, message in messages.items():
            self._publishers.publish_label_info(topic, message)

    def deactivate(self) -> None:
        """Take no more images, and end every wait for what belongs to one."""
        self._published = None
        self.slot.close('inactive')
        self.synchronizer.close()

    def release(self) -> None:
        """Drop the networks and the topics."""
        self.inputs.destroy()
        if self._publishers is not None:
            self._publishers.destroy()
        self._publishers = self.pipeline = None
        self.ask.discard_images()

    def reset(self) -> None:
        """Drop what depends on time, after a time jump."""
        self.slot.discard('time_jump')
        self.synchronizer.reset()
        self.ask.discard_images()
        if self._publishers is not None:
            self._publishers.tracked = None

    def report(
        self, node: NodeView, processor: CameraProcessor | None
    ) -> Iterator[DiagnosticStatus]:
        """Yield the statuses of the node and of this camera; call once a second.

        Args:
            node: state of the node.
            processor: processes the frames; None before the node was active.
        """
        view = self._view(node, processor)
        statuses = camera_statuses(view)
        self.problem = scene_problem(statuses)
        name = self._node.get_fully_qualified_name()
        for status in statuses:
            owner = name if status.name in OF_NODE else '/'.join(filter(None, (name, self.name)))
            yield status.to_message(owner, view.topic)

    def _view(self, node: NodeView, processor: CameraProcessor | None) -> CameraView:
        before, counts = self._reported, self.slot.counts()
        self._reported = counts
        has_file = self.pipeline is not None and self._config.camera.info_url
        return CameraView(
            node=node,
            topic=self.inputs.topics.image,
            counts=counts,
            before=before,
            connections=[
                *self.inputs.problems(),
                *node.transform_problems,
                *(() if self._publishers is None else self._publishers.problems()),
            ],
            losses=[*self.inputs.losses(), *node.transform_losses],
            calibration_doubts=[] if has_file else self.inputs.calibration_doubts(),
            camera=self._watch.report(),
            notes=() if self.pipeline is None else self.pipeline.notes,
            bad_transform=self.synchronizer.take_transform_fault(),
            health=None if processor is None else processor.health,
            stages=() if processor is None else processor.timing.summary(),
        )

    @property
    def _config(self) -> PerceptionConfig:
        assert self.pipeline is not None  # noqa: S101 - configured
        return self.pipeline.config

    def _tracked_image(self) -> TrackedImage | None:
        return None if self._publishers is None else self._publishers.tracked

    def _now_ns(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)

    def _on_image(self, message: Message) -> None:
        try:
            self._watch.add(message)
            self.ask.add_image(message)
            reason = self._drop_reason()
            if reason:
                self.slot.refuse(reason)
            else:
                # Depth and transforms are waited for from the receipt on.
                stamp_ns, now_ns = message_stamp_ns(message), self._now_ns()
                self.slot.put(
                    self.synchronizer.frame_set(
                        message, stamp_ns, now_ns, self._config, self.inputs.topics
                    )
                )
        except BaseException:
            self.slot.refuse('internal_error')
            raise
