"""Recording of a sequence of the demo world as a rosbag2, with its ground truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from robot_perception import conversions
from robot_perception.conversions import Message, MessageFactory, ros, RosbagsFactory
from robot_perception.core import OutputError, replacing_folder, UInt16Array
from robot_perception.sources import BagWriter, check_new_bag, message_store, Role
from robot_perception.world.depth_sensor import depth_sensor_rng, sense_depth
from robot_perception.world.frame import WorldFrame
from robot_perception.world.mark import write_mark
from robot_perception.world.render import sequence
from robot_perception.world.vocabulary import WORLD_FRAME

IMAGE_TOPIC = '/camera/image_raw'
COMPRESSED_TOPIC = f'{IMAGE_TOPIC}/compressed'
DEPTH_TOPIC = '/camera/depth_registered/image_raw'


def record(
    path: Path,
    seed: int,
    frames: int,
    size_hw: tuple[int, int],
    *,
    compressed: bool = False,
    force: bool = False,
    on_frame: Callable[[WorldFrame], object] = lambda _: None,
) -> None:
    """Write a rosbag2 of the sequence of a seed.

    The write is atomic: the folder appears when it is complete.

    Args:
        path: folder to make; its parent must exist.
        seed: an integer in [0, 2^63).
        frames: count, 30 a second.
        size_hw: rows and columns.
        compressed: write JPEG images instead of raw ones.
        force: replace a bag that is there.
        on_frame: called with each frame, after it was written.

    Raises:
        InputError: a seed, a count or a size out of range.
        OutputError: the folder exists or cannot be written.
    """
    check_new_bag(path, force=force)
    if not path.parent.is_dir():
        raise OutputError(
            'missing_folder',
            f'{path}: expected a name in an existing folder, got none. Make {path.parent} first.',
        )
    rendered = sequence(seed, frames, size_hw)
    types = message_store()
    factory = RosbagsFactory(types)
    # Ground truth is mostly uniform: compression saves two thirds of the size.
    with (
        replacing_folder(path) as part,
        BagWriter(part, types=types, compression='storage', called=path) as bag,
    ):
        for index, frame in enumerate(rendered):
            rng = depth_sensor_rng(seed, index)
            depth_mm = sense_depth(frame.depth, frame.camera, rng)
            if index == 0:
                write_mark(bag, types, seed, frame.image.stamp_ns)
            for message in _messages(factory, frame, depth_mm, compressed=compressed):
                bag.write(*message, frame.image.stamp_ns)
            on_frame(frame)


def _messages(
    factory: MessageFactory, frame: WorldFrame, depth_mm: UInt16Array, *, compressed: bool
) -> Iterator[tuple[str, str, Message]]:
    """Yield topic, type and message of all that is recorded of one frame.

    ``depth_mm`` is what the depth sensor measured, (H, W) uint16.
    """
    header = conversions.header_message(factory, frame.image.stamp_ns, frame.image.frame_id)
    raw_image = partial(conversions.image_message, factory, header)
    image_type = Role.IMAGE.type_name
    if compressed:
        jpeg = conversions.jpeg_message(factory, header, frame.image.rgb)
        yield COMPRESSED_TOPIC, Role.COMPRESSED_IMAGE.type_name, jpeg
    else:
        yield IMAGE_TOPIC, image_type, raw_image(frame.image.rgb, 'rgb8')
    camera_info = conversions.camera_info_message(factory, header, frame.camera)
    yield '/camera/camera_info', Role.CAMERA_INFO.type_name, camera_info
    yield DEPTH_TOPIC, image_type, raw_image(depth_mm, '16UC1')
    yield '/tf', Role.TF.type_name, _transform(factory, frame)
    boxes = conversions.detections_2d_message(factory, header, frame.detections)
    yield '/truth/detections', 'vision_msgs/msg/Detection2DArray', boxes
    boxes_3d = conversions.detections_3d_message(factory, header, frame.objects())
    yield '/truth/detections_3d', 'vision_msgs/msg/Detection3DArray', boxes_3d
    yield '/truth/instances', image_type, raw_image(frame.instances, 'mono16')
    yield '/truth/depth', image_type, conversions.depth_message(factory, header, frame.depth)


def _transform(factory: MessageFactory, frame: WorldFrame) -> Message:
    """Build the transform: pose of the optical frame (child) in the world (parent)."""
    x, y, z, w = frame.world_from_camera.quaternion_xyzw
    tx, ty, tz = frame.world_from_camera.vector
    transform = factory(
        ros.Transform,
        translation=factory(ros.Vector3, x=tx, y=ty, z=tz),
        rotation=factory(ros.Quaternion, x=x, y=y, z=z, w=w),
    )
    stamped = factory(
        ros.TransformStamped,
        header=conversions.header_message(factory, frame.image.stamp_ns, WORLD_FRAME),
        child_frame_id=frame.image.frame_id,
        transform=transform,
    )
    return factory(ros.TFMessage, transforms=[stamped])
