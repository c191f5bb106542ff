"""The node: subscribes to cameras, publishes features, depth, objects and masks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
import traceback
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType, JumpThreshold  # type: ignore[attr-defined] # Humble
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter

from robot_perception.core import ConfigError, PerceptionError, Stage
from robot_perception.nodes import qos
from robot_perception.nodes.bond import Bond, create_bond
from robot_perception.nodes.callback_errors import CallbackErrors, INTERNAL_ERROR
from robot_perception.nodes.camera import Camera
from robot_perception.nodes.diagnostic_status import diagnostic_array, inputs_status
from robot_perception.nodes.diagnostics import NodeView
from robot_perception.nodes.enable_service import EnableService
from robot_perception.nodes.parameters import changed_config, declare_cameras, declare_config
from robot_perception.nodes.prompts_service import PromptsService
from robot_perception.nodes.shown_stages import ShownStages
from robot_perception.nodes.signals import interruptible
from robot_perception.nodes.slot import FrameQueue
from robot_perception.nodes.stage_limits import LateStage
from robot_perception.nodes.supervisor import WorkerError, WorkerSupervisor
from robot_perception.nodes.transform_listener import TransformListener
from robot_perception.nodes.worker import FrameWorker
from robot_perception.pipeline import (
    AgeBudget,
    DescriberProcess,
    license_notes,
    PerceptionConfig,
    PerceptionPipeline,
)

_DIAGNOSTICS_PERIOD_S = 1.0
_FOLLOW_PERIOD_S = 0.2
_SUCCESS = TransitionCallbackReturn.SUCCESS


class PerceptionNode(LifecycleNode):
    """Lifecycle node ``perception``.

    Configuring loads the networks and creates the topics; activating starts the worker. Callbacks
    only keep the newest message, so services respond while a network runs.

    Attributes:
        cameras: inputs and outputs of each camera.
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
        self._stages = None if show_stages is None else ShownStages(show_stages)
        self.cameras: tuple[Camera, ...] = ()
        self._bond: Bond | None = None
        self._supervisor = WorkerSupervisor()
        self._describer = DescriberProcess()
        super().__init__('perception', **kwargs)
        try:
            self._config = declare_config(self)
            names = declare_cameras(self)
        except ConfigError:
            # Nothing runs that would have to stop.
            super().destroy_node()
            raise
        self._errors = CallbackErrors(self)
        self._enable = EnableService(self, self._errors, self._on_pause)
        self._configure_error = ''
        # Classes by id that are prompts; they keep their ids when the node is configured again.
        self._prompted: dict[Stage, Sequence[str]] = {}
        self._transforms = TransformListener(self, self._errors)
        self._queue = FrameQueue(len(names))
        self.cameras = tuple(
            Camera(
                *(self, name, slot, self._transforms, self._errors),
                describer=self._describer,
                drop_reason=self._drop_reason,
                refusal=self._refusal,
            )
            for name, slot in zip(names, self._queue.slots, strict=True)
        )
        self.add_on_set_parameters_callback(self._on_set_parameters)
        PromptsService(self, self._errors)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', qos.output())
        # Steady time: a paused or absent /clock must not silence the node.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(_DIAGNOSTICS_PERIOD_S, self._supervise, clock=steady)
        update = self._errors.guarded('subscription timer', self._follow_publishers, 'an update')
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
                pipeline = PerceptionPipeline.load(self._config, self._prompted)
            first, *others = self.cameras
            first.configure(pipeline)
            for camera in others:
                camera.configure(pipeline.sibling())
        except PerceptionError as error:
            self._configure_error = str(error)
        except Exception:  # noqa: BLE001 - rclpy would swallow it
            self._configure_error = traceback.format_exc()
        else:
            names = f'{self._config.preset} preset on {self._config.device}'
            topics = ', '.join(camera.inputs.topics.image for camera in self.cameras)
            self.get_logger().info(f'configured: {names}; listening to {topics}')
            licenses = license_notes(self._config, answers=True)
            for note in filter(None, (self._config.caveat, *licenses)):
                self.get_logger().warning(note)
            self._bond = None if self._config.autostart else create_bond(self, self._errors)
            return _SUCCESS
        # After a signal nothing can be created, which is expected.
        if self.context.ok():
            self.get_logger().error(f'cannot configure: {self._configure_error}')
        self._release()
        return TransitionCallbackReturn.FAILURE

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start the worker."""
        super().on_activate(state)
        assert self.cameras[0].pipeline is not None  # noqa: S101 - configured
        budget = AgeBudget(has_small_inputs=self.cameras[0].pipeline.has_small_inputs)
        processors = [camera.activate(budget) for camera in self.cameras]
        self._supervisor.start(FrameWorker(self._queue, processors, stages=self._stages))
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
        """Stop the worker and the describer before the topics are destroyed."""
        self.stop()
        self._describer.close()
        for camera in self.cameras:
            camera.ask.destroy()
        super().destroy_node()

    def stop(self) -> int:
        """Stop the worker, refuse requests that wait for a scene, and return how many these are.

        Their answers are sent when the executor spins again.
        """
        for camera in self.cameras:
            camera.deactivate()
        if self._bond is not None:
            self._bond.stop()
        self._keep_pipelines(self._supervisor.stop())
        return self._refuse_requests()

    def _release(self) -> None:
        pipeline = self.cameras[0].pipeline
        if pipeline is not None:
            self._prompted |= pipeline.prompted_classes
        for camera in self.cameras:
            camera.release()
        self._describer.end()
        if self._bond is not None:
            self._bond.destroy()
        self._bond = None

    def _keep_pipelines(self, worker: FrameWorker | None) -> None:
        """Keep the pipelines of a worker, which may have replaced another one."""
        if worker is not None:
            for camera, processor in zip(self.cameras, worker.cameras, strict=True):
                camera.pipeline = processor.processor.pipeline

    # Callbacks

    def _follow_publishers(self) -> None:
        for camera in self.cameras:
            camera.inputs.follow_publishers()

    def _drop_reason(self) -> str:
        """Return why images are dropped in the present state, empty if they are not."""
        if not self.is_active:
            return 'inactive'
        return '' if self._enable.is_enabled else 'disabled'

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
        if not self._enable.is_enabled:
            enable = f'ros2 service call {name}/enable std_srvs/srv/SetBool "{{data: true}}"'
            return f'frames are disabled by ~/enable: run {enable!r} first.'
        return ''

    def _refuse_requests(self) -> int:
        return sum(camera.perceive.refuse() for camera in self.cameras)

    def _on_pause(self) -> None:
        for camera in self.cameras:
            camera.slot.discard('disabled')
        self._refuse_requests()

    def _on_set_parameters(self, parameters: list[Parameter[Any]]) -> SetParametersResult:
        with self._errors.guard('parameters', 'a change'):
            result, config = changed_config(self._config, parameters)
            if result.successful and config != self._config:
                try:
                    self._reconfigure(config)
                except PerceptionError as error:
                    return SetParametersResult(successful=False, reason=str(error))
                self._config = config
            return result
        return SetParametersResult(successful=False, reason=INTERNAL_ERROR)

    def _reconfigure(self, config: PerceptionConfig) -> None:
        """Change the parameters of all cameras, or of none.

        Raises:
            PerceptionError: a parameter is fixed, or this ROS installation has no tf2_msgs.
        """
        cameras = [camera for camera in self.cameras if camera.pipeline is not None]
        try:
            for camera in cameras:
                camera.reconfigure(config)
        except PerceptionError:
            for camera in cameras:
                camera.reconfigure(self._config)
            raise

    def _on_time_jump(self, _: object) -> None:
        for camera in self.cameras:
            camera.reset()
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
        statuses: list[DiagnosticStatus] = []
        with self._errors.guard('diagnostics timer', 'a report'):
            statuses = self._statuses(self._supervisor.worker or worker, late, failure)
        if not statuses:
            failed = inputs_status(self._errors.report())
            statuses = [failed.to_message(self.get_fully_qualified_name(), '')]
        self._diagnostics.publish(diagnostic_array(self.get_clock().now().to_msg(), statuses))
        if failure is not None:
            self.get_logger().fatal(str(failure))
            raise failure

    def _statuses(
        self, worker: FrameWorker | None, late: LateStage | None, failure: WorkerError | None
    ) -> list[DiagnosticStatus]:
        self._keep_pipelines(worker)
        view = NodeView(
            state=self.lifecycle_state,
            configure_error=self._configure_error,
            paused=self._enable.pause,
            period_s=_DIAGNOSTICS_PERIOD_S,
            failed=self._errors.report(),
            late=late,
            trouble=str(failure or self._supervisor.trouble),
            clock_missing=self.get_clock().now().nanoseconds == 0,
            transform_problems=tuple(self._transforms.problems()),
            transform_losses=tuple(self._transforms.losses()),
        )
        processors = [None] * len(self.cameras) if worker is None else worker.cameras
        # Those of the node are reported once.
        statuses: dict[str, DiagnosticStatus] = {}
        for camera, processor in zip(self.cameras, processors, strict=True):
            for status in camera.report(view, processor):
                statuses.setdefault(status.name, status)
        return list(statuses.values())
