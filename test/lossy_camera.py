"""A best-effort camera of its own process: its messages are too large for a small segment."""

import sys
import time

from geometry_msgs.msg import TransformStamped
import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image
from tf2_msgs.msg import TFMessage

SIZE_HW = (720, 1280)
TRANSFORMS = 8000


def publish(domain_id, seconds, topic):
    """Publish images or transforms."""
    rclpy.init(args=[], domain_id=domain_id)
    node = rclpy.create_node('lossy_camera')
    publisher = node.create_publisher(
        TFMessage if topic == 'tf' else Image,
        topic,
        QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT),
    )
    end = time.monotonic() + seconds
    if topic == 'tf':
        transform = TransformStamped(child_frame_id='camera')
        transform.header.frame_id = 'base'
        # Made once: serializing takes longer than the time between two messages.
        message = serialize_message(TFMessage(transforms=[transform] * TRANSFORMS))
        while time.monotonic() < end:
            publisher.publish(message)
            time.sleep(0.05)
    height, width = SIZE_HW
    message = Image(height=height, width=width, step=3 * width, encoding='rgb8')
    message.data = bytes(3 * height * width)
    while time.monotonic() < end:
        message.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(message)
        time.sleep(0.05)


if __name__ == '__main__':
    publish(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3])
