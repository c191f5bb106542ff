"""A small ROS graph for tests: the real node, a camera, and an ear on its topics."""

import time

import numpy as np
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from robot_perception import conversions
from robot_perception.core import CameraModel
from robot_perception.nodes.child import free_domain
from robot_perception.nodes.messages import message_class, RosMessages
from robot_perception.nodes.perception_node import PerceptionNode
from robot_perception.stream import OUTPUTS

FRAME_ID = 'camera_optical_frame'
SIZE_HW = (48, 64)
CAMERA = CameraModel.nominal(SIZE_HW, 60.0)
SECOND_NS = 1_000_000_000
TYPES = {output.topic: output.type_name for output in OUTPUTS}
TIMEOUT_S = 20.0
MAKE = RosMessages()
_DOMAIN = free_domain()

RELIABLE = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)
BEST_EFFORT = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)


def picture(seed=0, size_hw=SIZE_HW):
    return np.random.default_rng(seed).integers(0, 256, (*size_hw, 3), dtype=np.uint8)


def header(stamp_ns, frame_id=FRAME_ID):
    return conversions.header_message(MAKE, stamp_ns, frame_id)


def image_of(rgb, stamp_ns=SECOND_NS, frame_id=FRAME_ID):
    return conversions.image_message(MAKE, header(stamp_ns, frame_id), rgb, 'rgb8')


def info_of(camera=CAMERA, stamp_ns=SECOND_NS):
    return conversions.camera_info_message(MAKE, header(stamp_ns), camera)


class Graph:
    """Everything in one context and one executor, spun by the test itself."""

    def __init__(self):
        self.context = Context()
        rclpy.init(args=[], context=self.context, domain_id=_DOMAIN)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.camera = rclpy.create_node('camera', context=self.context)
        self.ear = rclpy.create_node('ear', context=self.context)
        self.nodes = [self.camera, self.ear]
        for node in self.nodes:
            self.executor.add_node(node)
        self.heard = {}
        self.node = None

    def start(self, preset='stub', **values):
        """Make the node; parameters by dotted name with __ for the dot."""
        named = {'preset': preset, **{key.replace('__', '.'): v for key, v in values.items()}}
        self.node = PerceptionNode(
            context=self.context,
            parameter_overrides=[Parameter(key, value=value) for key, value in named.items()],
        )
        self.nodes.append(self.node)
        self.executor.add_node(self.node)
        return self.node

    def listen(self, *topics, qos=RELIABLE):
        """Keep what is said on topics of the node, from now on."""
        for topic in topics:
            self.hear(f'/perception/{topic}', TYPES[topic], qos, name=topic)

    def hear(self, topic, type_name, qos=RELIABLE, name=None):
        kept = self.heard.setdefault(name or topic, [])
        self.ear.create_subscription(message_class(type_name), topic, kept.append, qos)

    def publisher(self, topic, type_name, qos=RELIABLE):
        return self.camera.create_publisher(message_class(type_name), topic, qos)

    def spin(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.02)

    def spin_until(self, done, what='something'):
        end = time.monotonic() + TIMEOUT_S
        while not done():
            assert time.monotonic() < end, f'{what} did not happen within {TIMEOUT_S} s'
            self.executor.spin_once(timeout_sec=0.02)

    def connect(self, publisher):
        """Wait until the node hears ``publisher`` and everything it says is heard."""
        count = sum(topic in TYPES for topic in self.heard)

        def ready():
            peers = self.node.get_publishers_info_by_topic(publisher.topic_name)
            ours = self.node.get_subscriptions_info_by_topic(publisher.topic_name)
            offered = [peer.qos_profile.reliability for peer in peers]
            asked = [one.qos_profile.reliability for one in ours if one.node_name == 'perception']
            return (
                publisher.get_subscription_count() == 1
                and offered == asked
                and len(self.node._outputs.wanted()) >= count
            )

        self.spin_until(ready, 'connection')

    def settle(self):
        """Wait until the node has no frame under way."""
        self.spin_until(lambda: self.node.slot.counts().waiting == 0, 'end of work')

    def statuses(self):
        """Wait for a new report of /diagnostics: name -> (level, message, values)."""
        reports = self.heard.setdefault('/diagnostics', [])
        if not any('/diagnostics' in str(one.topic_name) for one in self.ear.subscriptions):
            self.hear('/diagnostics', 'diagnostic_msgs/msg/DiagnosticArray')
        count = len(reports)
        self.spin_until(lambda: len(reports) > count, 'report')
        return {
            status.name.removeprefix('perception: '): (
                status.level,
                status.message,
                {item.key: item.value for item in status.values},
            )
            for status in reports[-1].status
        }

    def close(self):
        self.executor.shutdown()
        for node in reversed(self.nodes):
            node.destroy_node()
        rclpy.try_shutdown(context=self.context)
