"""The node: a camera topic in; features, depth, cloud, objects and masks out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import math
import sys
import traceback
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
import rclpy
from rclpy.clock import Clock, JumpThreshold
from rclpy.clock_type import ClockType
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_msgs.msg import Header
from std_srvs.srv import SetBool

from robot_perception.conversions import label_info_message
from robot_perception.conversions.messages import Message
from robot_perception.core.errors import ConfigError, PerceptionError
from robot_perception.nodes import qos
from robot_perception.nodes.calibration import CalibrationKeeper
from robot_perception.nodes.connections import publisher_problems
from robot_perception.nodes.depth_buffer import DepthBuffer
from robot_perception.nodes.diagnostics import (
    diagnostic_array,
    frames_status,
    problem_status,
    Status,
    timing_status,
    WARN,
)
from robot_perception.nodes.inputs import Input
from robot_perception.nodes.memory import keep_freed_memory
from robot_perception.nodes.messages import RosMessages
from robot_perception.nodes.parameters import changed_config, declare_config
from robot_perception.nodes.publishers import OutputPublishers
from robot_perception.nodes.slot import FrameSlot
from robot_perception.nodes.transport import make_room_for_images
from robot_perception.nodes.worker import FrameWorker
from robot_perception.pipeline import PerceptionPipeline

_DIAGNOSTICS_PERIOD_S = 1.0
_FOLLOW_PERIOD_S = 0.2
# An image older than this by the node's clock comes from another clock.
_FOREIGN_CLOCK_S = 10.0
_EXIT_BAD_ARGUMENTS = 2
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
        self._worker: FrameWorker | None = None
        super().__init__('perception', **kwargs)
        try:
            self._config = declare_config(self)
        except ConfigError:
            self.destroy_node()
            raise
        self._calibration = CalibrationKeeper()
        self._depth_buffer = DepthBuffer()
        self._pipeline: PerceptionPipeline | None = None
        self._outputs: OutputPublishers | None = None
        self._inputs: list[Input] = []
        self._enabled = True
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

    # Lifecycle

    def on_configure(self, _: LifecycleState) -> TransitionCallbackReturn:
        """Load the networks and create the topics."""
        try:
            self._pipeline = PerceptionPipeline.load(self._config)
            self._outputs = OutputPublishers(self)
            self._subscribe()
        except PerceptionError as error:
            self.get_logger().error(f'cannot configure: {error}')
        except Exception:  # noqa: BLE001 - rclpy would swallow it without a word
            # After a signal nothing can be created, which is no news.
            if self.context.ok():
                self.get_logger().error(f'cannot configure:\n{traceback.format_exc()}')
        else:
            names = f'{self._config.preset} preset on {self._config.device}'
            self.get_logger().info(f'configured: {names}; listening to {self._image_topic}')
            return _SUCCESS
        self._release()
        return TransitionCallbackReturn.FAILURE

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start the worker."""
        assert self._pipeline is not None  # noqa: S101 - the state machine sees to it
        assert self._outputs is not None  # noqa: S101 - the state machine sees to it
        super().on_activate(state)
        self._slot.open()
        self._worker = FrameWorker(
            slot=self._slot,
            pipeline=self._pipeline,
            publishers=self._outputs,
            calibration=self._calibration,
            depth_buffer=self._depth_buffer,
            now_ns=lambda: int(self.get_clock().now().nanoseconds),
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
        if self._worker is not None:
            self._worker.join()
            self._worker = None

    def _release(self) -> None:
        for one in self._inputs:
            one.destroy()
        self._inputs.clear()
        if self._outputs is not None:
            self._outputs.destroy()
        self._outputs = None
        self._pipeline = None
        self._depth_buffer.clear()

    # Topics

    def _subscribe(self) -> None:
        if self._config.input.transport == 'compressed':
            self._listen('sensor_msgs/msg/CompressedImage', 'image/compressed', self._on_image)
        else:
            self._listen('sensor_msgs/msg/Image', 'image', self._on_image)
        self._listen('sensor_msgs/msg/CameraInfo', 'camera_info', self._calibration.keep)
        if self._config.depth.source == 'sensor':
            self._listen('sensor_msgs/msg/Image', 'depth', self._depth_buffer.put)

    def _listen(self, type_name: str, topic: str, callback: Callable[[Message], None]) -> None:
        reliability = self._config.input.reliability
        self._inputs.append(Input(self, type_name, topic, callback, reliability))

    def _follow_publishers(self) -> None:
        for one in self._inputs:
            one.follow()

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
        self._config = config
        return result

    def _on_time_jump(self, _: object) -> None:
        self._slot.discard('time_jump')
        self._depth_buffer.clear()
        if self._worker is not None:
            self._worker.time_jumped()

    # Health

    def _report(self) -> None:
        statuses = list(self._statuses())
        stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(diagnostic_array(stamp, self.get_name(), statuses))

    def _statuses(self) -> Sequence[Status]:
        counts = self._slot.counts()
        statuses = [
            frames_status(counts, self._reported, _DIAGNOSTICS_PERIOD_S, self._image_topic),
            problem_status('connections', ' '.join(self._connection_problems()), 'peers fit'),
        ]
        self._reported = counts
        if self._worker is not None:
            health = self._worker.health
            statuses += [
                problem_status('calibration', health.calibration, 'calibration fits the image'),
                problem_status('depth', health.depth, 'depth comes in'),
                problem_status('model', health.model, 'networks run'),
                self._clock_status(health.age_s),
                timing_status(self._worker.timing.summary(), health.age_s),
            ]
        return statuses

    def _connection_problems(self) -> list[str]:
        problems: list[str] = []
        for one in self._inputs:
            problems += one.problems()
        if self._outputs is not None:
            for publisher in self._outputs.all:
                problems += publisher_problems(self, publisher.topic_name)
        return problems

    @staticmethod
    def _clock_status(age_s: float) -> Status:
        if math.isnan(age_s) or abs(age_s) <= _FOREIGN_CLOCK_S:
            return problem_status('clock', '', 'stamps agree with this clock')
        return Status(
            'clock',
            WARN,
            f'images are {age_s:.0f} s old by the clock of this node. For a recording set '
            'use_sim_time and play it with --clock; for a camera synchronise the clocks.',
        )


def run_node(parameters: list[Parameter[Any]] | None = None) -> int:
    """Run the node in this process until it is interrupted; returns the exit code.

    Args:
        parameters: values that win over those of the ROS arguments.

    """
    keep_freed_memory()
    try:
        node = PerceptionNode(parameter_overrides=parameters)
        try:
            if rclpy.ok():
                rclpy.spin(node)
        finally:
            node.destroy_node()
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
    make_room_for_images()
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
