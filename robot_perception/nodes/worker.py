"""Process the newest image on a thread, and publish every output that has subscribers."""

from __future__ import annotations

from dataclasses import dataclass, replace
import math
import threading
import time
import traceback

from rclpy.impl.rcutils_logger import RcutilsLogger

from robot_perception.core import ConversionError, DepthFit, PerceptionError, Stage
from robot_perception.nodes.publishers import OutputPublishers
from robot_perception.nodes.slot import FrameSlot
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
        age_s: age of the last image when its outputs were published, by the node's clock; NaN
            before the first image.

    """

    inputs: FrameStatus | None = None
    depth_fit: DepthFit | None = None
    model: str | None = None
    output: str | None = None
    stamps: InputStatus = NOT_NEEDED
    age_s: float = math.nan


class FrameWorker:
    """Processes images from a slot until the slot is closed."""

    def __init__(
        self,
        slot: FrameSlot,
        processor: FrameProcessor,
        publishers: OutputPublishers,
        logger: RcutilsLogger,
    ) -> None:
        """Create the thread; `start` starts it.

        Args:
            slot: where images arrive.
            processor: processes the images; must have a timer.
            publishers: publish the outputs.
            logger: logs lost frames.

        """
        assert processor.timer is not None  # noqa: S101 - a programming error
        self.health = Health()
        self.timing: FrameTimer = processor.timer
        self._slot = slot
        self._processor = processor
        self._publishers = publishers
        self._logger = logger
        self._jumped = threading.Event()
        self._thread = threading.Thread(target=self._run, name='perception', daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def join(self) -> None:
        """Wait until the current frame is done; close the slot first."""
        # A signal may have arrived before the thread was started.
        if self._thread.is_alive():
            self._thread.join()

    def time_jumped(self) -> None:
        """Request that the state of earlier frames is dropped before the next frame."""
        self._jumped.set()

    def _run(self) -> None:
        while (frame_set := self._slot.take()) is not None:
            self._process_safely(frame_set)

    def _process_safely(self, frame_set: FrameSet) -> None:
        """Process one frame, and count it even if that fails."""
        try:
            self._process(frame_set)
        except PerceptionError as error:
            self.health.model = str(error)
            self._slot.drop('model_error')
            self._warn(f'frame lost: {error}')
        except Exception:  # noqa: BLE001 - one bad frame must not end the node
            if not self._publishers.can_publish:
                # A signal has shut ROS down during this frame; nothing can be published.
                self._slot.drop('inactive')
                return
            self.health.model = traceback.format_exc(limit=-1)
            self._slot.drop('internal_error')
            self._warn(f'frame lost because of an internal error:\n{traceback.format_exc()}')

    def _warn(self, text: str) -> None:
        self._logger.warning(text, throttle_duration_sec=_LOG_PERIOD_S)

    def _process(self, frame_set: FrameSet) -> None:
        if self._jumped.is_set():
            self._jumped.clear()
            self._processor.reset()
        outputs = self._publishers.subscribed()
        if not outputs:
            self._slot.drop('no_subscriber')
            return
        try:
            frame = self._processor.process(frame_set, outputs)
        except ConversionError as error:
            self._slot.reject(error.reason)
            self._warn(f'image rejected ({error.reason}): {error}')
            return
        for remark in frame.remarks:
            self._warn(remark.problem)
        self._update_health(frame)
        self._publish(outputs, frame.output, frame_set.time.taken_ns)

    def _update_health(self, frame: ProcessedFrame) -> None:
        self.health.model = ''
        self.health.stamps = frame.status.stamps
        if Stage.DEPTH not in frame.stages:
            return
        self.health.inputs = frame.status
        self.health.depth_fit = frame.output.scene.depth_fit
        if frame.status.frames.problem:
            self._warn(frame.status.frames.problem)

    def _publish(self, outputs: tuple[Output, ...], frame: OutputFrame, taken_ns: int) -> None:
        """Publish the outputs, timing last, and count the frame."""
        start = time.perf_counter()
        self.health.output = ''
        results = tuple(output for output in outputs if output is not TIMING)
        count = self._publishers.publish(results, frame, self._on_output_error)
        timing = self.timing.add({'publish': time.perf_counter() - start}, taken_ns, frame.timing)
        self.health.age_s = timing.age_s
        if TIMING in outputs:
            last = replace(frame, timing=timing)
            count += self._publishers.publish((TIMING,), last, self._on_output_error)
        if count:
            self._slot.published()
        else:
            self._slot.drop('internal_error' if self.health.output else 'no_result')

    def _on_output_error(self, output: Output, error: Exception) -> None:
        if self._publishers.can_publish:
            self.health.output = f'{output.topic}: {error!r}'
            self._warn(f'{output.topic}: message lost to an error:\n{traceback.format_exc()}')
