"""Read the sensor depth of an image, and register it to the image where frame or size differ."""

from __future__ import annotations

import numpy as np

from robot_perception import conversions
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
from robot_perception.pipeline import Rectification
from robot_perception.stream.status import InputStatus, Remedies, USABLE
from robot_perception.stream.synchronizer import FrameSet

_EMPTY = InputStatus.failed(
    'empty_depth',
    'no pixel of the sensor depth is known: all are NaN or 0, or outside 0.1 mm to 10 km. If this '
    'persists, check what is in front of the sensor, whether its emitter is on, and that it sends '
    'millimeters as 16UC1 or meters as 32FC1.',
)


def read_sensor_depth(
    frame_set: FrameSet,
    image: Image,
    camera: CameraModel | None,
    *,
    max_offset_s: float,
    max_pixels: int,
    remedies: Remedies,
) -> tuple[MetricDepth | None, InputStatus]:
    """Wait for the sensor depth of an image and read it.

    Depth that has the frame and the size of the image is assumed to be registered already. Any
    other depth is registered here, which needs both calibrations and, if the frames differ, TF.

    Args:
        frame_set: the image's depth, depth calibration and transforms.
        image: the image.
        camera: calibration of the image.
        max_offset_s: largest difference of stamps, for the message about missing depth.
        max_pixels: depth images with more pixels are rejected.
        remedies: advice on missing inputs.

    """
    message = frame_set.depth()
    if message is None:
        return None, InputStatus.failed(
            'no_depth',
            f'no sensor depth within {max_offset_s:g} s of the image. {remedies.depth}, or raise '
            'depth.max_offset_s or depth.max_wait_s.',
        )
    try:
        depth = conversions.to_depth(message, max_pixels=max_pixels)
    except ConversionError as error:
        return None, InputStatus.failed(
            error.reason, f'sensor depth rejected ({error.reason}): {error}'
        )
    depth_frame = normalize_frame_id(message.header.frame_id)
    if depth_frame == normalize_frame_id(image.frame_id) and depth.size_hw == image.size_hw:
        return depth, USABLE if _has_any(depth) else _EMPTY
    return _registered(depth, depth_frame, image, camera, frame_set=frame_set, remedies=remedies)


def _registered(
    depth: MetricDepth,
    depth_frame: str,
    image: Image,
    camera: CameraModel | None,
    *,
    frame_set: FrameSet,
    remedies: Remedies,
) -> tuple[MetricDepth | None, InputStatus]:
    image_frame = normalize_frame_id(image.frame_id)
    if image_frame == depth_frame:
        what = f'sensor depth has size {depth.size_hw}, the image {image.size_hw} (rows, columns)'
    else:
        what = f'sensor depth is in frame {depth_frame!r}, the image in {image_frame!r}'
    try:
        registered = _register(
            depth, depth_frame, image, camera, frame_set=frame_set, remedies=remedies
        )
    except CalibrationError as error:
        return None, InputStatus.failed(
            error.reason,
            f'{what}, and cannot be registered to it: {error} {remedies.registration}',
        )
    if not _has_any(depth):
        return registered, _EMPTY
    if not _has_any(registered):
        return None, InputStatus.failed(
            'outside_image',
            f'{what}; registered to it, all of it lies outside the image. Check the transform '
            f'between {depth_frame!r} and {image_frame!r}: z of an optical frame points forward. '
            f'{remedies.registration}',
        )
    return registered, USABLE


def _has_any(depth: MetricDepth) -> bool:
    return bool(np.isfinite(depth.meters).any())


def _register(
    depth: MetricDepth,
    depth_frame: str,
    image: Image,
    camera: CameraModel | None,
    *,
    frame_set: FrameSet,
    remedies: Remedies,
) -> MetricDepth:
    """Register depth to an image; raise CalibrationError if that is not possible."""
    if camera is None:
        raise CalibrationError('no_camera_info', 'the image has no calibration.')
    topics, info = frame_set.topics, frame_set.depth_camera_info()
    if info is None:
        raise CalibrationError(
            'no_depth_camera_info',
            f'no CameraInfo of the depth camera has been received on {topics.depth_camera_info}. '
            f'{remedies.depth_camera_info}',
        )
    if normalize_frame_id(info.header.frame_id) not in {'', depth_frame}:
        raise CalibrationError(
            'other_frame',
            f'the CameraInfo on {topics.depth_camera_info} has frame {info.header.frame_id!r}. '
            f'{remedies.depth_camera_info}',
        )
    try:
        depth_camera = conversions.to_camera(
            info, rectified=Rectification.AUTO.applies_to(topics.depth)
        )
    except CalibrationError as error:
        raise CalibrationError(error.reason, f'its CameraInfo cannot be used: {error}') from error
    if depth_camera.size_hw != depth.size_hw:
        raise CalibrationError(
            'wrong_size',
            f'its CameraInfo is for size {depth_camera.size_hw}, the depth has {depth.size_hw} '
            f'(rows, columns). {remedies.depth_camera_info}',
        )
    try:
        image_from_depth = frame_set.lookup_for_image(
            normalize_frame_id(image.frame_id), depth_frame, image.stamp_ns
        )
    except TransformError as error:
        raise CalibrationError(error.reason, str(error)) from error
    return register_depth(depth, depth_camera, camera, image_from_depth)
