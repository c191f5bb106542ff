"""Process frame sets: conversion, calibration, depth, transforms, pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from robot_perception.conversions import (
    FrameTiming,
    header_message,
    MarkerKey,
    Message,
    MessageFactory,
)
from robot_perception.core import (
    CameraModel,
    Image,
    is_restart,
    MetricDepth,
    Pose,
    RelativeDepth,
    Scene,
    Stage,
    Vector3,
)
from robot_perception.pipeline import PerceptionConfig, PerceptionPipeline, Stopwatch
from robot_perception.stream.calibration import CalibrationReader
from robot_perception.stream.frame_timer import FrameTimer
from robot_perception.stream.image_reader import ImageReader, ReadImage
from robot_perception.stream.message_time import MessageTime
from robot_perception.stream.output_frame import OutputFrame
from robot_perception.stream.outputs import Output, stages_for
from robot_perception.stream.sensor_depth import read_sensor_depth
from robot_perception.stream.status import (
    FrameStatus,
    InputStatus,
    LIVE,
    NOT_NEEDED,
    Remedies,
    USABLE,
)
from robot_perception.stream.synchronizer import FrameSet
from robot_perception.stream.target_frame import resolve_target_frame, TargetFrame

_STAMP_FAULTS = {
    'zero_stamp': 'the stamp of the image is zero',
    'repeated_stamp': 'the image has the stamp of an earlier one',
}
_RELATIVE_DEPTH = InputStatus.failed(
    'relative_depth',
    'the depth network predicts relative depth, which is not in meters: no depth image, no '
    'points, no 3D. Use a metric checkpoint, or depth.source: sensor or fused.',
)

_EMPTY_NETWORK_DEPTH = InputStatus.failed(
    'empty_depth',
    'no pixel of the depth of the network is known: all are NaN, or outside 0.1 mm to 10 km. Set '
    'precision: fp32, and check the checkpoint with another one in depth.model.',
)


@dataclass(frozen=True, slots=True)
class ProcessedFrame:
    """An image after processing.

    Attributes:
        output: what the outputs are made from.
        stages: stages that ran.
        status: status of calibration, depth and transforms.
        remarks: what is wrong with the image, although it can be used.
    """

    output: OutputFrame
    stages: frozenset[Stage]
    status: FrameStatus
    remarks: tuple[InputStatus, ...]


class FrameProcessor:
    """Processes the images of one camera in order; for one thread."""

    def __init__(
        self,
        pipeline: PerceptionPipeline,
        factory: MessageFactory,
        *,
        timer: FrameTimer | None = None,
        remedies: Remedies = LIVE,
    ) -> None:
        """Create a processor without earlier frames.

        Args:
            pipeline: processes the images.
            factory: makes the messages of the outputs.
            timer: keeps the times of each frame; with None messages contain no times, so that
                equal frames give equal messages.
            remedies: advice on missing inputs.
        """
        self.pipeline = pipeline
        self.timer = timer
        self._factory = factory
        self._remedies = remedies
        self._images = ImageReader()
        # After the last processed image: others may have been read ahead.
        self._images_state: Mapping[str, Any] = self._images.state_dict()
        self._calibrations = CalibrationReader()
        self._newest_ns = 0
        self._markers: frozenset[MarkerKey] = frozenset()

    def reset(self) -> None:
        """Drop the state of earlier frames, as after a time jump.

        The markers that viewers show are not dropped: the next frame has to delete them.
        """
        self.pipeline.reset()
        if self.timer is not None:
            self.timer.clear()
        self._newest_ns = 0

    def resumed(self, pipeline: PerceptionPipeline) -> FrameProcessor:
        """Return a processor that goes on with ``pipeline`` where this one hangs."""
        other = FrameProcessor(pipeline, self._factory, timer=self.timer, remedies=self._remedies)
        other.load_state_dict(self.state_dict())
        return other

    def state_dict(self) -> dict[str, Any]:
        """Return the state kept from earlier frames, as JSON values, without times."""
        return {
            'newest_ns': self._newest_ns,
            'images': self._images_state,
            'pipeline': self.pipeline.state_dict(),
            'markers': sorted(self._markers),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load what `state_dict` returned."""
        self._newest_ns = state['newest_ns']
        self._images_state = state['images']
        self._images.load_state_dict(self._images_state)
        self.pipeline.load_state_dict(state['pipeline'])
        self._markers = frozenset((kind, slot) for kind, slot in state['markers'])

    def read(self, message: Message, config: PerceptionConfig, watch: Stopwatch) -> ReadImage:
        """Read the next image, for `process`. Several may be read ahead, in their order.

        Raises:
            ConversionError: the image cannot be read.
        """
        with watch.stage('decode'):
            image = self._images.read(message, config.input)
        return ReadImage(
            image, self._images.remarks, watch.seconds['decode'], self._images.state_dict()
        )

    def process(
        self,
        frame_set: FrameSet,
        outputs: tuple[Output, ...],
        watch: Stopwatch | None = None,
        config: PerceptionConfig | None = None,
        read: ReadImage | None = None,
    ) -> ProcessedFrame:
        """Process one image.

        Args:
            frame_set: the image and what belongs to it.
            outputs: the outputs to be made, which determine the networks that run.
            watch: times the stages; another thread can read which of them is running.
            config: parameters of this frame; None for those in force.
            read: the image, from `read`; None to read it now.

        Raises:
            ConversionError: the image cannot be read.
            ModelError: a network failed.
        """
        # Read once: parameters may change while the frame is processed.
        config = config or self.pipeline.config
        watch = watch or Stopwatch()
        read = read or self.read(frame_set.image, config, watch)
        self._images_state = read.state
        image = read.image
        header = frame_set.image.header
        if config.camera.frame_id:
            image = replace(image, frame_id=config.camera.frame_id)
            header = header_message(self._factory, image.stamp_ns, image.frame_id)
        time_ns = frame_set.time.sequence_ns
        if is_restart(time_ns, self._newest_ns):
            # When a bag loops without /clock, only the stamps show it.
            self.reset()
        self._newest_ns = max(time_ns, self._newest_ns)
        stages = self.pipeline.due(stages_for(outputs, config), config)
        calibration = self._calibrations.read(
            frame_set.camera_info, image, config.camera, frame_set.topics, self._remedies
        )
        inputs = _SpatialInputs(
            frame_set,
            image,
            calibration.camera,
            config,
            needed=Stage.DEPTH in stages,
            remedies=self._remedies,
        )
        scene = self.pipeline.process(
            image,
            calibration.camera,
            sensor_depth=inputs.depth,
            gravity_up=inputs.gravity_up,
            fixed_from_optical=inputs.fixed_from_optical,
            time_ns=time_ns,
            stages=stages,
            config=config,
            watch=watch,
        )
        output = OutputFrame(
            factory=self._factory,
            header=header,
            scene=scene,
            camera_info=calibration.camera_info,
            timing=self._timing({'decode': read.seconds, **scene.timing_s}, frame_set.time),
            config=config,
            shown_markers=self._markers,
            target=inputs.target,
        )
        self._markers = output.markers_left
        status = FrameStatus(
            calibration.status,
            _depth_status(inputs.depth_status, scene, config, stages),
            inputs.target.status,
            _stamp_status(frame_set.time, self._remedies),
        )
        return ProcessedFrame(output, stages, status, read.remarks)

    def _timing(self, seconds: dict[str, float], time: MessageTime) -> FrameTiming:
        if self.timer is None:
            return FrameTiming.unknown()
        return self.timer.add(seconds, time.taken_ns)


class _SpatialInputs:
    """Sensor depth and pose of one image; each is waited for on first use."""

    def __init__(
        self,
        frame_set: FrameSet,
        image: Image,
        camera: CameraModel | None,
        config: PerceptionConfig,
        *,
        needed: bool,
        remedies: Remedies,
    ) -> None:
        self.depth_status = NOT_NEEDED
        self._frame_set = frame_set
        self._image = image
        self._camera = camera
        self._config = config
        self._needed = needed
        self._remedies = remedies

    def depth(self) -> MetricDepth | None:
        if not (self._needed and self._config.depth.source.uses_sensor):
            return None
        depth, self.depth_status = read_sensor_depth(
            self._frame_set,
            self._image,
            self._camera,
            config=self._config,
            remedies=self._remedies,
        )
        return depth

    @cached_property
    def target(self) -> TargetFrame:
        if not self._needed:
            return TargetFrame(self._image.frame_id)
        lookup = self._frame_set.lookup_for_image
        return resolve_target_frame(
            self._image, self._config.frames, lookup, self._config.camera.optical
        )

    def gravity_up(self) -> Vector3 | None:
        return self.target.gravity_up

    def fixed_from_optical(self) -> Pose | None:
        return self.target.fixed_from_optical


def _stamp_status(time: MessageTime, remedies: Remedies) -> InputStatus:
    if not time.fault:
        return USABLE
    return InputStatus.failed(
        time.fault,
        f'{_STAMP_FAULTS[time.fault]}: tracks, depth and transforms use the time at which it was '
        f'{remedies.arrival}. Let the camera driver stamp each image with the time at which it '
        'was taken.',
    )


def _depth_status(
    status: InputStatus, scene: Scene, config: PerceptionConfig, stages: frozenset[Stage]
) -> InputStatus:
    """Return the status of metric depth, given that of the sensor."""
    if Stage.DEPTH not in stages:
        return status
    if config.depth.source.uses_network and isinstance(scene.depth, RelativeDepth):
        problem = f'{_RELATIVE_DEPTH.problem} {status.problem}'.rstrip()
        return InputStatus.failed(_RELATIVE_DEPTH.reason, problem)
    if config.depth.source.uses_sensor or not isinstance(scene.depth, MetricDepth):
        return status
    if not scene.depth.has_known():
        return _EMPTY_NETWORK_DEPTH
    if not config.camera.height_m or scene.camera is None or scene.depth_fit is not None:
        return USABLE
    return InputStatus.failed(
        'no_ground',
        f'no ground was found {config.camera.height_m:g} m below the camera, so that depth has '
        'the scale of the network. Let the floor be visible in the image, or check '
        'camera.height_m.',
    )
