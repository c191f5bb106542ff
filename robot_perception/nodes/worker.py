"""The one thread that computes: newest frame in, every wanted output out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
import math
import threading
import time
import traceback

from rclpy.impl.rcutils_logger import RcutilsLogger

from robot_perception import conversions
from robot_perception.conversions import FrameTiming
from robot_perception.conversions.messages import Message
from robot_perception.core import Image, MetricDepth
from robot_perception.core.errors import ConversionError, PerceptionError
from robot_perception.nodes.calibration import CalibrationKeeper
from robot_perception.nodes.depth_buffer import DepthBuffer
from robot_perception.nodes.messages import RosMessages
from robot_perception.nodes.publishers import OutputPublishers, stages_for
from robot_perception.nodes.slot import FrameSlot
from robot_perception.pipeline import (
    PerceptionConfig,
    PerceptionPipeline,
    Stages,
    TimingWindow,
)
from robot_perception.pipeline.outputs import MarkerMemory, Output, Published, TIMING

_LOG_PERIOD_S = 1.0
_NANOSECONDS = 1e9


@dataclass(slots=True)
class Health:
    """What the worker last found wrong; empty strings for nothing.

    Attributes:
        calibration: why there is no 3D for want of a calibration.
        depth: why there is no metric depth.
        model: what the last failing network said.
        age_s: age of the last image by the node's clock, NaN before the first.

    """

    calibration: str = ''
    depth: str = ''
    model: str = ''
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
        now_ns: Callable[[], int],
        logger: RcutilsLogger,
    ) -> None:
        """Join the parts; `start` begins the work."""
        self.health = Health()
        self.timing = TimingWindow(pipeline.config.timing_window)
        self._slot = slot
        self._pipeline = pipeline
        self._publishers = publishers
        self._calibration = calibration
        self._depth_buffer = depth_buffer
        self._now_ns = now_ns
        self._logger = logger
        self._factory = RosMessages()
        self._markers = MarkerMemory()
        self._last_stamp_ns = 0
        self._jumped = threading.Event()
        self._thread = threading.Thread(target=self._run, name='perception', daemon=True)

    def start(self) -> None:
        """Begin to take frames."""
        self._thread.start()

    def join(self) -> None:
        """Wait until the frame under way is done; close the slot first."""
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
        except ConversionError as error:
            self._slot.reject(error.reason)
            self._warn(f'image rejected ({error.reason}): {error}')
        except PerceptionError as error:
            self.health.model = str(error)
            self._slot.drop('model_error')
            self._warn(f'frame lost: {error}')
        except Exception:  # noqa: BLE001 - one bad frame must not end the node
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
        start = time.perf_counter()
        image = _read(message, config)
        decode_s = time.perf_counter() - start
        self._watch_stamps(image)
        stages = stages_for(outputs)
        calibration = self._calibration.of(image, config.camera)
        self.health.calibration = calibration.problem
        scene = self._pipeline.process(
            image,
            calibration.camera,
            sensor_depth=self._sensor_depth(image, config, stages),
            stages=stages,
        )
        self.health.model = ''
        count = self._publish(
            outputs,
            Published(
                factory=self._factory,
                header=message.header,
                scene=scene,
                camera_info=calibration.camera_info,
                timing=self._timed({'decode': decode_s, **scene.timing_s}),
                with_patches=config.features.publish_patches,
                markers=self._markers,
            ),
        )
        if count:
            self._slot.published()
        else:
            self._slot.drop('no_result')

    def _watch_stamps(self, image: Image) -> None:
        if image.stamp_ns < self._last_stamp_ns:
            # A bag that loops without /clock shows here alone.
            self._forget()
        self._last_stamp_ns = image.stamp_ns
        self.health.age_s = (self._now_ns() - image.stamp_ns) / _NANOSECONDS

    def _forget(self) -> None:
        self._jumped.clear()
        self._pipeline.reset()
        self.timing.clear()
        self._last_stamp_ns = 0

    def _sensor_depth(
        self, image: Image, config: PerceptionConfig, stages: Stages
    ) -> MetricDepth | None:
        if config.depth.source != 'sensor' or Stages.DEPTH not in stages:
            self.health.depth = ''
            return None
        message = self._depth_buffer.nearest(
            image.stamp_ns, config.depth.max_offset_s, config.depth.max_wait_s
        )
        depth, self.health.depth = _read_depth(message, image, config)
        return depth

    def _publish(self, outputs: tuple[Output, ...], frame: Published) -> int:
        """Publish the outputs, the account of the time last of all."""
        start = time.perf_counter()
        results = tuple(output for output in outputs if output is not TIMING)
        count = self._publishers.publish(results, frame)
        timing = self._timed({'publish': time.perf_counter() - start}, frame.timing)
        if TIMING in outputs:
            count += self._publishers.publish((TIMING,), replace(frame, timing=timing))
        return count

    def _timed(
        self, seconds: Mapping[str, float], before: FrameTiming | None = None
    ) -> FrameTiming:
        """Account for stages that have run, after those of ``before``."""
        rows = self.timing.add(seconds)
        timing = FrameTiming(
            stages=tuple(row.stage for row in rows),
            last_s=tuple(row.last_s for row in rows),
            p50_s=tuple(row.p50_s for row in rows),
            p95_s=tuple(row.p95_s for row in rows),
            p99_s=tuple(row.p99_s for row in rows),
            window=len(self.timing),
            age_s=self.health.age_s,
        )
        if before is None:
            return timing
        return replace(
            timing,
            stages=before.stages + timing.stages,
            last_s=before.last_s + timing.last_s,
            p50_s=before.p50_s + timing.p50_s,
            p95_s=before.p95_s + timing.p95_s,
            p99_s=before.p99_s + timing.p99_s,
        )


def _read(message: Message, config: PerceptionConfig) -> Image:
    if config.input.transport == 'compressed':
        return conversions.compressed_to_image(message, max_pixels=config.input.max_pixels)
    return conversions.to_image(message, max_pixels=config.input.max_pixels)


def _read_depth(
    message: Message, image: Image, config: PerceptionConfig
) -> tuple[MetricDepth | None, str]:
    """Read sensor depth that fits the image, or say why it does not."""
    if message is None:
        return None, (
            f'no sensor depth within {config.depth.max_offset_s:g} s of the image. Remap depth to '
            'the topic of your camera, or raise depth.max_offset_s or depth.max_wait_s.'
        )
    frame_id = message.header.frame_id
    if frame_id != image.frame_id:
        return None, (
            f'sensor depth is in frame {frame_id!r}, the image in {image.frame_id!r}. Let the '
            'driver register depth to colour (align_depth.enable:=true for RealSense).'
        )
    try:
        depth = conversions.to_depth(message, max_pixels=config.input.max_pixels)
    except ConversionError as error:
        return None, f'sensor depth rejected ({error.reason}): {error}'
    if depth.size_hw != image.size_hw:
        return None, (
            f'sensor depth has size {depth.size_hw}, the image {image.size_hw} (rows, columns). '
            'Let the driver register depth to colour (align_depth.enable:=true for RealSense).'
        )
    return depth, ''
