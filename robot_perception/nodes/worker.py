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
from robot_perception.core import CameraModel, DepthFit, Image, MetricDepth, RelativeDepth, Scene
from robot_perception.core.errors import ConversionError, PerceptionError
from robot_perception.nodes.calibration import CalibrationKeeper, is_rectified
from robot_perception.nodes.depth_buffer import DepthBuffer
from robot_perception.nodes.messages import RosMessages
from robot_perception.nodes.publishers import OutputPublishers, stages_for
from robot_perception.nodes.slot import FrameSlot
from robot_perception.nodes.transform_listener import TransformListener
from robot_perception.pipeline import (
    PerceptionConfig,
    PerceptionPipeline,
    place_image,
    Placement,
    Stages,
    TimingWindow,
)
from robot_perception.pipeline.outputs import MarkerMemory, Output, Published, TIMING
from robot_perception.pipeline.sensor_depth import DepthCamera, read_sensor_depth

_LOG_PERIOD_S = 1.0
_NANOSECONDS = 1e9
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
        transforms: why 3D is not in the frame, or not upright, as asked for.
        model: what the last failing network said.
        output: what the last failing output said.
        age_s: age of the last image when its outputs were out, by the node's clock; NaN before
            the first.

    """

    calibration: str | None = None
    depth: str | None = None
    depth_fit: DepthFit | None = None
    transforms: str | None = None
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
        depth_topics: tuple[str, str],
        transforms: TransformListener,
        markers: MarkerMemory,
        image_topic: Callable[[], str],
        now_ns: Callable[[], int],
        alive: Callable[[], bool],
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
        self._depth_topic, self._depth_info_topic = depth_topics
        self._transforms = transforms
        self._now_ns = now_ns
        self._alive = alive
        self._logger = logger
        self._factory = RosMessages()
        self._markers = markers
        self._image_topic = image_topic
        self._last_stamp_ns = 0
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
        start = time.perf_counter()
        try:
            image = _read(message, config.input.max_pixels)
        except ConversionError as error:
            self._slot.reject(error.reason)
            self._warn(f'image rejected ({error.reason}): {error}')
            return
        decode_s = time.perf_counter() - start
        self._watch_stamps(image)
        stages = self._pipeline.due(stages_for(outputs, config))
        calibration = self._calibration.of(image, config.camera, self._image_topic())
        sensor_depth = self._sensor_depth(image, calibration.camera, config, stages)
        placement = self._place(image, config, stages)
        scene = self._pipeline.process(
            image, calibration.camera, sensor_depth=sensor_depth, up=placement.up, stages=stages
        )
        self._take_stock(scene, calibration.problem, config, stages)
        self._publish(
            outputs,
            Published(
                factory=self._factory,
                header=message.header,
                scene=scene,
                camera_info=calibration.camera_info,
                timing=self._timed({'decode': decode_s, **scene.timing_s}, image),
                config=config,
                markers=self._markers,
                placement=placement,
            ),
        )

    def _watch_stamps(self, image: Image) -> None:
        if image.stamp_ns < self._last_stamp_ns:
            # A bag that loops without /clock shows here alone.
            self._forget()
        self._last_stamp_ns = image.stamp_ns

    def _forget(self) -> None:
        self._jumped.clear()
        self._pipeline.reset()
        self.timing.clear()
        self._last_stamp_ns = 0

    def _sensor_depth(
        self, image: Image, camera: CameraModel | None, config: PerceptionConfig, stages: Stages
    ) -> MetricDepth | None:
        if config.depth.source == 'model' or Stages.DEPTH not in stages:
            return None
        message = self._depth_buffer.nearest(
            image.stamp_ns, config.depth.max_offset_s, config.depth.max_wait_s
        )
        if message is None:
            self.health.depth = (
                f'no sensor depth within {config.depth.max_offset_s:g} s of the image. Remap '
                'depth to the topic of your camera, or raise depth.max_offset_s or '
                'depth.max_wait_s.'
            )
            return None
        sensor = DepthCamera(
            info=self._depth_buffer.info,
            info_topic=self._depth_info_topic,
            rectified=is_rectified('auto', self._depth_topic),
            lookup=self._transforms.within(config.frames.tf_wait_s),
        )
        depth, self.health.depth = read_sensor_depth(
            message, image, camera, sensor, max_pixels=config.input.max_pixels
        )
        return depth

    def _place(self, image: Image, config: PerceptionConfig, stages: Stages) -> Placement:
        if Stages.DEPTH not in stages:
            return Placement(image.frame_id)
        lookup = self._transforms.within(config.frames.tf_wait_s)
        placement = place_image(image, config.frames, lookup)
        self.health.transforms = placement.problem if config.frames.needs_tf else None
        if placement.problem:
            self._warn(placement.problem)
        return placement

    def _take_stock(
        self, scene: Scene, calibration: str, config: PerceptionConfig, stages: Stages
    ) -> None:
        self.health.model = ''
        if Stages.DEPTH not in stages:
            return
        self.health.calibration = calibration
        self.health.depth_fit = scene.depth_fit
        if config.depth.source == 'model':
            self.health.depth = ''
        if config.depth.source != 'sensor' and isinstance(scene.depth, RelativeDepth):
            self.health.depth = f'{_RELATIVE} {self.health.depth}'.rstrip()

    def _publish(self, outputs: tuple[Output, ...], frame: Published) -> None:
        """Publish the outputs, the account of the time last of all, and count the frame."""
        start = time.perf_counter()
        self.health.output = ''
        results = tuple(output for output in outputs if output is not TIMING)
        count = self._publishers.publish(results, frame, self._on_output_error)
        timing = self._timed(
            {'publish': time.perf_counter() - start}, frame.scene.image, frame.timing
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

    def _timed(
        self, seconds: Mapping[str, float], image: Image, before: FrameTiming | None = None
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
            age_s=(self._now_ns() - image.stamp_ns) / _NANOSECONDS,
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


def _read(message: Message, max_pixels: int) -> Image:
    if hasattr(message, 'format'):
        return conversions.compressed_to_image(message, max_pixels=max_pixels)
    return conversions.to_image(message, max_pixels=max_pixels)
