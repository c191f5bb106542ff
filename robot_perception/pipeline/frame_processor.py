"""From the messages of a camera to what goes out for an image: one way for a node and a bag."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
import time
from typing import Any

from robot_perception import conversions
from robot_perception.conversions import FrameTiming, Message, MessageFactory
from robot_perception.core import CameraModel, Image, MetricDepth, Scene, Stage, TransformBuffer
from robot_perception.pipeline.calibration import CalibrationKeeper
from robot_perception.pipeline.config import PerceptionConfig
from robot_perception.pipeline.frame_timer import FrameTimer
from robot_perception.pipeline.frames import place_image, Placement, TransformLookup
from robot_perception.pipeline.outputs import MarkerMemory, Output, Published, stages_for
from robot_perception.pipeline.pipeline import PerceptionPipeline
from robot_perception.pipeline.sensor_depth import DepthCamera, read_sensor_depth

# Gives the depth message that belongs to a stamp (nanoseconds), None without one.
DepthFinder = Callable[[int], Message]
# Gives the way to ask TF, which may wait for so many seconds in all.
TransformFinder = Callable[[float], TransformLookup]


@dataclass(frozen=True, slots=True)
class Processed:
    """An image that has been seen, ready to go out.

    Attributes:
        published: what the outputs are made of.
        stages: what was computed.
        calibration_problem: why nothing 3D can be made, empty when it can.
        depth_problem: why sensor depth or a known height gave no metres, empty when it did; None
            when neither was asked for.
        frames_problem: why 3D is not in the frame, or not upright, as asked for; empty when it
            is, None when nothing was asked for.

    """

    published: Published
    stages: frozenset[Stage]
    calibration_problem: str
    depth_problem: str | None
    frames_problem: str | None


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
        depth_camera: DepthCamera | None = None,
        transforms: TransformFinder | None = None,
    ) -> None:
        """Join the parts.

        Args:
            pipeline: sees the images.
            factory: makes the messages of the outputs.
            calibration: where CameraInfo messages are kept.
            markers: markers that viewers still show.
            timer: measures each frame; None leaves times out, so that equal frames give equal
                messages.
            depth_camera: where CameraInfo messages of a depth sensor are kept.
            transforms: gives the way to ask TF; None knows of no frames.

        """
        self._calibration = calibration
        self._last_stamp_ns = 0
        self._pipeline = pipeline
        self._factory = factory
        self._markers = markers
        self._timer = timer
        self._depth_camera = depth_camera or DepthCamera()
        self._transforms = transforms or (lambda _: TransformBuffer().lookup)

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
            'pipeline': self._pipeline.state_dict(),
        }

    def remember(self, memory: Mapping[str, Any]) -> None:
        """Go on from what `memory` gave."""
        self._last_stamp_ns = memory['last_stamp_ns']
        self._pipeline.load_state_dict(memory['pipeline'])

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
        depth, depth_problem, placement = None, None, Placement(image.frame_id)
        if Stage.DEPTH in stages:
            if config.depth.source.uses_sensor:
                depth, depth_problem = self._sensor_depth(
                    depth_near(image.stamp_ns), image, calibration.camera, config
                )
            placement = place_image(
                image, config.frames, self._transforms(config.frames.tf_wait_s)
            )
        scene = self._pipeline.process(
            image,
            calibration.camera,
            sensor_depth=depth,
            up=placement.up,
            fixed=placement.fixed,
            stages=stages,
        )
        if not config.depth.source.uses_sensor and Stage.DEPTH in stages:
            depth_problem = _scale_problem(scene, config.camera.height_m)
        published = Published(
            factory=self._factory,
            header=message.header,
            scene=scene,
            camera_info=calibration.camera_info,
            timing=self._timing({'decode': decode_s, **scene.timing_s}, image),
            config=config,
            markers=self._markers,
            placement=placement,
        )
        frames_problem = placement.problem if config.frames.needs_tf else None
        return Processed(published, stages, calibration.problem, depth_problem, frames_problem)

    def _sensor_depth(
        self, message: Message, image: Image, camera: CameraModel | None, config: PerceptionConfig
    ) -> tuple[MetricDepth | None, str]:
        if message is None:
            return None, (
                f'no sensor depth within {config.depth.max_offset_s:g} s of the image. Remap '
                'depth to the topic of your camera, or raise depth.max_offset_s or '
                'depth.max_wait_s.'
            )
        return read_sensor_depth(
            message,
            image,
            camera,
            sensor=self._depth_camera,
            lookup=self._transforms(config.frames.tf_wait_s),
            max_pixels=config.input.max_pixels,
        )

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
