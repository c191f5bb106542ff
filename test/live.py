"""Plays a recording to the real node, slowly enough that it drops no frame."""

from graph import TYPES, wait_until
from rclpy.parameter import Parameter
from rclpy.serialization import deserialize_message

from robot_perception import conversions
from robot_perception.nodes.messages import message_class
from robot_perception.nodes.replay_node import ReplayNode
from robot_perception.pipeline import DepthConfig
from robot_perception.sources import Role
from robot_perception.stream import MessageTime

READERS = {
    Role.IMAGE: conversions.to_image,
    Role.COMPRESSED_IMAGE: conversions.compressed_to_image,
}


def decode_sample(sample):
    return deserialize_message(sample.cdr, message_class(sample.type_name))


def uses_sensor_depth(node):
    return node.get_parameter('depth.source').value != 'model'


def has_depth(node, stamp_ns):
    """Return whether the node has received depth of a stamp, or later."""
    time = MessageTime(stamp_ns, stamp_ns, stamp_ns)
    return node.cameras[0].synchronizer.request_depth(time, DepthConfig()).is_settled


class Pace:
    """Pauses the replay after each message until the node has processed it."""

    def __init__(self, graph):
        self.graph = graph
        self.samples = []
        self.images = 0

    def __call__(self, sample):
        self.samples.append(sample)
        if sample.role is Role.CAMERA_INFO:
            stamp = decode_sample(sample).header.stamp
            wait_until(lambda: self._calibrated(stamp))
        elif sample.role is Role.DEPTH and uses_sensor_depth(self.graph.node):
            stamp = decode_sample(sample).header.stamp
            stamp_ns = stamp.sec * 10**9 + stamp.nanosec
            wait_until(lambda: has_depth(self.graph.node, stamp_ns))
        elif sample.role in READERS:
            self.images += 1
            wait_until(self._done)

    def _calibrated(self, stamp):
        info = self.graph.node.cameras[0].synchronizer.camera_info
        return info is not None and info.header.stamp == stamp

    def _done(self):
        counts = self.graph.counts()
        is_complete = all(len(self.graph.received[topic]) >= self.images for topic in TYPES)
        return counts.received == self.images and counts.waiting == 0 and is_complete


def play(graph, bag, **parameters):
    """Start the node, play a bag to it, and return the samples that were published."""
    graph.start(features__publish_patches=True, **parameters)
    graph.subscribe_outputs(*TYPES)
    pace = Pace(graph)
    replay = ReplayNode(
        context=graph.context,
        parameter_overrides=[Parameter('source', value=str(bag))],
        on_sample=pace,
    )
    graph.nodes.append(replay)
    graph.executor.add_node(replay)
    topics = {'/image', '/image/compressed', '/camera_info'}
    if uses_sensor_depth(graph.node):
        topics.add('/depth')
    for publisher in replay.publishers:
        if publisher.topic_name in topics:
            graph.connect(publisher)
    replay.start()
    graph.spin_until(replay.finished.done, 'end of the replay')
    assert replay.finished.result().error is None
    counts = graph.counts()
    assert (counts.published, counts.dropped, counts.rejected) == (pace.images, {}, {})
    return pace.samples
