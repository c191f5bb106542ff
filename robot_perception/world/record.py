"""Recording of a sequence of the demo world as a rosbag2, with its ground truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import os
from pathlib import Path

import cv2
import numpy as np

from robot_perception import conversions
from robot_perception.conversions import Message, MessageFactory, ros, RosbagsFactory
from robot_perception.core import OutputError, replacing_folder, UInt16Array
from robot_perception.sources import BagWriter, message_store
from robot_perception.world.depth_sensor import sense_depth
from robot_perception.world.frame import WorldFrame
from robot_perception.world.render import sequence
from robot_perception.world.scene_spec import RandomStream
from robot_perception.world.vocabulary import WORLD_FRAME

IMAGE_TOPIC = '/camera/image_raw'
COMPRESSED_TOPIC = f'{IMAGE_TOPIC}/compressed'
DEPTH_TOPIC = '/camera/depth_registered/image_raw'

_JPEG_QUALITY = 92


@dataclass(frozen=True, slots=True)
class _RecordItem:
    """One frame to be written.

    Attributes:
        factory: builds messages.
        header: of all messages but the transform.
        frame: image and ground truth.
        depth_mm: (H, W) uint16, measured by the depth sensor.

    """

    factory: MessageFactory
    header: ros.Header
    frame: WorldFrame
    depth_mm: UInt16Array


def record(
    path: Path,
    seed: int,
    frames: int,
    size_hw: tuple[int, int],
    *,
    compressed: bool = False,
    on_frame: Callable[[], object] = lambda: None,
) -> None:
    """Write a rosbag2 of the sequence of a seed.

    The write is atomic: the folder appears when it is complete.

    Args:
        path: folder to create; its parent must exist.
        seed: an integer in [0, 2^63).
        frames: count, 30 a second.
        size_hw: rows and columns.
        compressed: write JPEG images instead of raw ones.
        on_frame: called after each frame.

    Raises:
        InputError: a seed, a count or a size out of range.
        OutputError: the folder exists or cannot be written.

    """
    _check_new(path)
    rendered = sequence(seed, frames, size_hw)
    types = message_store()
    factory = RosbagsFactory(types)
    topics = (_COMPRESSED if compressed else _RAW) + _TOPICS
    # Ground truth is mostly uniform: compression saves two thirds of the size.
    with (
        replacing_folder(path) as part,
        BagWriter(part, types=types, compression='storage', called=path) as bag,
    ):
        for index, frame in enumerate(rendered):
            rng = np.random.default_rng([seed, RandomStream.DEPTH, index])
            stamp_ns = frame.image.stamp_ns
            item = _RecordItem(
                factory,
                conversions.header_message(factory, stamp_ns, frame.image.frame_id),
                frame,
                sense_depth(frame.depth, frame.camera, rng),
            )
            for topic, type_name, build in topics:
                bag.write(topic, type_name, build(item), stamp_ns)
            on_frame()


def _check_new(path: Path) -> None:
    """Raise OutputError unless a folder can be made at ``path``."""
    if os.path.lexists(path):
        raise OutputError(
            'exists',
            f'{path}: expected a new name, got one that exists. '
            'Choose another, or remove what is there.',
        )
    if not path.parent.is_dir():
        raise OutputError(
            'missing_folder',
            f'{path}: expected its folder {path.parent} to exist, got none. Make it first.',
        )


def _transform(item: _RecordItem) -> Message:
    """Build the transform: pose of the optical frame (child) in the world (parent)."""
    factory, pose = item.factory, item.frame.world_from_camera
    x, y, z, w = pose.quaternion_xyzw
    header = conversions.header_message(factory, item.frame.image.stamp_ns, WORLD_FRAME)
    tx, ty, tz = pose.vector
    transform = factory(
        ros.Transform,
        translation=factory(ros.Vector3, x=tx, y=ty, z=tz),
        rotation=factory(ros.Quaternion, x=x, y=y, z=z, w=w),
    )
    stamped = factory(
        ros.TransformStamped,
        header=header,
        child_frame_id=item.frame.image.frame_id,
        transform=transform,
    )
    return factory(ros.TFMessage, transforms=[stamped])


def _camera_info(item: _RecordItem) -> Message:
    return conversions.camera_info_message(item.factory, item.header, item.frame.camera)


def _image(item: _RecordItem) -> Message:
    return conversions.image_message(item.factory, item.header, item.frame.image.rgb, 'rgb8')


def _jpeg(item: _RecordItem) -> Message:
    bgr = np.ascontiguousarray(item.frame.image.rgb[..., ::-1])
    _, data = cv2.imencode('.jpg', bgr, (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY))
    return item.factory(
        ros.CompressedImage,
        header=item.header,
        format='rgb8; jpeg compressed bgr8',
        data=item.factory.sequence(data.reshape(-1)),
    )


def _sensor_depth(item: _RecordItem) -> Message:
    return conversions.image_message(item.factory, item.header, item.depth_mm, '16UC1')


def _detections(item: _RecordItem) -> Message:
    return conversions.detections_2d_message(item.factory, item.header, item.frame.detections)


def _detections_3d(item: _RecordItem) -> Message:
    objects = item.frame.objects()
    return conversions.detections_3d_message(item.factory, item.header, objects)


def _instances(item: _RecordItem) -> Message:
    return conversions.image_message(item.factory, item.header, item.frame.instances, 'mono16')


def _true_depth(item: _RecordItem) -> Message:
    return conversions.depth_message(item.factory, item.header, item.frame.depth)


# Topic, type, message builder.
_Topics = tuple[tuple[str, str, Callable[[_RecordItem], Message]], ...]
_RAW: _Topics = ((IMAGE_TOPIC, 'sensor_msgs/msg/Image', _image),)
_COMPRESSED: _Topics = ((COMPRESSED_TOPIC, 'sensor_msgs/msg/CompressedImage', _jpeg),)
_TOPICS: _Topics = (
    ('/camera/camera_info', 'sensor_msgs/msg/CameraInfo', _camera_info),
    (DEPTH_TOPIC, 'sensor_msgs/msg/Image', _sensor_depth),
    ('/tf', 'tf2_msgs/msg/TFMessage', _transform),
    ('/truth/detections', 'vision_msgs/msg/Detection2DArray', _detections),
    ('/truth/detections_3d', 'vision_msgs/msg/Detection3DArray', _detections_3d),
    ('/truth/instances', 'sensor_msgs/msg/Image', _instances),
    ('/truth/depth', 'sensor_msgs/msg/Image', _true_depth),
)
