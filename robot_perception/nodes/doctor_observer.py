"""Observe a ROS graph as the perception node would, without publishing anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
import os
from statistics import median
import threading
import time

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from rclpy.utilities import get_rmw_implementation_identifier
from rosgraph_msgs.msg import Clock

from robot_perception.conversions import Message
from robot_perception.core import ConversionError, ModelError, NANOSECONDS_PER_SECOND, Stage
from robot_perception.nodes import qos
from robot_perception.nodes.callback_errors import CallbackErrors
from robot_perception.nodes.camera_inputs import CameraInputs
from robot_perception.nodes.camera_watch import CameraReport, CameraWatch
from robot_perception.nodes.doctor_facts import (
    FrameProblem,
    GraphFacts,
    Publisher,
    RunningNode,
    StreamFacts,
)
from robot_perception.nodes.doctor_fastdds import loaded_fastdds
from robot_perception.nodes.messages import message_stamp_ns, RosMessages
from robot_perception.nodes.transform_listener import TransformListener
from robot_perception.pipeline import PerceptionConfig, PerceptionPipeline, Reliability
from robot_perception.sources import IMAGE_TYPES, Role
from robot_perception.stream import (
    FrameProcessor,
    FrameSet,
    needed_roles,
    OUTPUTS,
    SharedTransforms,
    Synchronizer,
)

_STUB = 'stub'
_Problem = tuple[str, str, str, bool]
_FOLLOW_PERIOD_S, _WATCH_PERIOD_S = 0.2, 1.0
# Discovery takes a second or two; a topic that appears later has a publisher that just started.
_DISCOVERY_S = 1.5
_MAX_RATE_HZ = 5.0


class _Arrivals:
    """Times and stamps of the messages of one input."""

    def __init__(self) -> None:
        self.stamps_ns: list[int] = []
        self.arrivals_s: list[float] = []
        self.description = ''

    def add(self, message: Message) -> None:
        self.stamps_ns.append(message_stamp_ns(message))
        self.arrivals_s.append(time.monotonic())
        size = f'{message.width}x{message.height}' if hasattr(message, 'width') else ''
        kind = getattr(message, 'encoding', getattr(message, 'format', ''))
        words = (size, kind, f'in {message.header.frame_id!r}')
        self.description = ' '.join(word for word in words if word)


class _ObservedInputs(Synchronizer):
    """A synchronizer that notes what arrives."""

    def __init__(self, transforms: SharedTransforms) -> None:
        super().__init__(transforms)
        self.arrivals = {role: _Arrivals() for role in Role}

    def add(self, role: Role, message: Message, stamp_ns: int = 0, received_ns: int = 0) -> None:
        """Note a message and add it."""
        if hasattr(message, 'header'):
            self.arrivals[role].add(message)
        super().add(role, message, stamp_ns, received_ns)


class Observer:
    """Joins the graph and processes images with stub networks."""

    def __init__(self, node: Node, config: PerceptionConfig) -> None:
        """Subscribe to what a configuration needs.

        Raises:
            PerceptionError: a message package is missing.
        """
        self._node = node
        self._config = _with_stubs(config)
        self._errors = CallbackErrors(node)
        self._transforms = TransformListener(node, self._errors)
        self._inputs = _ObservedInputs(self._transforms.transforms)
        self._subscriptions = CameraInputs(
            *(node, '', self._inputs, self._transforms),
            on_image=self._on_image,
            errors=self._errors,
        )
        self._subscriptions.subscribe(self._config)
        self._pipeline = PerceptionPipeline.load(self._config)
        self._processor = FrameProcessor(self._pipeline, RosMessages())
        self._pending: FrameSet | None = None
        self._arrived = threading.Condition()
        self._ages_s: list[float] = []
        self._sim_ages_s: list[float] = []
        self._clock_ns: int | None = None
        self._problems: Counter[_Problem] = Counter()
        self._frames = 0
        self._bad_transform = ''
        self._watch = CameraWatch()
        self._camera = CameraReport(is_silent=False)
        node.create_subscription(Clock, '/clock', self._on_clock, qos.camera_input())
        node.create_timer(_FOLLOW_PERIOD_S, self._subscriptions.follow_publishers)
        node.create_timer(_WATCH_PERIOD_S, self._watch_camera)

    def observe(self, seconds: float) -> None:
        """Process images for some time; another thread spins the node."""
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            with self._arrived:
                self._arrived.wait_for(lambda: self._pending is not None, timeout=left_s)
                frame_set, self._pending = self._pending, None
            if frame_set is not None:
                self._process(frame_set)
                time.sleep(min(1 / _MAX_RATE_HZ, max(end_s - time.monotonic(), 0.0)))
            fault = self._inputs.take_transform_fault()
            self._bad_transform = fault or self._bad_transform
        self._inputs.close()

    def failed_messages(self) -> str:
        """Describe messages that could not be examined, empty if there are none."""
        return self._errors.report().problem

    def facts(
        self,
        seconds: float,
        running: RunningNode | None,
        ours: AbstractSet[str],
        environment: Mapping[str, str],
    ) -> GraphFacts:
        """Return what was observed.

        Args:
            seconds: how long.
            running: the perception node, None if none runs.
            ours: names of the nodes of the observer itself.
            environment: variables of the middleware.
        """
        node = self._node
        others = [one for one in node.get_node_names_and_namespaces() if one[0] not in ours]
        topics = node.get_topic_names_and_types()
        return GraphFacts(
            seconds=seconds,
            middleware=get_rmw_implementation_identifier(),
            environment=environment,
            fastdds=loaded_fastdds(),
            distribution=os.environ.get('ROS_DISTRO', ''),
            nodes=tuple(sorted(f'{namespace.rstrip("/")}/{name}' for name, namespace in others)),
            image_topics=tuple(
                sorted(
                    name
                    for name, types in topics
                    if set(IMAGE_TYPES).intersection(types)
                    and node.get_publishers_info_by_topic(name)
                    and not (running and name.startswith(f'{running.name}/'))
                )
            ),
            streams=tuple(self._streams()),
            camera=self._camera_problem(),
            connections=(*self._subscriptions.problems(), *self._transforms.problems()),
            frames=self._frames,
            problems=tuple(
                FrameProblem(part, reason, text, count, usable)
                for (part, reason, text, usable), count in _merged(self._problems)
            ),
            bad_transform=self._bad_transform,
            calibration_doubts=(
                ()
                if self._config.camera.info_url
                else tuple(self._subscriptions.calibration_doubts())
            ),
            clock_publishers=tuple(one.node for one in self._publishers('/clock')),
            clock_received=self._clock_ns is not None,
            age_s=median(self._ages_s) if self._ages_s else None,
            sim_age_s=median(self._sim_ages_s) if self._sim_ages_s else None,
            running=running,
        )

    def _streams(self) -> Iterator[StreamFacts]:
        topics, roles = self._subscriptions.topics, needed_roles(self._config)
        name = self._node.resolve_topic_name
        rows = (
            ('image', topics.image, (name('image'), f'{name("image")}/compressed'), Role.IMAGE),
            ('camera_info', topics.camera_info, (topics.camera_info,), Role.CAMERA_INFO),
            ('depth', topics.depth, (topics.depth, f'{topics.depth}/compressedDepth'), Role.DEPTH),
        )
        for title, topic, candidates, role in rows:
            if role not in roles or (
                role is Role.CAMERA_INFO and not _needs_camera_info(self._config)
            ):
                continue
            arrivals = self._inputs.arrivals[role]
            yield StreamFacts(
                title,
                topic,
                tuple(one for each in candidates for one in self._publishers(each)),
                tuple(arrivals.stamps_ns),
                tuple(arrivals.arrivals_s),
                arrivals.description,
            )

    def _publishers(self, topic: str) -> Iterator[Publisher]:
        for peer in self._node.get_publishers_info_by_topic(topic):
            yield Publisher(
                f'{peer.node_namespace.rstrip("/")}/{peer.node_name}',
                peer.topic_type,
                peer.qos_profile.reliability == ReliabilityPolicy.RELIABLE,
                peer.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL,
                peer.qos_profile.reliability == ReliabilityPolicy.RELIABLE
                or self._config.input.reliability is not Reliability.RELIABLE,
            )

    def _on_clock(self, message: Clock) -> None:
        self._clock_ns = message.clock.sec * NANOSECONDS_PER_SECOND + message.clock.nanosec

    def _watch_camera(self) -> None:
        self._camera = self._watch.report()

    def _camera_problem(self) -> str:
        arrivals_s = self._inputs.arrivals[Role.IMAGE].arrivals_s
        if arrivals_s and self._camera.is_silent:
            silence_s = time.monotonic() - arrivals_s[-1]
            return f'{len(arrivals_s)} images arrived, and none in the last {silence_s:.0f} s'
        return self._camera.problem

    def _on_image(self, message: Message) -> None:
        self._watch.add(message)
        self._inputs.arrivals[Role.IMAGE].add(message)
        stamp_ns, now_ns = message_stamp_ns(message), time.time_ns()
        if stamp_ns:
            self._ages_s.append((now_ns - stamp_ns) / NANOSECONDS_PER_SECOND)
            if self._clock_ns is not None:
                self._sim_ages_s.append((self._clock_ns - stamp_ns) / NANOSECONDS_PER_SECOND)
        with self._arrived:
            if self._pending is None:
                self._pending = self._inputs.frame_set(
                    message, stamp_ns, now_ns, self._config, self._subscriptions.topics
                )
                self._arrived.notify()

    def _process(self, frame_set: FrameSet) -> None:
        first_s = self._inputs.arrivals[Role.IMAGE].arrivals_s[0]
        self._frames += 1
        try:
            frame = self._processor.process(frame_set, OUTPUTS)
        except (ConversionError, ModelError) as error:
            self._problems['image', error.reason, str(error), False] += 1
            return
        if time.monotonic() - first_s < _DISCOVERY_S:
            # What belongs to the first images may still be on its way.
            self._frames -= 1
            return
        parts = {
            'calibration': frame.status.calibration,
            'depth': frame.status.depth,
            'tf': frame.status.frames,
        }
        for part, status in parts.items():
            if status.problem:
                self._problems[part, status.reason, status.problem, status.is_usable] += 1
        for remark in frame.remarks:
            self._problems['image', remark.reason, remark.problem, True] += 1


def _needs_camera_info(config: PerceptionConfig) -> bool:
    return not (config.camera.fallback_hfov_deg or config.camera.info_url)


def _with_stubs(config: PerceptionConfig) -> PerceptionConfig:
    """Return a configuration that reads the same inputs, without networks."""
    values: dict[str, object] = {f'{stage}.model': _STUB for stage in Stage}
    values |= {f'{stage}.every_k': 1 for stage in Stage}
    values |= {'device': 'cpu', 'features.enabled': False, 'depth.enabled': True}
    # The depth of the stub has no ground.
    return config.with_values(values | {'camera.height_m': 0.0})


def _merged(problems: Counter[_Problem]) -> Iterator[tuple[_Problem, int]]:
    """Yield each problem once, with its first text, since texts can contain times."""
    counts: Counter[tuple[str, str, bool]] = Counter()
    texts: dict[tuple[str, str, bool], str] = {}
    for (part, reason, text, usable), count in problems.items():
        counts[part, reason, usable] += count
        texts.setdefault((part, reason, usable), text)
    for (part, reason, usable), count in counts.items():
        yield (part, reason, texts[part, reason, usable], usable), count
