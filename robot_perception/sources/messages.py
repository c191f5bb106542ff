"""Pictures and calibrations as serialized ROS messages, without ROS."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from rosbags.typesys import get_typestore, Stores
from rosbags.typesys.store import Typestore

from robot_perception.core import (
    AnyArray,
    CameraModel,
    checked,
    DistortionModel,
    NANOSECONDS_PER_SECOND,
    UInt8Array,
    UInt16Array,
)
from robot_perception.sources.sample import Role


@lru_cache(maxsize=1)
def standard_types() -> Typestore:
    """Messages of a ROS 2 distribution; sensor_msgs are the same from Humble to Kilted."""
    return get_typestore(Stores.ROS2_KILTED)


def color_image(bgr: UInt8Array, stamp_ns: int, frame_id: str) -> bytes:
    """Serialize a picture as sensor_msgs/Image, bgr8: (H, W, 3) uint8, blue, green, red."""
    checked('bgr', bgr, (None, None, 3), np.uint8, 'Pass a picture as OpenCV reads it.')
    return _image(bgr, 'bgr8', stamp_ns, frame_id)


def depth_image(millimeters: UInt16Array, stamp_ns: int, frame_id: str) -> bytes:
    """Serialize depth as sensor_msgs/Image, 16UC1: (H, W) uint16 millimeters, 0 = unknown."""
    checked('millimeters', millimeters, (None, None), np.uint16, 'Pass 16-bit depth.')
    return _image(millimeters.astype('<u2', copy=False), '16UC1', stamp_ns, frame_id)


def camera_info(camera: CameraModel, stamp_ns: int, frame_id: str) -> bytes:
    """Serialize a calibration as sensor_msgs/CameraInfo of an unrectified camera."""
    types = standard_types().types
    matrix = [camera.fx, 0.0, camera.cx, 0.0, camera.fy, camera.cy, 0.0, 0.0, 1.0]
    ideal = camera.distortion_model is DistortionModel.NONE
    height, width = camera.size_hw
    return serialized(
        Role.CAMERA_INFO.type_name,
        header=header_message(stamp_ns, frame_id),
        height=height,
        width=width,
        # ROS has no model "no distortion"; five zeros mean the same.
        distortion_model=(DistortionModel.PLUMB_BOB if ideal else camera.distortion_model).value,
        d=np.zeros(5) if ideal else np.array(camera.distortion, np.float64),
        k=np.array(matrix),
        r=np.eye(3).ravel(),
        p=np.insert(np.array(matrix), (3, 6, 9), 0.0),
        binning_x=0,
        binning_y=0,
        roi=types['sensor_msgs/msg/RegionOfInterest'](
            x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
        ),
    )


def serialized(type_name: str, **values: Any) -> bytes:  # noqa: ANN401 - fields of any type
    """Serialize a message of a standard type with these fields."""
    types = standard_types()
    return bytes(types.serialize_cdr(types.types[type_name](**values), type_name))


def header_message(stamp_ns: int, frame_id: str) -> Any:  # noqa: ANN401 - types made at run time
    """Return a std_msgs/Header."""
    types = standard_types().types
    seconds, nanoseconds = divmod(stamp_ns, NANOSECONDS_PER_SECOND)
    stamp = types['builtin_interfaces/msg/Time'](sec=seconds, nanosec=nanoseconds)
    return types['std_msgs/msg/Header'](stamp=stamp, frame_id=frame_id)


def _image(pixels: AnyArray, encoding: str, stamp_ns: int, frame_id: str) -> bytes:
    height, width = pixels.shape[:2]
    packed = np.ascontiguousarray(pixels)
    return serialized(
        Role.IMAGE.type_name,
        header=header_message(stamp_ns, frame_id),
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=0,
        step=packed.strides[0],
        data=packed.reshape(-1).view(np.uint8),
    )
