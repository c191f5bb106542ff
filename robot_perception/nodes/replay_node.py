"""Publishes a recording like a camera driver."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import sys
import threading
import time
from typing import Any

import rclpy
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.task import Future
from rclpy.time import Time

from robot_perception.core import ConfigError, PerceptionError, SourceError
from robot_perception.nodes.messages import message_class
from robot_perception.nodes.parameters import declare, warn_of_unknown_parameters
from robot_perception.nodes.replay_config import ReplayConfig
from robot_perception.nodes.transport import enlarge_shared_memory, remove_stale_segments
from robot_perception.pipeline import Value
from robot_perception.sources import play, PlayReport, Role, Sample, Source, Timekeeper

EXIT_OK, EXIT_FAILED, EXIT_BAD_ARGUMENTS, EXIT_PARTLY_READ = 0, 1, 2, 3

_IMAGE_HISTORY = 10
_TF_HISTORY = 100
_POLL_S = 0.05
# Subscribers of the images subscribe to the other topics within this time.
_SETTLE_S = 1.0
_DELIVERY_S = 2.0
_JOIN_S = 5.0


class ReplayNode(Node):
    """Plays a source after `start`; `finished` then holds the outcome.

    Attributes:
        source: the recording.
        finished: completed at the end with a `PlayReport`, with None after an interruption, or
            with the error that ended the replay.
    """

    def __init__(
        self,
        *,
        on_sample: Callable[[Sample], object] | None = None,
        subscribers: int = 1,
        **node_options: Any,  # noqa: ANN401 - those of rclpy's Node
    ) -> None:
        """Declare the parameters, open the source and create the publishers.

        Args:
            on_sample: called after every published sample, on the replay thread.
            subscribers: number of image subscribers that `wait_for_subscriber_s` waits for.
            node_options: passed to rclpy's Node: context, parameter_overrides ...

        Raises:
            ConfigError: a parameter has a bad value.
            SourceError: the source cannot be read.
        """
        super().__init__('replay', **node_options)
        self._on_sample = on_sample
        self._subscribers = subscribers
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.finished: Future[PlayReport | None] = Future()
        try:
            self._config = self._declare_config()
            self.source: Source = self._config.open()
        except BaseException:
            super().destroy_node()
            raise
        self.get_logger().info(self.source.description)
        for note in self.source.notes:
            self.get_logger().warning(note)
        self._outputs = self._make_publishers()
        self._clock_output: Publisher[Any] | None = None
        if self._config.clock:
            clock_type = message_class('rosgraph_msgs/msg/Clock')
            self._clock_output = self.create_publisher(clock_type, '/clock', _reliable(1))

    def start(self) -> None:
        """Start the replay on a new thread."""
        self.context.on_shutdown(self._stop.set)
        self._thread = threading.Thread(target=self._run, name='replay', daemon=True)
        self._thread.start()

    def destroy_node(self) -> None:
        """Stop the replay before the publishers are destroyed."""
        self.stop()
        super().destroy_node()

    def stop(self) -> None:
        """Stop the replay and close the source."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_JOIN_S)
        self.source.close()

    def _declare_config(self) -> ReplayConfig:
        config = ReplayConfig()
        config = config.with_values(declare(self, config.parameters(), read_only=True))
        warn_of_unknown_parameters(self, config)
        if not config.source:
            raise ConfigError(
                'missing_source',
                'source: expected a path or the index of a webcam, got nothing. '
                'Pass --ros-args -p source:=PATH.',
            )
        return config

    def _make_publishers(self) -> Mapping[Role, Publisher[Any]]:
        # image_transport appends to the remapped name.
        compressed = f'{self.resolve_topic_name("image")}/compressed'
        compressed_depth = f'{self.resolve_topic_name("depth")}/compressedDepth'
        outputs = {
            Role.IMAGE: ('image', _reliable(_IMAGE_HISTORY)),
            Role.COMPRESSED_IMAGE: (compressed, _reliable(_IMAGE_HISTORY)),
            Role.CAMERA_INFO: ('camera_info', _reliable(_IMAGE_HISTORY)),
            Role.DEPTH: ('depth', _reliable(_IMAGE_HISTORY)),
            Role.COMPRESSED_DEPTH: (compressed_depth, _reliable(_IMAGE_HISTORY)),
            Role.DEPTH_CAMERA_INFO: ('depth/camera_info', _reliable(_IMAGE_HISTORY)),
            Role.TF: ('/tf', _reliable(_TF_HISTORY)),
            Role.TF_STATIC: ('/tf_static', _reliable(_TF_HISTORY, latched=True)),
        }
        publishers = {}
        for role, (topic, qos) in outputs.items():
            if role not in self.source.roles:
                continue
            try:
                message_type = message_class(role.type_name)
            except PerceptionError as error:
                self.get_logger().warning(f'{topic} is not published. {error}')
                continue
            publishers[role] = self.create_publisher(message_type, topic, qos)
        return publishers

    def _run(self) -> None:
        try:
            self._wait_for_subscriber()
            report = play(
                self.source,
                self._publish,
                rate=self._config.rate,
                loop=self._config.loop,
                clock=self._publish_clock if self._config.clock else None,
                on_damage=self._report_damage,
                timekeeper=Timekeeper(sleep=self._stop.wait, stopped=self._stop.is_set),
            )
            self._wait_for_delivery()
        except Exception as error:  # noqa: BLE001 - passed to the waiting thread
            # Publishing fails after the context is shut down, which is no error.
            if self._stop.is_set() or not self.context.ok():
                self.finished.set_result(None)
            else:
                self.finished.set_exception(error)
        else:
            self.finished.set_result(report)

    def _report_damage(self, error: SourceError) -> None:
        self.get_logger().error(str(error))

    def _publish(self, sample: Sample) -> None:
        output = self._outputs.get(sample.role)
        if output is not None:
            output.publish(sample.cdr)
        if self._on_sample is not None:
            self._on_sample(sample)

    def _publish_clock(self, stamp_ns: int) -> None:
        assert self._clock_output is not None  # noqa: S101 - made with the clock parameter
        message = message_class('rosgraph_msgs/msg/Clock')()
        message.clock = Time(nanoseconds=stamp_ns).to_msg()
        self._clock_output.publish(message)

    def _wait_for_subscriber(self) -> None:
        if self._config.wait_for_subscriber_s == 0:
            return
        deadline = time.monotonic() + self._config.wait_for_subscriber_s
        images = [
            output
            for role, output in self._outputs.items()
            if role in (Role.IMAGE, Role.COMPRESSED_IMAGE)
        ]
        while (count := max(one.get_subscription_count() for one in images)) < self._subscribers:
            if time.monotonic() > deadline:
                self.get_logger().warning(
                    f'{images[0].topic_name}: {count} of {self._subscribers} subscribers are '
                    'connected; playing anyway'
                )
                return
            if self._stop.wait(_POLL_S):
                return
        self._stop.wait(_SETTLE_S)

    def _wait_for_delivery(self) -> None:
        """Wait until reliable subscribers have the last messages."""
        deadline = time.monotonic() + _DELIVERY_S
        for output in self._outputs.values():
            while not self._stop.is_set() and time.monotonic() < deadline:
                if output.wait_for_all_acked(Duration(seconds=_POLL_S)):
                    break


def _reliable(depth: int, *, latched: bool = False) -> QoSProfile:
    """Return a profile that matches every subscriber; delivery is awaited for reliable ones."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def replay(
    ros_args: Sequence[str] | None = None,
    parameters: Mapping[str, Value] | None = None,
    on_open: Callable[[Source], object] | None = None,
    on_sample: Callable[[Sample], object] | None = None,
    *,
    subscribers: int = 1,
) -> int:
    """Play a source in this process until it ends, or until Ctrl-C or SIGTERM.

    Args:
        ros_args: ROS arguments; None for those of the command line.
        parameters: values that override those in the ROS arguments.
        on_open: called with the opened source before playing.
        on_sample: called after every published sample.
        subscribers: number of image subscribers that `wait_for_subscriber_s` waits for.

    Returns:
        An exit code: 0 played or interrupted, 1 failed, 2 bad parameters, 3 played what is
        readable of a damaged source.
    """
    remove_stale_segments()
    enlarge_shared_memory()
    try:
        rclpy.init(args=None if ros_args is None else list(ros_args))
    except RuntimeError as error:
        # Base class of the errors of rclpy for unknown arguments.
        print(f'replay: bad ROS arguments: {error}', file=sys.stderr)
        return EXIT_BAD_ARGUMENTS
    try:
        overrides = [Parameter(name, value=value) for name, value in (parameters or {}).items()]
        node = ReplayNode(
            on_sample=on_sample,
            subscribers=subscribers,
            parameter_overrides=overrides,
        )
        if on_open is not None:
            on_open(node.source)
        return _play_to_end(node)
    except ConfigError as error:
        rclpy.logging.get_logger('replay').error(str(error))
        return EXIT_BAD_ARGUMENTS
    except SourceError as error:
        rclpy.logging.get_logger('replay').error(str(error))
        return EXIT_FAILED
    except (KeyboardInterrupt, ExternalShutdownException):
        return EXIT_OK
    except Exception:
        # After a signal during startup any call of rclpy may fail.
        if rclpy.ok():
            raise
        return EXIT_OK
    finally:
        rclpy.try_shutdown()


def _play_to_end(node: ReplayNode) -> int:
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    node.start()
    try:
        executor.spin_until_future_complete(node.finished)
        report = node.finished.result()
    finally:
        executor.shutdown()
        node.destroy_node()
    if report is None:
        return EXIT_OK
    return EXIT_OK if report.error is None else EXIT_PARTLY_READ


def main(args: Sequence[str] | None = None) -> int:
    """Run the node: ``ros2 run robot_perception replay_node --ros-args -p source:=PATH``."""
    return replay(args)
