"""The node: subscribes to a camera, publishes features, depth, objects and masks."""

from __future__ import annotations

from collections.abc import Callable, Collection
import traceback
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType, JumpThreshold  # type: ignore[attr-defined] # Humble
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_msgs.msg import Header
from std_srvs.srv import SetBool

from robot_perception.conversions import label_info_message, Message
from robot_perception.core import ConfigError, PerceptionError
from robot_perception.nodes.bond import Bond, create_bond
from robot_perception.nodes.callback_errors import CallbackErrors, INTERNAL_ERROR
from robot_perception.nodes.camera_inputs import CameraInputs
from robot_perception.nodes.camera_watch import CameraWatch
from robot_perception.nodes.diagnostics import NodeView
from robot_perception.nodes.diagnostics_publisher import DiagnosticsPublisher
from robot_perception.nodes.messages import message_stamp_ns, RosMessages
from robot_perception.nodes.parameters import changed_config, declare_config
from robot_perception.nodes.perceive import PerceiveService
from robot_perception.nodes.publishers import OutputPublishers
from robot_perception.nodes.signals import interruptible
from robot_perception.nodes.slot import FrameSlot
from robot_perception.nodes.stage_limits import LateStage
from robot_perception.nodes.supervisor import WorkerError, WorkerSupervisor
from robot_perception.nodes.worker import FrameWorker
from robot_perception.pipeline import PerceptionPipeline
from robot_perception.stream import FrameProcessor, FrameTimer, Synchronizer

_DIAGNOSTICS_PERIOD_S = 1.0
_FOLLOW_PERIOD_S = 0.2
_SUCCESS = TransitionCallbackReturn.SUCCESS


class PerceptionNode(LifecycleNode):
    """Lifecycle node ``perception``.

    Configuring loads the networks and creates the topics; activating starts the worker. Callbacks
    only keep the newest message, so services respond while a network runs.
    """

    def __init__(
        self,
        *,
        show_stages: Callable[[Collection[str]], None] | None = None,
        **kwargs: Any,  # noqa: ANN401 - those of rclpy's Node
    ) -> None:
        """Declare the parameters, and start unless ``autostart`` is false.

        Args:
            show_stages: called with the stages of a frame that run, whenever these change.
            kwargs: as of a lifecycle node.

        Raises:
            ConfigError: a parameter has a value that it refuses.
        """
        self._show_stages = show_stages
        self._slot = FrameSlot()
        self._synchronizer = Synchronizer()
        self._bond: Bond | None = None
        self._supervisor = WorkerSupervisor()
        self._camera = CameraWatch()
        super().__init__('perception', **kwargs)
        try:
            self._config = declare_config(self)
        except ConfigError:
            # Nothing runs that would have to stop.
            super().destroy_node()
            raise
        self._errors = CallbackErrors(self)
        self._inputs = CameraInputs(self, self._synchronizer, self._on_image, self._errors)
        self._pipeline: PerceptionPipeline | None = None
        self._outputs: OutputPublishers | None = None
        self._enabled = True
        self._configure_error = ''
        self._reported = self._slot.counts()
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self.create_service(SetBool, '~/enable', self._on_enable)
        self._perceive = PerceiveService(
            self, self._errors, self._refusal, lambda: self._diagnostics.problem
        )
        self._diagnostics = DiagnosticsPublisher(self)
        # Steady time: a paused or absent /clock must not silence the node.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(_DIAGNOSTICS_PERIOD_S, self._supervise, clock=steady)
        update = self._errors.guarded(
            'subscription timer', self._inputs.follow_publishers, 'an update'
        )
        self.create_timer(_FOLLOW_PERIOD_S, update, clock=steady)
        self._jump = self.get_clock().create_jump_callback(
            JumpThreshold(
                min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True
            ),
            post_callback=self._errors.guarded('clock', self._on_time_jump, 'a time jump'),
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
        return self._supervisor.worker is not None

    @property
    def supervisor(self) -> WorkerSupervisor:
        """Runs the worker, and knows whether a thread of it hangs."""
        return self._supervisor

    @property
    def lifecycle_state(self) -> str:
        """Name of the lifecycle state: unconfigured, inactive, active ..."""
        return str(self._state_machine.current_state[1])

    # Lifecycle

    def on_configure(self, _: LifecycleState) -> TransitionCallbackReturn:
        """Load the networks and create the topics."""
        self._configure_error = ''
        try:
            with interruptible():
                self._pipeline = PerceptionPipeline.load(self._config)
            self._outputs = OutputPublishers(self, self._perceive)
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
            if self._config.caveat:
                self.get_logger().warning(self._config.caveat)
            self._bond = None if self._config.autostart else create_bond(self, self._errors)
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
        worker = FrameWorker(
            *(self._slot, processor, self._outputs, self.get_logger()),
            show_stages=self._show_stages,
        )
        self._publish_label_info()
        self._supervisor.start(worker)
        if self._bond is not None:
            self._bond.start()
        return _SUCCESS

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop the worker after the current frame, or give that up after a few seconds."""
        self.stop()
        return super().on_deactivate(state)

    def on_cleanup(self, _: LifecycleState) -> TransitionCallbackReturn:
        """Drop the networks and the topics."""
        self._release()
        return _SUCCESS

    def on_shutdown(self, _: LifecycleState) -> TransitionCallbackReturn:
        """Stop and drop everything."""
        self.stop()
        self._release()
        return _SUCCESS

    def destroy_node(self) -> None:
        """Stop the worker before its topics are destroyed."""
        self.stop()
        super().destroy_node()

    def stop(self) -> int:
        """Stop the worker, refuse requests that wait for a scene, and return how many these are.

        Their answers are sent when the executor spins again.
        """
        self._slot.close('inactive')
        self._synchronizer.close()
        if self._bond is not None:
            self._bond.stop()
        worker = self._supervisor.stop()
        if worker is not None:
            self._pipeline = worker.processor.pipeline
        return self._perceive.refuse()

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
        try:
            self._camera.add(message)
            if not self.is_active:
                self._slot.refuse('inactive')
            elif not self._enabled:
                self._slot.refuse('disabled')
            else:
                # Depth and transforms are waited for from the receipt on.
                stamp_ns, now_ns = message_stamp_ns(message), self._now_ns()
                self._slot.put(
                    self._synchronizer.frame_set(
                        message, stamp_ns, now_ns, self._config, self._inputs.topics
                    )
                )
        except BaseException:
            self._slot.refuse('internal_error')
            raise

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
        response.success, response.message = False, INTERNAL_ERROR
        with self._errors.guard(self.resolve_service_name('~/enable'), 'a request'):
            self._enabled = request.data
            if not request.data:
                self._slot.discard('disabled')
                self._perceive.refuse()
            response.success = True
            response.message = 'frames are processed' if request.data else 'frames are dropped'
        return response

    def _refusal(self) -> str:
        """Return why no frame is processed in the present state, and what to do."""
        name, state = self.get_fully_qualified_name(), self.lifecycle_state
        if self._configure_error:
            return f'cannot configure: {self._configure_error}'
        if state == 'finalized' or (state == 'active' and not self.is_active):
            return 'the node ends: start it again.'
        if not self.is_active:
            step = 'configure' if state == 'unconfigured' else 'activate'
            return f'the node is {state}: run "ros2 lifecycle set {name} {step}" first.'
        if not self._enabled:
            enable = f'ros2 service call {name}/enable std_srvs/srv/SetBool "{{data: true}}"'
            return f'frames are disabled by ~/enable: run {enable!r} first.'
        return ''

    def _on_set_parameters(self, parameters: list[Parameter[Any]]) -> SetParametersResult:
        with self._errors.guard('parameters', 'a change'):
            return self._change_parameters(parameters)
        return SetParametersResult(successful=False, reason=INTERNAL_ERROR)

    def _change_parameters(self, parameters: list[Parameter[Any]]) -> SetParametersResult:
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
        if self._supervisor.worker is not None:
            self._supervisor.worker.time_jumped()

    # Diagnostics

    def _supervise(self) -> None:
        """Replace a worker that hangs, and publish diagnostics.

        Raises:
            WorkerError: only a restart of the process helps.
        """
        failure = late = None
        worker = self._supervisor.worker
        with self._errors.guard('worker timer', 'a check'):
            try:
                late = self._supervisor.check()
            except WorkerError as error:
                failure = error
        is_reported = False
        with self._errors.guard('diagnostics timer', 'a report'):
            self._report(self._supervisor.worker or worker, late, failure)
            is_reported = True
        if not is_reported:
            self._diagnostics.publish_failed(self._errors.report())
        if failure is not None:
            self.get_logger().fatal(str(failure))
            raise failure

    def _report(
        self, worker: FrameWorker | None, late: LateStage | None, failure: WorkerError | None
    ) -> None:
        now, counts = self.get_clock().now(), self._slot.counts()
        if worker is not None:
            self._pipeline = worker.processor.pipeline
        view = NodeView(
            state=self.lifecycle_state,
            configure_error=self._configure_error,
            paused='' if self._enabled else 'disabled by ~/enable',
            topic=self._inputs.topics.image,
            counts=counts,
            before=self._reported,
            period_s=_DIAGNOSTICS_PERIOD_S,
            connections=[
                *self._inputs.problems(),
                *(() if self._outputs is None else self._outputs.problems()),
            ],
            losses=self._inputs.losses(),
            failed=self._errors.report(),
            calibration_doubts=(
                [] if self._config.camera.info_url else self._inputs.calibration_doubts()
            ),
            camera=self._camera.report(),
            late=late,
            trouble=str(failure or self._supervisor.trouble),
            notes=() if self._pipeline is None else self._pipeline.notes,
            bad_transform=self._synchronizer.take_transform_fault(),
            health=None if worker is None else worker.health,
            stages=() if worker is None else worker.timing.summary(),
            clock_missing=now.nanoseconds == 0,
        )
        self._reported = counts
        self._diagnostics.publish(view)
