"""The one thread that computes: newest frame in, every wanted output out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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
from robot_perception.pipeline.outputs import MarkerMemory, Published

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
        start = time.perf_counter()
        count = self._publishers.publish(
            outputs,
            Published(
                factory=self._factory,
                header=message.header,
                scene=scene,
                camera_info=calibration.camera_info,
                timing=self._frame_timing({'decode': decode_s, **scene.timing_s}),
                with_patches=config.features.publish_patches,
                markers=self._markers,
            ),
        )
        self.timing.add({'publish': time.perf_counter() - start})
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

    def _frame_timing(self, timing_s: dict[str, float]) -> FrameTiming:
        stages = self.timing.add(timing_s)
        return FrameTiming(
            stages=tuple(stage.stage for stage in stages),
            last_s=tuple(stage.last_s for stage in stages),
            p50_s=tuple(stage.p50_s for stage in stages),
            p95_s=tuple(stage.p95_s for stage in stages),
            p99_s=tuple(stage.p99_s for stage in stages),
            window=len(self.timing),
            age_s=self.health.age_s,
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
