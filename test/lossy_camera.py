"""A best-effort camera of its own process: publishes raw images too large for a small segment."""

import sys
import time

import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

SIZE_HW = (720, 1280)


def publish(domain_id, seconds):
    rclpy.init(args=[], domain_id=domain_id)
    node = rclpy.create_node('lossy_camera')
    publisher = node.create_publisher(
        Image, 'image', QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    )
    height, width = SIZE_HW
    message = Image(height=height, width=width, step=3 * width, encoding='rgb8')
    message.data = bytes(3 * height * width)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        message.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(message)
        time.sleep(0.05)


if __name__ == '__main__':
    publish(int(sys.argv[1]), float(sys.argv[2]))
