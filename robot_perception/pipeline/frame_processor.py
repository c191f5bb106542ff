"""From the messages of a camera to what goes out for an image: one way for a node and a bag."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
import time
from typing import Any

from robot_perception import conversions
from robot_perception.conversions import FrameTiming, MessageFactory
from robot_perception.conversions.messages import Message
from robot_perception.core import Image, MetricDepth, Scene
from robot_perception.core.errors import ConversionError
from robot_perception.pipeline.calibration import CalibrationKeeper
from robot_perception.pipeline.config import PerceptionConfig
from robot_perception.pipeline.frame_timer import FrameTimer
from robot_perception.pipeline.outputs import MarkerMemory, Output, Published, stages_for
from robot_perception.pipeline.pipeline import PerceptionPipeline, Stages

# Gives the depth message that belongs to a stamp (nanoseconds), None without one.
DepthFinder = Callable[[int], Message]


@dataclass(frozen=True, slots=True)
class Processed:
    """An image that has been seen, ready to go out.

    Attributes:
        published: what the outputs are made of.
        stages: what was computed.
        calibration_problem: why nothing 3D can be made, empty when it can.
        depth_problem: why sensor depth or a known height gave no metres, empty when it did; None
            when neither was asked for.

    """

    published: Published
    stages: Stages
    calibration_problem: str
    depth_problem: str | None


class FrameProcessor:
    """Takes the images of one camera in order; for one thread."""

    def __init__(
        self,
        pipeline: PerceptionPipeline,
        factory: MessageFactory,
        *,
        calibration: CalibrationKeeper,
        markers: MarkerMemory,
        timer: FrameTimer | None,
    ) -> None:
        """Join the parts.

        Args:
            pipeline: sees the images.
            factory: makes the messages of the outputs.
            calibration: where CameraInfo messages are kept.
            markers: markers that viewers still show.
            timer: measures each frame; None leaves times out, so that equal frames give equal
                messages.

        """
        self._calibration = calibration
        self._last_stamp_ns = 0
        self._pipeline = pipeline
        self._factory = factory
        self._markers = markers
        self._timer = timer

    def forget(self) -> None:
        """Forget earlier frames, as after a jump of time."""
        self._pipeline.reset()
        if self._timer is not None:
            self._timer.clear()
        self._last_stamp_ns = 0

    def memory(self) -> dict[str, Any]:
        """Give what earlier frames left behind, as values of JSON.

        Times and markers are not among it: they follow from what is made of the frames.
        """
        return {
            'last_stamp_ns': self._last_stamp_ns,
            'pipeline': self._pipeline.memory(),
        }

    def remember(self, memory: Mapping[str, Any]) -> None:
        """Go on from what `memory` gave."""
        self._last_stamp_ns = memory['last_stamp_ns']
        self._pipeline.remember(memory['pipeline'])

    def process(
        self,
        message: Message,
        outputs: tuple[Output, ...],
        image_topic: str,
        depth_near: DepthFinder,
    ) -> Processed:
        """See one image.

        Args:
            message: a sensor_msgs Image or CompressedImage.
            outputs: what is to be made of it; decides which networks run.
            image_topic: full name, which may tell that images are rectified.
            depth_near: asked for the sensor's depth where the configuration wants it.

        Raises:
            ConversionError: the image cannot be read.
            ModelError: a network failed.

        """
        config = self._pipeline.config
        start = time.perf_counter()
        image = _read_image(message, config.input.max_pixels)
        decode_s = time.perf_counter() - start
        if image.stamp_ns < self._last_stamp_ns:
            # A bag that loops without /clock shows here alone.
            self.forget()
        self._last_stamp_ns = image.stamp_ns
        stages = self._pipeline.due(stages_for(outputs, config))
        calibration = self._calibration.of(image, config.camera, image_topic)
        depth, depth_problem = None, None
        if config.depth.source != 'model' and Stages.DEPTH in stages:
            depth, depth_problem = _read_depth(depth_near(image.stamp_ns), image, config)
        scene = self._pipeline.process(
            image, calibration.camera, sensor_depth=depth, stages=stages
        )
        if config.depth.source == 'model' and Stages.DEPTH in stages:
            depth_problem = _scale_problem(scene, config.camera.height_m)
        published = Published(
            factory=self._factory,
            header=message.header,
            scene=scene,
            camera_info=calibration.camera_info,
            timing=self._timing({'decode': decode_s, **scene.timing_s}, image),
            config=config,
            markers=self._markers,
        )
        return Processed(published, stages, calibration.problem, depth_problem)

    def _timing(self, seconds: dict[str, float], image: Image) -> FrameTiming:
        if self._timer is None:
            return FrameTiming.unknown()
        return self._timer.add(seconds, image.stamp_ns)


def _read_image(message: Message, max_pixels: int) -> Image:
    if hasattr(message, 'format'):
        return conversions.compressed_to_image(message, max_pixels=max_pixels)
    return conversions.to_image(message, max_pixels=max_pixels)


def _scale_problem(scene: Scene, height_m: float) -> str | None:
    if not height_m or scene.camera is None or not isinstance(scene.depth, MetricDepth):
        return None
    if scene.depth_fit is not None:
        return ''
    return (
        f'no ground has been seen {height_m:g} m below the camera, so that metres are those of the '
        'network. Let the floor show in the image, or check camera.height_m.'
    )


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
