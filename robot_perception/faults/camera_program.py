"""A camera driver in a process of its own, to be killed; prints the stamp of its first image."""

from __future__ import annotations

import argparse
from contextlib import suppress
import os
import sys
import time
from typing import Any

import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image

_SECOND_NS = 1_000_000_000


def main() -> int:
    """Publish until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--namespace', required=True)
    parser.add_argument('--width', type=int, default=64)
    parser.add_argument('--height', type=int, default=48)
    parser.add_argument('--rate-hz', type=float, default=20.0)
    parser.add_argument('--best-effort', action='store_true')
    parser.add_argument('--nice', type=int, default=0)
    arguments = parser.parse_args()
    os.nice(arguments.nice)
    rclpy.init(args=['--ros-args', '-r', f'__ns:={arguments.namespace}'])
    node = rclpy.create_node('camera')
    reliability = (
        ReliabilityPolicy.BEST_EFFORT if arguments.best_effort else ReliabilityPolicy.RELIABLE
    )
    qos = QoSProfile(depth=5, reliability=reliability)
    image_publisher = node.create_publisher(Image, 'image', qos)
    info_publisher = node.create_publisher(CameraInfo, 'camera_info', qos)
    image, info = _messages(arguments.width, arguments.height)
    count = 0
    begin_s = time.monotonic()
    while True:
        now_ns = time.time_ns()
        for message in (info, image):
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(now_ns, _SECOND_NS)
        image.data[count % len(image.data)] ^= 255
        # A driver goes on when the middleware cannot take an image.
        with suppress(RuntimeError):
            info_publisher.publish(info)
            image_publisher.publish(image)
        if not count:
            print(now_ns, flush=True)
        count += 1
        time.sleep(max(begin_s + count / arguments.rate_hz - time.monotonic(), 0.0))


def _messages(width: int, height: int) -> tuple[Any, Any]:
    image = Image(height=height, width=width, encoding='rgb8', step=3 * width)
    image.data = bytes(3 * width * height)
    info = CameraInfo(height=height, width=width, distortion_model='plumb_bob', d=[0.0] * 5)
    info.k = [float(width), 0.0, width / 2, 0.0, float(width), height / 2, 0.0, 0.0, 1.0]
    for message in (image, info):
        message.header.frame_id = 'camera_optical_frame'
    return image, info


if __name__ == '__main__':
    sys.exit(main())
