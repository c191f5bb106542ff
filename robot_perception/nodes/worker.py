"""The thread that computes: newest frame in, every wanted output out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
import math
import threading
import time
import traceback

from rclpy.impl.rcutils_logger import RcutilsLogger

from robot_perception.conversions import Message
from robot_perception.core import ConversionError, DepthFit, PerceptionError, RelativeDepth, Stage
from robot_perception.nodes.depth_buffer import DepthBuffer
from robot_perception.nodes.messages import RosMessages
from robot_perception.nodes.publishers import OutputPublishers
from robot_perception.nodes.slot import FrameSlot
from robot_perception.nodes.transform_listener import TransformListener
from robot_perception.pipeline import (
    CalibrationKeeper,
    DepthCamera,
    FrameProcessor,
    FrameTimer,
    MarkerMemory,
    Output,
    PerceptionConfig,
    PerceptionPipeline,
    Processed,
    Published,
    TIMING,
)

_LOG_PERIOD_S = 1.0
_RELATIVE = (
    'the depth network gives relative depth, which has no metres: no depth image, no points, no '
    '3D. Use a metric checkpoint, or depth.source: sensor or fused.'
)


@dataclass(slots=True)
class Health:
    """What the worker last found wrong: empty for nothing, None for not looked at.

    Attributes:
        calibration: why there is no 3D for want of a calibration.
        depth: why there is no metric depth, or none that the sensor was heard for.
        depth_fit: of the last frame whose depth was fitted to the sensor.
        frames: why 3D is not in the frame, or not upright, as asked for.
        model: what the last failing network said.
        output: what the last failing output said.
        age_s: age of the last image when its outputs were out, by the node's clock; NaN before
            the first.

    """

    calibration: str | None = None
    depth: str | None = None
    depth_fit: DepthFit | None = None
    frames: str | None = None
    model: str | None = None
    output: str | None = None
    age_s: float = math.nan


class FrameWorker:
    """Takes frames from a slot until the slot is closed."""

    def __init__(
        self,
        *,
        slot: FrameSlot,
        pipeline: PerceptionPipeline,
        publishers: OutputPublishers,
        calibration: CalibrationKeeper,
        depth_buffer: DepthBuffer,
        depth_camera: DepthCamera,
        transforms: TransformListener,
        markers: MarkerMemory,
        image_topic: Callable[[], str],
        now_ns: Callable[[], int],
        alive: Callable[[], bool],
        logger: RcutilsLogger,
    ) -> None:
        """Join the parts; `start` begins the work."""
        self.health = Health()
        self.timing = FrameTimer(pipeline.config.timing_window, now_ns)
        self._slot = slot
        self._pipeline = pipeline
        self._publishers = publishers
        self._processor = FrameProcessor(
            pipeline,
            RosMessages(),
            calibration=calibration,
            markers=markers,
            timer=self.timing,
            depth_camera=depth_camera,
            transforms=transforms.within,
        )
        self._depth_buffer = depth_buffer
        self._alive = alive
        self._logger = logger
        self._image_topic = image_topic
        self._jumped = threading.Event()
        self._thread = threading.Thread(target=self._run, name='perception', daemon=True)

    def start(self) -> None:
        """Begin to take frames."""
        self._thread.start()

    def join(self) -> None:
        """Wait until the frame under way is done; close the slot first."""
        # A signal may have come before the thread began.
        if self._thread.is_alive():
            self._thread.join()

    def time_jumped(self) -> None:
        """Forget earlier frames before the next one is taken."""
        self._jumped.set()

    def _run(self) -> None:
        while (message := self._slot.take()) is not None:
            self._end_well(message)

    def _end_well(self, message: Message) -> None:
        """See one frame and account for it, whatever happens."""
        try:
            self._see(message)
        except PerceptionError as error:
            self.health.model = str(error)
            self._slot.drop('model_error')
            self._warn(f'frame lost: {error}')
        except Exception:  # noqa: BLE001 - one bad frame must not end the node
            if not self._alive():
                # A signal has shut ROS down under this frame; nothing can be published.
                self._slot.drop('inactive')
                return
            self.health.model = traceback.format_exc(limit=-1)
            self._slot.drop('internal_error')
            self._warn(f'frame lost to an error of this package:\n{traceback.format_exc()}')

    def _warn(self, text: str) -> None:
        self._logger.warning(text, throttle_duration_sec=_LOG_PERIOD_S)

    def _see(self, message: Message) -> None:
        if self._jumped.is_set():
            self._forget()
        outputs = self._publishers.wanted()
        if not outputs:
            self._slot.drop('no_subscriber')
            return
        config = self._pipeline.config
        try:
            seen = self._processor.process(message, outputs, self._image_topic(), self._depth_near)
        except ConversionError as error:
            self._slot.reject(error.reason)
            self._warn(f'image rejected ({error.reason}): {error}')
            return
        self._take_stock(seen, config)
        self._publish(outputs, seen.published)

    def _forget(self) -> None:
        self._jumped.clear()
        self._processor.forget()

    def _depth_near(self, stamp_ns: int) -> Message:
        depth = self._pipeline.config.depth
        return self._depth_buffer.nearest(stamp_ns, depth.max_offset_s, depth.max_wait_s)

    def _take_stock(self, seen: Processed, config: PerceptionConfig) -> None:
        self.health.model = ''
        if Stage.DEPTH not in seen.stages:
            return
        scene = seen.published.scene
        self.health.calibration = seen.calibration_problem
        self.health.depth_fit = scene.depth_fit
        self.health.depth = seen.depth_problem or ''
        self.health.frames = seen.frames_problem
        if seen.frames_problem:
            self._warn(seen.frames_problem)
        if config.depth.source.uses_network and isinstance(scene.depth, RelativeDepth):
            self.health.depth = f'{_RELATIVE} {self.health.depth}'.rstrip()

    def _publish(self, outputs: tuple[Output, ...], frame: Published) -> None:
        """Publish the outputs, the account of the time last of all, and count the frame."""
        start = time.perf_counter()
        self.health.output = ''
        results = tuple(output for output in outputs if output is not TIMING)
        count = self._publishers.publish(results, frame, self._on_output_error)
        timing = self.timing.add(
            {'publish': time.perf_counter() - start}, frame.scene.image.stamp_ns, frame.timing
        )
        self.health.age_s = timing.age_s
        if TIMING in outputs:
            last = replace(frame, timing=timing)
            count += self._publishers.publish((TIMING,), last, self._on_output_error)
        if count:
            self._slot.published()
        else:
            self._slot.drop('internal_error' if self.health.output else 'no_result')

    def _on_output_error(self, output: Output, error: Exception) -> None:
        if self._alive():
            self.health.output = f'{output.topic}: {error!r}'
            self._warn(f'{output.topic} of a frame lost:\n{traceback.format_exc()}')
