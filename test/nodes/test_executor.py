"""The executor of the node, given messages that Fast CDR cannot read."""

import pytest
import rclpy
from rclpy.context import Context
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image

from robot_perception.nodes.child import free_domain
from robot_perception.nodes.executor import QuietExecutor

pytestmark = pytest.mark.ros


def test_a_line_about_malformed_messages_is_printed_once(capfd):
    context = Context()
    rclpy.init(args=[], context=context, domain_id=free_domain())
    executor = QuietExecutor(context=context)
    node = rclpy.create_node('reader', context=context)
    executor.add_node(node)
    received = []
    node.create_subscription(Image, 'image', received.append, 100)
    publisher = node.create_publisher(Image, 'image', 100)
    whole = serialize_message(Image(height=2, width=2, step=2, data=bytes(4)))
    for _ in range(50):
        publisher.publish(whole[:-4])
    publisher.publish(whole)
    for _ in range(500):
        executor.spin_once(timeout_sec=0.02)
        if received:
            break
    lines = capfd.readouterr().err.splitlines()
    executor.shutdown()
    node.destroy_node()
    rclpy.try_shutdown(context=context)
    assert len(received) == 1
    assert lines.count('sequence size exceeds remaining buffer') == 1
