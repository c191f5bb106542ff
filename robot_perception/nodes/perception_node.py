"""The perception node: subscribes to a camera, publishes features, depth, objects and masks."""

from __future__ import annotations

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
from robot_perception.nodes.bond import Bond, create_bond
from robot_perception.nodes.camera_inputs import CameraInputs
from robot_perception.nodes.connections import publisher_problems
from robot_perception.nodes.diagnostics import diagnostic_array, node_statuses, NodeView
from robot_perception.nodes.messages import message_stamp_ns, RosMessages
from robot_perception.nodes.parameters import changed_config, declare_config
from robot_perception.nodes.publishers import OutputPublishers
from robot_perception.nodes.slot import FrameSlot
from robot_perception.nodes.transport import enlarge_shared_memory
from robot_perception.nodes.worker import FrameWorker
from robot_perception.pipeline import keep_freed_memory, PerceptionPipeline
from robot_perception.stream import FrameProcessor, FrameTimer, Synchronizer

_DIAGNOSTICS_PERIOD_S = 1.0
_FOLLOW_PERIOD_S = 0.2
_EXIT_FAILED, _EXIT_BAD_ARGUMENTS = 1, 2
_SUCCESS = TransitionCallbackReturn.SUCCESS


class PerceptionNode(LifecycleNode):
    """Lifecycle node ``perception``.

    Configuring loads the networks and creates the topics; activating starts the worker. Callbacks
    only keep the newest message, so services respond while a network runs.
    """

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401 - those of rclpy's Node
        """Declare the parameters, and start unless ``autostart`` is false.

        Raises:
            ConfigError: a parameter has a value that it refuses.

        """
        self._slot = FrameSlot()
        self._synchronizer = Synchronizer()
        self._worker: FrameWorker | None = None
        self._bond: Bond | None = None
        super().__init__('perception', **kwargs)
        try:
            self._config = declare_config(self)
        except ConfigError:
            self.destroy_node()
            raise
        self._inputs = CameraInputs(self, self._synchronizer, self._on_image)
        self._pipeline: PerceptionPipeline | None = None
        self._outputs: OutputPublishers | None = None
        self._enabled = True
        self._configure_error = ''
        self._reported = self._slot.counts()
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self.create_service(SetBool, '~/enable', self._on_enable)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', qos.output())
        # Steady time: a paused or absent /clock must not silence the node.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(_DIAGNOSTICS_PERIOD_S, self._report, clock=steady)
        self.create_timer(_FOLLOW_PERIOD_S, self._inputs.follow_publishers, clock=steady)
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
        """Where images arrive, with the counts of what became of them."""
        return self._slot

    @property
    def synchronizer(self) -> Synchronizer:
        """Received messages that belong to images: calibrations, depth and transforms."""
        return self._synchronizer

    @property
    def is_active(self) -> bool:
        """Whether frames are processed."""
        return self._worker is not None

    @property
    def lifecycle_state(self) -> str:
        """Name of the lifecycle state: unconfigured, inactive, active ..."""
        return str(self._state_machine.current_state[1])

    # Lifecycle

    def on_configure(self, _: LifecycleState) -> TransitionCallbackReturn:
        """Load the networks and create the topics."""
        self._configure_error = ''
        try:
            self._pipeline = PerceptionPipeline.load(self._config)
            self._outputs = OutputPublishers(self)
            self._inputs.subscribe(self._config)
        except PerceptionError as error:
            self._configure_error = str(error)
        except Exception:  # noqa: BLE001 - rclpy would swallow it
            self._configure_error = traceback.format_exc()
        else:
            names = f'{self._config.preset} preset on {self._config.device}'
            self.get_logger().info(
                f'configured: {names}; listening to {self._inputs.topics.image}'
            )
            self._bond = None if self._config.autostart else create_bond(self)
            return _SUCCESS
        # After a signal nothing can be created, which is expected.
        if self.context.ok():
            self.get_logger().error(f'cannot configure: {self._configure_error}')
        self._release()
        return TransitionCallbackReturn.FAILURE

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start the worker."""
        assert self._pipeline is not None  # noqa: S101 - guaranteed by the state machine
        assert self._outputs is not None  # noqa: S101 - guaranteed by the state machine
        super().on_activate(state)
        self._slot.open()
        self._synchronizer.open()
        timer = FrameTimer(self._config.timing_window, self._now_ns)
        processor = FrameProcessor(self._pipeline, RosMessages(), timer=timer)
        self._worker = FrameWorker(self._slot, processor, self._outputs, self.get_logger())
        self._publish_label_info()
        self._worker.start()
        if self._bond is not None:
            self._bond.start()
        return _SUCCESS

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop the worker after the current frame."""
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
        """Stop the worker before its topics are destroyed."""
        self._stop_worker()
        super().destroy_node()

    def _stop_worker(self) -> None:
        self._slot.close('inactive')
        self._synchronizer.close()
        if self._bond is not None:
            self._bond.stop()
        if self._worker is not None:
            self._worker.join()
            self._worker = None

    def _release(self) -> None:
        self._inputs.destroy()
        if self._outputs is not None:
            self._outputs.destroy()
        if self._bond is not None:
            self._bond.destroy()
        self._outputs = None
        self._bond = None
        self._pipeline = None

    # Topics

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _on_image(self, message: Message) -> None:
        if self._worker is None:
            self._slot.refuse('inactive')
        elif not self._enabled:
            self._slot.refuse('disabled')
        else:
            # Depth and transforms are waited for from the receipt on.
            frame_set = self._synchronizer.frame_set(
                message,
                message_stamp_ns(message),
                self._now_ns(),
                self._config,
                self._inputs.topics,
            )
            self._slot.put(frame_set)

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
                self._inputs.listen_to_transforms(config)
            except PerceptionError as error:
                self._pipeline.reconfigure(self._config)
                return SetParametersResult(successful=False, reason=str(error))
        self._config = config
        return result

    def _on_time_jump(self, _: object) -> None:
        self._slot.discard('time_jump')
        self._synchronizer.reset()
        if self._worker is not None:
            self._worker.time_jumped()

    # Diagnostics

    def _report(self) -> None:
        now, counts, worker = self.get_clock().now(), self._slot.counts(), self._worker
        view = NodeView(
            state=self.lifecycle_state,
            configure_error=self._configure_error,
            paused='' if self._enabled else 'disabled by ~/enable',
            topic=self._inputs.topics.image,
            counts=counts,
            before=self._reported,
            period_s=_DIAGNOSTICS_PERIOD_S,
            connections=self._connection_problems(),
            bad_transform=self._synchronizer.take_transform_fault(),
            health=None if worker is None else worker.health,
            stages=() if worker is None else worker.timing.summary(),
            clock_missing=now.nanoseconds == 0,
        )
        self._reported = counts
        message = diagnostic_array(now.to_msg(), self.get_name(), node_statuses(view))
        self._diagnostics.publish(message)

    def _connection_problems(self) -> list[str]:
        problems = list(self._inputs.problems())
        if self._outputs is not None:
            for publisher in self._outputs.all:
                problems += publisher_problems(self, publisher.topic_name)
        return problems


def run_node(parameters: list[Parameter[Any]] | None = None, *, must_start: bool = False) -> int:
    """Run the node in this process until it is interrupted; returns the exit code.

    Args:
        parameters: values that win over those of the ROS arguments.
        must_start: end with 1 when the node cannot be activated, instead of waiting for
            a change of its parameters.

    """
    keep_freed_memory()
    try:
        # Created early, while a signal is unlikely: one during its creation leaves it incomplete.
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
        # Base of what rclpy raises for invalid arguments.
        print(f'perception: bad ROS arguments: {error}', file=sys.stderr)
        return _EXIT_BAD_ARGUMENTS
    try:
        return run_node()
    finally:
        rclpy.try_shutdown()


if __name__ == '__main__':
    sys.exit(main())
