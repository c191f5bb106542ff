"""ROS graph for tests: the real node, a camera that publishes, and a node that subscribes."""

import threading
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
from robot_perception.nodes.messages import available_outputs, message_class, RosMessages
from robot_perception.nodes.node import PerceptionNode
from robot_perception.pipeline import PerceptionConfig
from robot_perception.stream import published_outputs

FRAME_ID = 'camera_optical_frame'
SIZE_HW = (48, 64)
CAMERA = CameraModel.nominal(SIZE_HW, 60.0)
SECOND_NS = 1_000_000_000
# What a node publishes by default.
TYPES = {
    output.topic: output.type_name
    for output in published_outputs(available_outputs(), PerceptionConfig.from_preset('stub'))
}
TIMEOUT_S = 20.0
FACTORY = RosMessages()
_DOMAIN = free_domain()

RELIABLE = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)
BEST_EFFORT = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)


def random_rgb(seed=0, size_hw=SIZE_HW):
    return np.random.default_rng(seed).integers(0, 256, (*size_hw, 3), dtype=np.uint8)


def header(stamp_ns, frame_id=FRAME_ID):
    return conversions.header_message(FACTORY, stamp_ns, frame_id)


def to_image_message(rgb, stamp_ns=SECOND_NS, frame_id=FRAME_ID):
    return conversions.image_message(FACTORY, header(stamp_ns, frame_id), rgb, 'rgb8')


def to_camera_info(camera=CAMERA, stamp_ns=SECOND_NS):
    return conversions.camera_info_message(FACTORY, header(stamp_ns), camera)


def wait_until(done):
    """Wait until ``done()`` is true, on a thread that the executor does not need."""
    never = threading.Event()
    for _ in range(int(TIMEOUT_S / 0.005)):
        if done():
            return
        never.wait(0.005)


class Graph:
    """Nodes in one context and one executor, spun by the test itself.

    Attributes:
        received: messages by output or topic, in order of arrival.
    """

    def __init__(self, domain_id=_DOMAIN):
        self.context = Context()
        rclpy.init(args=[], context=self.context, domain_id=domain_id)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.camera = rclpy.create_node('camera', context=self.context)
        self.subscriber = rclpy.create_node('subscriber', context=self.context)
        self.nodes = [self.camera, self.subscriber]
        for node in self.nodes:
            self.executor.add_node(node)
        self.received = {}
        self.node = None

    def start(self, preset='stub', **values):
        """Create the node; parameters by name, with __ for each dot."""
        named = {'preset': preset, **{key.replace('__', '.'): v for key, v in values.items()}}
        self.node = PerceptionNode(
            context=self.context,
            parameter_overrides=[Parameter(key, value=value) for key, value in named.items()],
        )
        self.nodes.append(self.node)
        self.executor.add_node(self.node)
        return self.node

    def subscribe_outputs(self, *topics, qos=RELIABLE):
        """Subscribe to outputs of the node and keep their messages in `received`."""
        for topic in topics:
            self.subscribe(f'/perception/{topic}', TYPES[topic], qos, name=topic)

    def subscribe(self, topic, type_name, qos=RELIABLE, name=None):
        """Subscribe to a topic and keep its messages in `received`, under ``name`` if given."""
        kept = self.received.setdefault(name or topic, [])
        self.subscriber.create_subscription(message_class(type_name), topic, kept.append, qos)

    def publisher(self, topic, type_name, qos=RELIABLE):
        return self.camera.create_publisher(message_class(type_name), topic, qos)

    def spin(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.02)

    def spin_until(self, done, what='something', seconds=TIMEOUT_S):
        end = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < end, f'{what} did not happen within {seconds} s'
            self.executor.spin_once(timeout_sec=0.02)

    def connect(self, publisher):
        """Wait until the node receives from ``publisher``, and we receive its outputs."""
        outputs = {f'/perception/{topic}' for topic in self.received if topic in TYPES}

        def ready():
            peers = self.node.get_publishers_info_by_topic(publisher.topic_name)
            ours = self.node.get_subscriptions_info_by_topic(publisher.topic_name)
            offered = [peer.qos_profile.reliability for peer in peers]
            connected = {
                one.topic_name for one in self.node.publishers if one.get_subscription_count()
            }
            asked = [one.qos_profile.reliability for one in ours if one.node_name == 'perception']
            return (
                publisher.get_subscription_count() == 1
                and offered == asked
                and outputs <= connected
            )

        self.spin_until(ready, 'connection')

    def wait_for_camera_info(self):
        """Wait until the node has received a CameraInfo."""
        (camera,) = self.node.cameras
        self.spin_until(lambda: camera.synchronizer.camera_info is not None, 'CameraInfo')

    def counts(self, camera=0):
        """Return what became of the frames of a camera of the node."""
        return self.node.cameras[camera].slot.counts()

    def settle(self):
        """Wait until the node has processed all frames."""
        self.spin_until(lambda: self.counts().waiting == 0, 'end of processing')

    def statuses(self):
        """Wait for a new report of /diagnostics: name -> (level, message, values)."""
        reports = self.received.setdefault('/diagnostics', [])
        if not any('/diagnostics' in str(one.topic_name) for one in self.subscriber.subscriptions):
            self.subscribe('/diagnostics', 'diagnostic_msgs/msg/DiagnosticArray')
        count = len(reports)
        self.spin_until(lambda: len(reports) > count, 'report')
        return {
            status.name.removeprefix('/perception: '): (
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
