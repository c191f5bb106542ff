"""Process the newest image on a thread, and publish every output that has subscribers."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
import math
import threading
import traceback

from rclpy.impl.rcutils_logger import RcutilsLogger

from robot_perception.core import ConversionError, DepthFit, PerceptionError, Stage
from robot_perception.nodes.publishers import OutputPublishers
from robot_perception.nodes.slot import FrameSlot
from robot_perception.nodes.stage_limits import LateStage, StageLimits
from robot_perception.pipeline import DEVICE_LOST, is_compiling, Stopwatch
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
    TIMING,
)

HANG = 'hang'
"""Reason of a frame that was given up because a stage hangs."""

_PUBLISH = 'publish'
_LOG_PERIOD_S = 1.0


@dataclass(slots=True)
class Health:
    """State of the worker after its last frame.

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
    """

    inputs: FrameStatus | None = None
    depth_fit: DepthFit | None = None
    model: str | None = None
    output: str | None = None
    stamps: InputStatus = NOT_NEEDED
    rejection: str = ''
    age_s: float = math.nan


class FrameWorker:
    """Processes images from a slot, on one thread, until the slot is closed.

    A worker that hangs can be abandoned: its frame is counted, whatever its thread does later has
    no effect, and its `successor` goes on.
    """

    def __init__(
        self,
        slot: FrameSlot,
        processor: FrameProcessor,
        publishers: OutputPublishers,
        logger: RcutilsLogger,
        *,
        limits: StageLimits | None = None,
        show_stages: Callable[[Collection[str]], None] | None = None,
    ) -> None:
        """Create the thread; `start` starts it.

        Args:
            slot: where images arrive.
            processor: processes the images; must have a timer.
            publishers: publish the outputs.
            logger: logs lost frames.
            limits: times of earlier frames; None without any.
            show_stages: called with the stages that run, see `Stopwatch`.
        """
        assert processor.timer is not None  # noqa: S101 - a programming error
        self.health = Health()
        self.timing: FrameTimer = processor.timer
        self.processor = processor
        self.fatal_error = ''
        self._limits = limits or StageLimits()
        self._show_stages = show_stages
        self._lock = threading.Lock()
        self._frame: Stopwatch | None = None
        self._abandoned = False
        self._slot = slot
        self._publishers = publishers
        self._logger = logger
        self._jumped = threading.Event()
        self._thread = threading.Thread(target=self._run, name='perception', daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def join(self, timeout_s: float) -> bool:
        """Wait until the current frame is done, and return whether it is; close the slot first."""
        # A signal may have arrived before the thread was started.
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def late_stage(self, stopped_s: float = 0.0) -> LateStage | None:
        """Return the stage of the current frame that takes too long, None if there is none.

        Args:
            stopped_s: seconds since the last call in which the whole process was stopped.
        """
        frame = self._frame
        if frame is None:
            return None
        frame.exclude(stopped_s)
        return self._limits.find_late(frame.running(), compiling=is_compiling())

    def abandon(self) -> bool:
        """Count the current frame as lost and ignore this thread from now on.

        Returns:
            False, without any effect, if no frame is being processed, or at the second call.
        """
        with self._lock:
            if self._abandoned or (self._frame is None and self.is_alive):
                return False
            self._abandoned = True
            if self._frame is not None:
                self._frame.cancel()
                self._slot.drop(HANG)
            return True

    def successor(self) -> FrameWorker:
        """Return a worker that goes on with the next frame; it loads the network that hangs."""
        frame = self._frame
        return FrameWorker(
            self._slot,
            self.processor.resumed(() if frame is None else frame.running()),
            self._publishers,
            self._logger,
            limits=self._limits,
            show_stages=self._show_stages,
        )

    def time_jumped(self) -> None:
        """Request that the state of earlier frames is dropped before the next frame."""
        self._jumped.set()

    def _run(self) -> None:
        while not self._abandoned and (frame_set := self._slot.take()) is not None:
            watch = Stopwatch(self._show_stages)
            with self._lock:
                self._frame = watch
            self._process_safely(frame_set, watch)

    def _end(self, count: Callable[..., None], *reason: str) -> None:
        """Count the current frame, unless it has been counted as abandoned."""
        with self._lock:
            if not self._abandoned:
                self._frame = None
                count(*reason)

    def _process_safely(self, frame_set: FrameSet, watch: Stopwatch) -> None:
        """Process one frame, and count it even if that fails."""
        try:
            with watch.stage('frame'):
                self._process(frame_set, watch)
            self._limits.add(watch.seconds)
        except PerceptionError as error:
            if self._abandoned:
                return
            self.health.model = str(error)
            if error.reason == DEVICE_LOST:
                self.fatal_error = str(error)
            self._end(self._slot.drop, 'model_error')
            self._warn(f'frame lost: {error}')
        # Libraries in Rust raise a BaseException, and one bad frame must not end the thread.
        except BaseException:  # noqa: BLE001
            if not self._publishers.can_publish:
                # A signal has shut ROS down during this frame; nothing can be published.
                self._end(self._slot.drop, 'inactive')
                return
            self.health.model = traceback.format_exc(limit=-1)
            self._end(self._slot.drop, 'internal_error')
            self._warn(f'frame lost because of an internal error:\n{traceback.format_exc()}')

    def _warn(self, text: str) -> None:
        self._logger.warning(text, throttle_duration_sec=_LOG_PERIOD_S)

    def _process(self, frame_set: FrameSet, watch: Stopwatch) -> None:
        if self._jumped.is_set():
            self._jumped.clear()
            self.processor.reset()
        outputs = self._publishers.begin_frame()
        if not outputs:
            self._end(self._slot.drop, 'no_subscriber')
            return
        try:
            frame = self.processor.process(frame_set, outputs, watch)
        except ConversionError as error:
            self.health.rejection = str(error)
            self._end(self._slot.reject, error.reason)
            self._warn(f'image rejected ({error.reason}): {error}')
            return
        for remark in frame.remarks:
            self._warn(remark.problem)
        self._update_health(frame)
        self._publish(outputs, frame.output, frame_set.time.taken_ns, watch)

    def _update_health(self, frame: ProcessedFrame) -> None:
        self.health.model = ''
        self.health.stamps = frame.status.stamps
        if Stage.DEPTH not in frame.stages:
            return
        self.health.inputs = frame.status
        self.health.depth_fit = frame.output.scene.depth_fit
        if frame.status.frames.problem:
            self._warn(frame.status.frames.problem)

    def _publish(
        self, outputs: tuple[Output, ...], frame: OutputFrame, taken_ns: int, watch: Stopwatch
    ) -> None:
        """Publish the outputs, timing last, and count the frame."""
        self.health.output = ''
        results = tuple(output for output in outputs if output is not TIMING)
        with watch.stage(_PUBLISH):
            count = self._publishers.publish(results, frame, self._on_output_error)
        timing = self.timing.add({_PUBLISH: watch.seconds[_PUBLISH]}, taken_ns, frame.timing)
        self.health.age_s = timing.age_s
        if TIMING in outputs:
            last = replace(frame, timing=timing)
            with watch.stage(_PUBLISH):
                count += self._publishers.publish((TIMING,), last, self._on_output_error)
        if count:
            self._end(self._slot.published)
        else:
            self._end(self._slot.drop, 'internal_error' if self.health.output else 'no_result')

    def _on_output_error(self, output: Output, error: Exception) -> None:
        if self._publishers.can_publish:
            self.health.output = f'{output.topic}: {error!r}'
            self._warn(f'{output.topic}: message lost to an error:\n{traceback.format_exc()}')
