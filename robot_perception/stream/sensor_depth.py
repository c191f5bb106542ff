"""Read the sensor depth of an image, and register it to the image where frame or size differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_perception import conversions
from robot_perception.conversions import Message
from robot_perception.core import (
    CalibrationError,
    CameraModel,
    ConversionError,
    Image,
    MetricDepth,
    normalize_frame_id,
    register_depth,
    TransformError,
)
from robot_perception.pipeline import CameraAxes, PerceptionConfig, Rectification
from robot_perception.stream.camera_axes import BODY_FROM_OPTICAL
from robot_perception.stream.status import InputStatus, Remedies, USABLE
from robot_perception.stream.synchronizer import FrameSet

_EMPTY = InputStatus.failed(
    'empty_depth',
    'no pixel of the sensor depth is known: all are NaN or 0, or outside 0.1 mm to 10 km. If this '
    'persists, check what is in front of the sensor, whether its emitter is on, and that it sends '
    'millimeters as 16UC1 or meters as 32FC1; set depth.unit_m for another unit.',
)
# Farther than anything a depth camera measures; in millimeters, 10 cm.
_MAX_MEDIAN_M = 100.0
_SAMPLES = 4096


def read_sensor_depth(
    frame_set: FrameSet,
    image: Image,
    camera: CameraModel | None,
    *,
    config: PerceptionConfig,
    remedies: Remedies,
) -> tuple[MetricDepth | None, InputStatus]:
    """Wait for the sensor depth of an image and read it.

    Depth that has the frame and the size of the image is assumed to be registered already; depth
    without a frame has that of the image. Any other depth is registered here, which needs both
    calibrations and, if the frames differ, TF.

    Args:
        frame_set: the image's depth, depth calibration and transforms.
        image: the image.
        camera: calibration of the image.
        config: the unit of depth, whether it is registered, and limits.
        remedies: advice on missing inputs.
    """
    message = frame_set.depth()
    if message is None:
        return None, InputStatus.failed(
            'no_depth',
            f'no sensor depth within {config.depth.max_offset_s:g} s of the image. '
            f'{remedies.depth}, or raise depth.max_offset_s or depth.max_wait_s.',
        )
    try:
        depth = conversions.to_depth(
            message, unit_m=config.depth.unit_m, max_pixels=config.input.max_pixels
        )
    except ConversionError as error:
        return None, InputStatus.failed(
            error.reason, f'sensor depth rejected ({error.reason}): {error}'
        )
    sensor = _SensorDepth(depth, message.header.frame_id, image, frame_set, config, remedies)
    registered, status = sensor.register(camera)
    if not depth.has_known() and registered is not None:
        return registered, _EMPTY
    return registered, _unit_status(message, depth, config) if status == USABLE else status


def _unit_status(message: Message, depth: MetricDepth, config: PerceptionConfig) -> InputStatus:
    """Warn of floating-point depth that is so far away that its unit is probably millimeters."""
    # The format of compressedDepth begins with the encoding.
    encoding = message.format if hasattr(message, 'format') else message.encoding
    if config.depth.unit_m or not encoding.upper().startswith('32F'):
        return USABLE
    meters = depth.meters.ravel()[:: max(1, depth.meters.size // _SAMPLES)]
    meters = meters[np.isfinite(meters)]
    if not meters.size or np.median(meters) <= _MAX_MEDIAN_M:
        return USABLE
    return InputStatus.doubtful(
        'millimeters',
        f'the median of the sensor depth is beyond {_MAX_MEDIAN_M:g} m: its 32FC1 images are '
        'probably in millimeters, which REP 118 has as 16UC1. Set depth.unit_m: 0.001, or 1.0 if '
        'they are in meters.',
    )


@dataclass(frozen=True, slots=True)
class _SensorDepth:
    """Sensor depth, and all that its registration to an image needs."""

    depth: MetricDepth
    frame_id: str
    image: Image
    frame_set: FrameSet
    config: PerceptionConfig
    remedies: Remedies

    @property
    def image_frame(self) -> str:
        """Frame of the image."""
        return normalize_frame_id(self.image.frame_id)

    @property
    def frame(self) -> str:
        """Frame of the depth, which is that of the image where none is named."""
        frame = normalize_frame_id(self.frame_id)
        # camera.frame_id replaces the frame of the image; depth may still name the original one.
        original = normalize_frame_id(self.frame_set.image.header.frame_id)
        if self.config.depth.registered or frame in {'', original} or not self.image_frame:
            return self.image_frame
        return frame

    def register(self, camera: CameraModel | None) -> tuple[MetricDepth | None, InputStatus]:
        """Return the depth of each pixel of the image, None if that is not possible."""
        depth, image = self.depth, self.image
        if self.frame != self.image_frame:
            what = f'sensor depth is in frame {self.frame!r}, the image in {self.image_frame!r}'
            remedy = (
                f'{self.remedies.registration} If it has been registered already, set '
                'depth.registered: true.'
            )
        elif depth.size_hw != image.size_hw:
            sizes = f'{depth.size_hw}, the image {image.size_hw} (rows, columns)'
            what, remedy = f'sensor depth has size {sizes}', self.remedies.registration
        else:
            return depth, USABLE
        try:
            registered = self._registered(camera)
        except CalibrationError as error:
            return None, InputStatus.failed(
                error.reason, f'{what}, and cannot be registered to it: {error} {remedy}'
            )
        if depth.has_known() and not registered.has_known():
            return None, InputStatus.failed(
                'outside_image',
                f'{what}; registered to it, all of it lies outside the image. Check the transform '
                f'between {self.frame!r} and {self.image_frame!r}: z of an optical frame points '
                f'forward. {remedy}',
            )
        return registered, USABLE

    def _registered(self, camera: CameraModel | None) -> MetricDepth:
        """Register the depth; raise CalibrationError if that is not possible."""
        if camera is None:
            raise CalibrationError('no_camera_info', 'the image has no calibration.')
        depth_camera = self._depth_camera()
        try:
            image_from_depth = self.frame_set.lookup_for_image(
                self.image_frame, self.frame, self.image.stamp_ns
            )
        except TransformError as error:
            raise CalibrationError(error.reason, str(error)) from error
        if self.config.camera.optical is CameraAxes.BODY:
            image_from_depth = (
                BODY_FROM_OPTICAL.inverse().compose(image_from_depth).compose(BODY_FROM_OPTICAL)
            )
        return register_depth(self.depth, depth_camera, camera, image_from_depth)

    def _depth_camera(self) -> CameraModel:
        """Return the calibration of the depth camera; raise CalibrationError without one."""
        topics, info = self.frame_set.topics, self.frame_set.depth_camera_info()
        remedy = self.remedies.depth_camera_info
        if info is None:
            raise CalibrationError(
                'no_depth_camera_info',
                'no CameraInfo of the depth camera has been received on '
                f'{topics.depth_camera_info}. {remedy}',
            )
        frames = {normalize_frame_id(one) for one in (info.header.frame_id, self.frame_id)} - {''}
        if len(frames) > 1 and not self.config.depth.registered:
            raise CalibrationError(
                'other_frame',
                f'the CameraInfo on {topics.depth_camera_info} has frame '
                f'{info.header.frame_id!r}. {remedy}',
            )
        try:
            depth_camera = conversions.to_camera(
                info,
                rectified=Rectification.AUTO.applies_to(topics.depth),
                image_size_hw=self.depth.size_hw,
            )
        except CalibrationError as error:
            raise CalibrationError(
                error.reason, f'its CameraInfo cannot be used: {error}'
            ) from error
        if depth_camera.size_hw != self.depth.size_hw:
            raise CalibrationError(
                'wrong_size',
                f'its CameraInfo is for size {depth_camera.size_hw}, the depth has '
                f'{self.depth.size_hw} (rows, columns). {remedy}',
            )
        return depth_camera
