"""Depth of a sensor for one image: read, and brought to the image where it is of another frame."""

from __future__ import annotations

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
from robot_perception.pipeline.choices import Rectification
from robot_perception.pipeline.frames import TransformLookup

_DRIVERS = (
    'Or let the driver register depth to colour: align_depth.enable:=true for RealSense, '
    'depth_registration:=true for Orbbec and OpenNI, topic depth_to_rgb for Azure Kinect.'
)


class DepthCamera:
    """Keeps the newest CameraInfo of a depth sensor."""

    def __init__(self, topic: str = 'depth', info_topic: str = 'depth/camera_info') -> None:
        """Start without a calibration.

        Args:
            topic: full name of the depth, which may tell that it is rectified.
            info_topic: full name of its calibration, for messages.

        """
        self.info_topic = info_topic
        self.rectified = Rectification.AUTO.applies_to(topic)
        self.info: Message = None

    def keep(self, info: Message) -> None:
        """Take a CameraInfo message."""
        self.info = info


_EMPTY = (
    'no pixel of the sensor depth is known: all are NaN or 0, or not from 0.1 mm to 10 km. If this '
    'stays, look at what is in front of the sensor, whether its emitter is on, and that it sends '
    'millimetres as 16UC1 or metres as 32FC1.'
)


def read_sensor_depth(
    message: Message,
    image: Image,
    camera: CameraModel | None,
    *,
    sensor: DepthCamera,
    lookup: TransformLookup,
    max_pixels: int,
) -> tuple[MetricDepth | None, str]:
    """Read sensor depth for an image, and say what is wrong with it and what to do.

    Depth in the frame and the size of the image is taken as registered to it. Any other is
    registered here, for which both calibrations and, between two frames, TF are needed.

    Args:
        message: sensor_msgs/msg/Image of depth.
        image: the image it is for.
        camera: calibration of the image.
        sensor: what is known of the depth camera.
        lookup: asks TF.
        max_pixels: larger depth is refused.

    """
    try:
        depth = conversions.to_depth(message, max_pixels=max_pixels)
    except ConversionError as error:
        return None, f'sensor depth rejected ({error.reason}): {error}'
    ours, theirs = normalize_frame_id(image.frame_id), normalize_frame_id(message.header.frame_id)
    if ours == theirs and depth.size_hw == image.size_hw:
        return depth, '' if _has_any(depth) else _EMPTY
    if ours == theirs:
        what = f'sensor depth has size {depth.size_hw}, the image {image.size_hw} (rows, columns)'
    else:
        what = f'sensor depth is in frame {theirs!r}, the image in {ours!r}'
    try:
        registered = _register(depth, theirs, image, camera, sensor=sensor, lookup=lookup)
    except _CannotRegisterError as error:
        return None, f'{what}, and cannot be registered to it: {error} {_DRIVERS}'
    if not _has_any(depth):
        return registered, _EMPTY
    if not _has_any(registered):
        return None, (
            f'{what}; registered to it, none of it falls into the image. Check the transform '
            f'between {theirs!r} and {ours!r}: z of an optical frame looks forward. {_DRIVERS}'
        )
    return registered, ''


def _has_any(depth: MetricDepth) -> bool:
    return bool(np.isfinite(depth.meters).any())


class _CannotRegisterError(Exception):
    """Why depth cannot be registered."""


def _register(
    depth: MetricDepth,
    frame_id: str,
    image: Image,
    camera: CameraModel | None,
    *,
    sensor: DepthCamera,
    lookup: TransformLookup,
) -> MetricDepth:
    if camera is None:
        raise _CannotRegisterError('the image has no calibration.')
    info = sensor.info
    if info is None:
        raise _CannotRegisterError(
            f'no CameraInfo of the depth camera has come on {sensor.info_topic}. Remap '
            'depth/camera_info to the topic beside the depth.'
        )
    if normalize_frame_id(info.header.frame_id) not in {'', frame_id}:
        raise _CannotRegisterError(
            f'the CameraInfo on {sensor.info_topic} is of frame {info.header.frame_id!r}. Remap '
            'depth/camera_info to the topic beside the depth.'
        )
    try:
        depth_camera = conversions.to_camera(info, rectified=sensor.rectified)
    except CalibrationError as error:
        raise _CannotRegisterError(f'its CameraInfo cannot be used: {error}') from error
    if depth_camera.size_hw != depth.size_hw:
        raise _CannotRegisterError(
            f'its CameraInfo is for size {depth_camera.size_hw}, the depth has {depth.size_hw} '
            '(rows, columns). Remap depth/camera_info to the topic beside the depth.'
        )
    try:
        pose = lookup(normalize_frame_id(image.frame_id), frame_id, image.stamp_ns)
    except TransformError as error:
        raise _CannotRegisterError(str(error)) from error
    return register_depth(depth, depth_camera, camera, pose)
