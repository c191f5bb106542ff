"""Writes RGB-D bags for tests and experiments.

As a program: ``python test/bags.py FOLDER BAG`` turns a folder of ``NAME.color.jpg`` and
``NAME.depth.png`` into a rosbag2.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from robot_perception.core import CameraModel
from robot_perception.sources.bag_writer import BagWriter, Compression, Storage
from robot_perception.sources.messages import (
    camera_info,
    color_image,
    depth_image,
    standard_types,
)

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED_IMAGE = 'sensor_msgs/msg/CompressedImage'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
TF = 'tf2_msgs/msg/TFMessage'

FRAME_ID = 'camera_color_optical_frame'
BEGIN_NS = 1_700_000_000_000_000_000
PERIOD_NS = 33_333_333
# A recorder writes each message a little after its stamp.
DELAYS_NS = {'camera_info': 4_000_000, 'depth': 5_000_000, 'image': 6_000_000}


@dataclass(frozen=True)
class RgbdFrame:
    """Color (H, W, 3) uint8 blue, green, red; depth (H, W) uint16 millimeters or None."""

    bgr: np.ndarray
    depth_mm: np.ndarray | None
    camera: CameraModel


class Written(NamedTuple):
    """One message of the bag."""

    topic: str
    type_name: str
    stamp_ns: int
    cdr: bytes


def generated_frames(count, size_hw=(24, 32), seed=0, *, depth=True):
    """Return images of noise, so that a changed byte is detected."""
    random = np.random.default_rng(seed)
    camera = CameraModel.nominal(size_hw, 60.0)
    return [
        RgbdFrame(
            random.integers(0, 256, (*size_hw, 3), np.uint8),
            random.integers(0, 8000, size_hw, np.uint16) if depth else None,
            camera,
        )
        for _ in range(count)
    ]


def folder_frames(folder, limit=None):
    """Read the frames of a real recording, with `camera-intrinsics.txt` as calibration."""
    matrix = np.loadtxt(folder / 'camera-intrinsics.txt')
    frames = []
    for path in sorted(folder.glob('*.color.jpg'))[:limit]:
        bgr = cv2.imread(str(path))
        depth = cv2.imread(str(path).replace('.color.jpg', '.depth.png'), cv2.IMREAD_UNCHANGED)
        camera = CameraModel(bgr.shape[:2], *matrix[[0, 1, 0, 1], [0, 1, 2, 2]].tolist())
        frames.append(RgbdFrame(bgr, depth, camera))
    return frames


def write_rgbd_bag(
    path: Path,
    frames: Sequence[RgbdFrame],
    *,
    storage: Storage = 'mcap',
    compressed: bool = False,
    zstd: Compression = 'none',
    namespace: str = '/camera/color',
) -> list[Written]:
    """Write color, calibration, registered depth and a static transform.

    Args:
        path: folder to create.
        frames: one for every 33 ms.
        storage: file format.
        compressed: whether color images are sensor_msgs/CompressedImage (jpeg).
        zstd: which part of the bag is compressed.
        namespace: of image_raw and camera_info.

    Returns:
        The messages written, in order of recording.
    """
    written = [Written('/tf_static', TF, BEGIN_NS, transform(BEGIN_NS))]
    for index, frame in enumerate(frames):
        written += _messages(frame, BEGIN_NS + index * PERIOD_NS, namespace, compressed=compressed)
    with BagWriter(path, storage=storage, compression=zstd) as bag:
        for message in written:
            bag.write(message.topic, message.type_name, message.cdr, message.stamp_ns)
    return written


def _messages(frame, stamp_ns, namespace, *, compressed):
    stamps = {name: stamp_ns + delay for name, delay in DELAYS_NS.items()}
    info = camera_info(frame.camera, stamp_ns, FRAME_ID)
    yield Written(f'{namespace}/camera_info', CAMERA_INFO, stamps['camera_info'], info)
    if frame.depth_mm is not None:
        depth = depth_image(frame.depth_mm, stamp_ns, FRAME_ID)
        yield Written('/camera/aligned_depth/image_raw', IMAGE, stamps['depth'], depth)
    topic = f'{namespace}/image_raw'
    if compressed:
        jpeg = compressed_image(frame.bgr, stamp_ns)
        yield Written(f'{topic}/compressed', COMPRESSED_IMAGE, stamps['image'], jpeg)
    else:
        yield Written(topic, IMAGE, stamps['image'], color_image(frame.bgr, stamp_ns, FRAME_ID))


def compressed_image(bgr, stamp_ns, image_format='rgb8; jpeg compressed bgr8'):
    types = standard_types()
    message = types.types[COMPRESSED_IMAGE](
        header=_header(types, stamp_ns, FRAME_ID),
        format=image_format,
        data=cv2.imencode('.jpg', bgr)[1].ravel(),
    )
    return bytes(types.serialize_cdr(message, COMPRESSED_IMAGE))


def transform(stamp_ns):
    types = standard_types()
    made = types.types
    placed = made['geometry_msgs/msg/TransformStamped'](
        header=_header(types, stamp_ns, 'base_link'),
        child_frame_id=FRAME_ID,
        transform=made['geometry_msgs/msg/Transform'](
            translation=made['geometry_msgs/msg/Vector3'](x=0.0, y=0.0, z=0.5),
            rotation=made['geometry_msgs/msg/Quaternion'](x=-0.5, y=0.5, z=-0.5, w=0.5),
        ),
    )
    return bytes(types.serialize_cdr(made[TF](transforms=[placed]), TF))


def _header(types, stamp_ns, frame_id):
    stamp = types.types['builtin_interfaces/msg/Time'](
        sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9
    )
    return types.types['std_msgs/msg/Header'](stamp=stamp, frame_id=frame_id)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('folder', type=Path)
    parser.add_argument('bag', type=Path)
    parser.add_argument('--storage', choices=('mcap', 'sqlite3'), default='mcap')
    parser.add_argument('--compressed', action='store_true', help='jpeg instead of raw images')
    parser.add_argument('--limit', type=int, help='number of frames')
    arguments = parser.parse_args()
    frames = folder_frames(arguments.folder, arguments.limit)
    written = write_rgbd_bag(
        arguments.bag, frames, storage=arguments.storage, compressed=arguments.compressed
    )
    print(f'{arguments.bag}: {len(written)} messages of {len(frames)} frames')


if __name__ == '__main__':
    main()
