"""The node: a camera topic in; features, depth, cloud, objects and masks out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import sys
import traceback
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
import rclpy
from rclpy.clock import Clock, ClockType, JumpThreshold  # type: ignore[attr-defined] # Humble
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_msgs.msg import Header
from std_srvs.srv import SetBool

from robot_perception.conversions import label_info_message, Message
from robot_perception.core import ConfigError, PerceptionError
from robot_perception.nodes import qos
from robot_perception.nodes.connections import publisher_problems
from robot_perception.nodes.depth_buffer import DepthBuffer
from robot_perception.nodes.diagnostics import diagnostic_array, NodeView, statuses_of
from robot_perception.nodes.inputs import image_topics, Input, single_topic, Topic
from robot_perception.nodes.messages import RosMessages
from robot_perception.nodes.parameters import changed_config, declare_config
from robot_perception.nodes.publishers import OutputPublishers
from robot_perception.nodes.slot import FrameSlot
from robot_perception.nodes.transform_listener import TransformListener
from robot_perception.nodes.transport import enlarge_shared_memory
from robot_perception.nodes.worker import FrameWorker
from robot_perception.pipeline import (
    CalibrationKeeper,
    DepthCamera,
    keep_freed_memory,
    MarkerMemory,
    PerceptionConfig,
    PerceptionPipeline,
)

_DIAGNOSTICS_PERIOD_S = 1.0
_FOLLOW_PERIOD_S = 0.2
_EXIT_FAILED, _EXIT_BAD_ARGUMENTS = 1, 2
_DEPTH_TOPIC, _DEPTH_INFO_TOPIC = 'depth', 'depth/camera_info'
_SUCCESS = TransitionCallbackReturn.SUCCESS


class PerceptionNode(LifecycleNode):
    """Lifecycle node ``perception``.

    Configuring loads the networks and makes the topics; activating starts the worker. The
    callbacks of the executor only keep the newest message, so services answer while a network
    runs.
    """

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401 - those of rclpy's Node
        """Declare the parameters, and start unless ``autostart`` is false.

        Raises:
            ConfigError: a parameter has a value that it refuses.

        """
        self._slot = FrameSlot()
        self._depth_buffer = DepthBuffer()
        self._worker: FrameWorker | None = None
        super().__init__('perception', **kwargs)
        self._transforms = TransformListener(self)
        try:
            self._config = declare_config(self)
        except ConfigError:
            self.destroy_node()
            raise
        self._calibration = CalibrationKeeper()
        self._depth_camera = DepthCamera(
            self.resolve_topic_name(_DEPTH_TOPIC), self.resolve_topic_name(_DEPTH_INFO_TOPIC)
        )
        self._pipeline: PerceptionPipeline | None = None
        self._outputs: OutputPublishers | None = None
        self._inputs: list[Input] = []
        self._enabled = True
        self._configure_error = ''
        self._markers = MarkerMemory()
        self._reported = self._slot.counts()
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self.create_service(SetBool, '~/enable', self._on_enable)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', qos.output())
        # Steady time: a paused or absent /clock must not silence the node.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(_DIAGNOSTICS_PERIOD_S, self._report, clock=steady)
        self.create_timer(_FOLLOW_PERIOD_S, self._follow_publishers, clock=steady)
        self._jump = self.get_clock().create_jump_callback(
            JumpThreshold(
                min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True
            ),
            post_callback=self._on_time_jump,
        )
        if self._config.autostart and self.trigger_configure() == _SUCCESS:
            self.trigger_activate()

    @property
    def slot(self) -> FrameSlot:
        """Where frames come in, and the account of what became of them."""
        return self._slot

    @property
    def is_active(self) -> bool:
        """Whether frames are processed."""
        return self._worker is not None

    # Lifecycle

    def on_configure(self, _: LifecycleState) -> TransitionCallbackReturn:
        """Load the networks and create the topics."""
        self._configure_error = ''
        try:
            self._pipeline = PerceptionPipeline.load(self._config)
            self._outputs = OutputPublishers(self)
            self._subscribe()
        except PerceptionError as error:
            self._configure_error = str(error)
        except Exception:  # noqa: BLE001 - rclpy would swallow it without a word
            self._configure_error = traceback.format_exc()
        else:
            names = f'{self._config.preset} preset on {self._config.device}'
            self.get_logger().info(f'configured: {names}; listening to {self._image_topic}')
            return _SUCCESS
        # After a signal nothing can be created, which is no news.
        if self.context.ok():
            self.get_logger().error(f'cannot configure: {self._configure_error}')
        self._release()
        return TransitionCallbackReturn.FAILURE

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start the worker."""
        assert self._pipeline is not None  # noqa: S101 - the state machine sees to it
        assert self._outputs is not None  # noqa: S101 - the state machine sees to it
        super().on_activate(state)
        self._slot.open()
        self._depth_buffer.open()
        self._transforms.open()
        self._worker = FrameWorker(
            slot=self._slot,
            pipeline=self._pipeline,
            publishers=self._outputs,
            calibration=self._calibration,
            depth_buffer=self._depth_buffer,
            depth_camera=self._depth_camera,
            transforms=self._transforms,
            markers=self._markers,
            image_topic=lambda: self._image_topic,
            now_ns=lambda: int(self.get_clock().now().nanoseconds),
            alive=self.context.ok,
            logger=self.get_logger(),
        )
        self._publish_label_info()
        self._worker.start()
        return _SUCCESS

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop the worker once the frame under way is out."""
        self._stop_worker()
        return super().on_deactivate(state)

    def on_cleanup(self, _: LifecycleState) -> TransitionCallbackReturn:
        """Drop the networks and the topics."""
        self._release()
        return _SUCCESS

    def on_shutdown(self, _: LifecycleState) -> TransitionCallbackReturn:
        """Stop and drop everything."""
        self._stop_worker()
        self._release()
        return _SUCCESS

    def destroy_node(self) -> None:
        """Stop the worker before the topics under it go."""
        self._stop_worker()
        super().destroy_node()

    def _stop_worker(self) -> None:
        self._slot.close('inactive')
        self._depth_buffer.close()
        self._transforms.close()
        if self._worker is not None:
            self._worker.join()
            self._worker = None

    def _release(self) -> None:
        for one in self._inputs:
            one.destroy()
        self._inputs.clear()
        self._transforms.listen(moving=False, static=False)
        if self._outputs is not None:
            self._outputs.destroy()
        self._outputs = None
        self._pipeline = None
        self._depth_buffer.clear()

    # Topics

    def _subscribe(self) -> None:
        config = self._config
        self._listen(image_topics(self, config.input.transport), self._on_image)
        info = single_topic(self, 'camera_info', 'sensor_msgs/msg/CameraInfo')
        self._listen(info, self._calibration.keep)
        if config.depth.source.uses_sensor:
            depth = single_topic(self, _DEPTH_TOPIC, 'sensor_msgs/msg/Image')
            self._listen(depth, self._depth_buffer.put)
            depth_info = single_topic(self, _DEPTH_INFO_TOPIC, 'sensor_msgs/msg/CameraInfo')
            self._listen(depth_info, self._depth_camera.keep)
        self._hear_transforms(config)

    def _hear_transforms(self, config: PerceptionConfig) -> None:
        # Where a depth camera sits beside a colour camera is told on /tf_static.
        needed = config.frames.needs_tf
        self._transforms.listen(moving=needed, static=needed or config.depth.source.uses_sensor)

    def _listen(self, topics: Sequence[Topic], callback: Callable[[Message], None]) -> None:
        self._inputs.append(Input(self, topics, callback, self._config.input.reliability))

    def _follow_publishers(self) -> None:
        for one in self._inputs:
            one.update()

    @property
    def _image_topic(self) -> str:
        return next((one.topic for one in self._inputs), 'image')

    def _on_image(self, message: Message) -> None:
        if self._worker is None:
            self._slot.refuse('inactive')
        elif not self._enabled:
            self._slot.refuse('disabled')
        else:
            self._slot.put(message)

    def _publish_label_info(self) -> None:
        assert self._pipeline is not None  # noqa: S101 - configured
        assert self._outputs is not None  # noqa: S101 - configured
        self._outputs.publish_label_info(
            label_info_message(
                RosMessages(),
                Header(stamp=self.get_clock().now().to_msg()),
                self._pipeline.class_names,
                self._config.detector.threshold,
            )
        )

    # Requests

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._enabled = request.data
        if not request.data:
            self._slot.discard('disabled')
        response.success = True
        response.message = 'frames are processed' if request.data else 'frames are dropped'
        return response

    def _on_set_parameters(self, parameters: list[Parameter[Any]]) -> SetParametersResult:
        result, config = changed_config(self._config, parameters)
        if not result.successful or config == self._config:
            return result
        if self._pipeline is not None:
            try:
                self._pipeline.reconfigure(config)
            except ConfigError as error:
                return SetParametersResult(successful=False, reason=str(error))
            try:
                self._hear_transforms(config)
            except PerceptionError as error:
                self._pipeline.reconfigure(self._config)
                return SetParametersResult(successful=False, reason=str(error))
        self._config = config
        return result

    def _on_time_jump(self, _: object) -> None:
        self._slot.discard('time_jump')
        self._depth_buffer.clear()
        self._transforms.clear()
        if self._worker is not None:
            self._worker.time_jumped()

    # Health

    def _report(self) -> None:
        now, counts, worker = self.get_clock().now(), self._slot.counts(), self._worker
        view = NodeView(
            state=self._state_machine.current_state[1],
            configure_error=self._configure_error,
            paused='' if self._enabled else 'disabled by ~/enable',
            topic=self._image_topic,
            counts=counts,
            before=self._reported,
            period_s=_DIAGNOSTICS_PERIOD_S,
            connections=self._connection_problems(),
            bad_transform=self._transforms.take_fault(),
            health=None if worker is None else worker.health,
            stages=() if worker is None else worker.timing.summary(),
            clock_missing=now.nanoseconds == 0,
        )
        self._reported = counts
        message = diagnostic_array(now.to_msg(), self.get_name(), statuses_of(view))
        self._diagnostics.publish(message)

    def _connection_problems(self) -> list[str]:
        problems: list[str] = []
        for one in self._inputs:
            problems += one.problems()
        problems += self._transforms.problems()
        if self._outputs is not None:
            for publisher in self._outputs.all:
                problems += publisher_problems(self, publisher.topic_name)
        return problems


def run_node(parameters: list[Parameter[Any]] | None = None, *, must_start: bool = False) -> int:
    """Run the node in this process until it is interrupted; returns the exit code.

    Args:
        parameters: values that win over those of the ROS arguments.
        must_start: end with 1 when the node cannot be activated, instead of waiting until
            somebody mends it.

    """
    keep_freed_memory()
    try:
        # Made while a signal is unlikely: one that comes meanwhile leaves half of it behind.
        executor = SingleThreadedExecutor()
        try:
            node = PerceptionNode(parameter_overrides=parameters)
            try:
                if must_start and not node.is_active:
                    return _EXIT_FAILED
                rclpy.spin(node, executor)
            finally:
                node.destroy_node()
        finally:
            executor.shutdown()
    except ConfigError as error:
        rclpy.logging.get_logger('perception').error(str(error))
        return _EXIT_BAD_ARGUMENTS
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except Exception:
        # A signal while networks load makes any later call of rclpy fail.
        if rclpy.ok():
            raise
    return 0


def main(args: list[str] | None = None) -> int:
    """Run the node: ``ros2 run robot_perception perception_node``."""
    enlarge_shared_memory()
    try:
        rclpy.init(args=args)
    except RuntimeError as error:
        # Base of what rclpy raises for arguments it does not understand.
        print(f'perception: bad ROS arguments: {error}', file=sys.stderr)
        return _EXIT_BAD_ARGUMENTS
    try:
        return run_node()
    finally:
        rclpy.try_shutdown()


if __name__ == '__main__':
    sys.exit(main())
