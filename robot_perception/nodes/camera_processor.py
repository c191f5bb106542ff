"""Processes the frames of one camera, and publishes every output that has subscribers."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial
import math
import threading
import traceback
from typing import Protocol

from rclpy.impl.rcutils_logger import RcutilsLogger

from robot_perception.conversions import FrameTiming
from robot_perception.core import ConversionError, DepthFit, PerceptionError, Stage
from robot_perception.nodes.perceive import SceneRequest
from robot_perception.nodes.publishers import Demand, OutputPublishers
from robot_perception.nodes.slot import FrameSlot
from robot_perception.pipeline import (
    AgeBudget,
    BackendReport,
    FrameBegin,
    PerceptionConfig,
    PerceptionPipeline,
    Stopwatch,
)
from robot_perception.stream import (
    FrameProcessor,
    FrameSet,
    FrameStatus,
    FrameTimer,
    InputStatus,
    NOT_NEEDED,
    Output,
    OutputFrame,
    ProcessedFrame,
    ReadImage,
    stages_for,
    TIMING,
)

_PUBLISH = 'publish'
_LOG_PERIOD_S = 1.0


@dataclass(slots=True)
class Health:
    """State of the frames of a camera after the last one.

    The thread that makes outputs writes ``output``, ``age_s`` and ``given_up``, and ``model`` if
    the frame is lost there; the thread that processes frames writes the others.

    Attributes:
        inputs: status of the inputs of the last frame that needed them, None before the first.
        depth_fit: fit of that frame's depth to the sensor, None without one.
        model: error of the last frame if its processing failed, empty if not; None before the
            first frame.
        output: error of an output of the last frame if one failed, empty if not; None before the
            first frame.
        stamps: whether the stamp of the last image can be used, and why not.
        rejection: why the last bad image was rejected, empty before the first.
        age_s: age of the last image when its outputs were published, by the node's clock; NaN
            before the first image.
        given_up: what is given up for the budget of the age, empty for nothing.
    """

    inputs: FrameStatus | None = None
    depth_fit: DepthFit | None = None
    model: str | None = None
    output: str | None = None
    stamps: InputStatus = NOT_NEEDED
    rejection: str = ''
    age_s: float = math.nan
    given_up: str = ''


@dataclass(frozen=True, slots=True)
class BegunFrame:
    """A frame that is worth processing.

    Attributes:
        frame_set: the image and what belongs to it.
        read: the image.
        demand: outputs to be made, and requests to be answered.
        config: its parameters.
        watch: times its stages.
        begin: its begin for the budget of the age.
    """

    frame_set: FrameSet
    read: ReadImage
    demand: Demand
    config: PerceptionConfig
    watch: Stopwatch
    begin: FrameBegin


class CountFrame(Protocol):
    """Ends a frame: counts it by a method of its slot, unless it was given up meanwhile."""

    def __call__(self, count: Callable[..., None], *reason: str) -> None:
        """Call ``count`` with the reason."""


class CameraProcessor:
    """Processes the frames of one camera; for the thread of the worker.

    `publish` and `lose` may run on another thread, for one frame after another.

    Attributes:
        slot: counts the frames.
        processor: processes the images; has a timer.
        health: state after the last frame.
    """

    def __init__(
        self,
        slot: FrameSlot,
        processor: FrameProcessor,
        publishers: OutputPublishers,
        budget: AgeBudget,
        logger: RcutilsLogger,
        *,
        follow_names: Callable[[PerceptionPipeline], None],
    ) -> None:
        """Create a processor before its first frame.

        Args:
            slot: counts the frames.
            processor: processes the images; must have a timer.
            publishers: publish the outputs.
            budget: of the age of results, which all cameras share.
            logger: logs lost frames.
            follow_names: publishes the names of classes that a frame added.
        """
        assert processor.timer is not None  # noqa: S101 - a programming error
        self.slot = slot
        self.processor = processor
        self.timing: FrameTimer = processor.timer
        self.health = Health()
        self._publishers = publishers
        self._budget = budget
        self._logger = logger
        self._follow_names = follow_names
        self._backends = BackendReport()
        self._jumped = threading.Event()

    def resumed(self, pipeline: PerceptionPipeline) -> CameraProcessor:
        """Return a processor that goes on with another pipeline where this one is abandoned."""
        return CameraProcessor(
            self.slot,
            self.processor.resumed(pipeline),
            self._publishers,
            self._budget,
            self._logger,
            follow_names=self._follow_names,
        )

    def time_jumped(self) -> None:
        """Request that the state of earlier frames is dropped before the next frame."""
        self._jumped.set()

    @property
    def drops_frames(self) -> bool:
        """Whether frames are dropped for the budget of the age."""
        return self._budget.rung.drops

    def begin(
        self,
        frame_set: FrameSet,
        watch: Stopwatch,
        end: CountFrame,
        promised: Collection[SceneRequest] = (),
    ) -> BegunFrame | None:
        """Read the image of a frame; end the frame and return None if it is not processed.

        Args:
            frame_set: the image and what belongs to it.
            watch: times the stages.
            end: ends the frame; it is not called if an error is raised.
            promised: requests of frames whose outputs are being made.
        """
        if self._jumped.is_set():
            self._jumped.clear()
            self.processor.reset()
        demand = self._publishers.begin_frame(promised)
        if not demand.outputs:
            end(self.slot.drop, 'no_subscriber')
            return None
        config, taken_ns = self.processor.pipeline.config, frame_set.time.taken_ns
        begin = self._budget.begin(self.timing.age_s(taken_ns), config.budget.max_age_s)
        if begin is None:
            end(self.slot.drop, 'too_old')
            return None
        config = self._budget.reduce(config, begin.rung)
        try:
            read = self.processor.read(frame_set.image, config, watch)
        except ConversionError as error:
            self.health.rejection = str(error)
            end(self.slot.reject, error.reason)
            self._warn(f'image rejected ({error.reason}): {error}')
            return None
        return BegunFrame(frame_set, read, demand, config, watch, begin)

    def due(self, begun: BegunFrame) -> frozenset[Stage]:
        """Return the stages that a frame needs."""
        return self.processor.pipeline.due(
            stages_for(begun.demand.outputs, begun.config), begun.config
        )

    def process(self, begun: BegunFrame, end: CountFrame) -> OutputFrame | None:
        """Process a frame; end it and return None if it is dropped, see `begin`.

        It is dropped where the node was deactivated, or time jumped, since it began.
        """
        if self.slot.is_closed or self._jumped.is_set():
            end(self.slot.drop, 'inactive' if self.slot.is_closed else 'time_jump')
            return None
        outputs, watch = begun.demand.outputs, begun.watch
        frame = self.processor.process(begun.frame_set, outputs, watch, begun.config, begun.read)
        for remark in frame.remarks:
            self._warn(remark.problem)
        for line in self._backends.add(frame.output.scene):
            self._logger.info(line)
        self._update_health(frame)
        self._follow_names(self.processor.pipeline)
        return frame.output

    def lose(self, error: BaseException, end: CountFrame) -> None:
        """End a frame whose processing raised an error; call in its handler."""
        if isinstance(error, PerceptionError):
            self.health.model = str(error)
            end(self.slot.drop, 'model_error')
            self._warn(f'frame lost: {error}')
        elif not self._publishers.can_publish:
            # A signal has shut ROS down during this frame; nothing can be published.
            end(self.slot.drop, 'inactive')
        else:
            self.health.model = traceback.format_exc(limit=-1)
            end(self.slot.drop, 'internal_error')
            self._warn(f'frame lost because of an internal error:\n{traceback.format_exc()}')

    def _warn(self, text: str) -> None:
        self._logger.warning(text, throttle_duration_sec=_LOG_PERIOD_S)

    def _update_health(self, frame: ProcessedFrame) -> None:
        self.health.model = ''
        self.health.stamps = frame.status.stamps
        if Stage.DEPTH not in frame.stages:
            return
        self.health.inputs = frame.status
        self.health.depth_fit = frame.output.scene.depth_fit
        if frame.status.frames.problem:
            self._warn(frame.status.frames.problem)

    def publish(self, begun: BegunFrame, frame: OutputFrame, end: CountFrame) -> None:
        """Make and publish the outputs of a processed frame, timing last, and end it."""
        demand, watch, taken_ns = begun.demand, begun.watch, begun.frame_set.time.taken_ns
        self.health.output = ''
        results = tuple(output for output in demand.outputs if output is not TIMING)
        publish = partial(
            self._publishers.publish,
            on_error=self._on_output_error,
            is_cancelled=lambda: watch.is_cancelled,
        )
        with watch.stage(_PUBLISH):
            count = publish(replace(demand, outputs=results), frame)
        if watch.is_cancelled:
            # Timer and budget are those of the frames that go on.
            return
        timing = self.timing.add({_PUBLISH: watch.seconds[_PUBLISH]}, taken_ns, frame.timing)
        self.health.age_s = timing.age_s
        timing = self._end_budget(begun, timing)
        if TIMING in demand.outputs:
            last = replace(frame, timing=timing)
            with watch.stage(_PUBLISH):
                count += publish(Demand((TIMING,)), last)
        if count:
            end(self.slot.published)
        else:
            end(self.slot.drop, 'internal_error' if self.health.output else 'no_result')

    def _end_budget(self, begun: BegunFrame, timing: FrameTiming) -> FrameTiming:
        """End the frame for the budget; return its timing with the name of what was given up."""
        self._budget.end(begun.begin, timing.age_s)
        self.health.given_up = self._budget.describe()
        # That of the budget may have changed since, by frames that were computed together.
        rung = begun.begin.rung
        return timing.with_name(f'budget/{rung.name}') if rung.name else timing

    def _on_output_error(self, output: Output, error: Exception) -> None:
        if self._publishers.can_publish:
            self.health.output = f'{output.topic}: {error!r}'
            self._warn(f'{output.topic}: message lost to an error:\n{traceback.format_exc()}')
