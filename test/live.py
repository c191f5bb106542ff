"""Plays a recording to the real node at the pace at which it drops nothing."""

import threading

from graph import TIMEOUT_S, TYPES
from rclpy.parameter import Parameter
from rclpy.serialization import deserialize_message

from robot_perception import conversions
from robot_perception.nodes.messages import message_class
from robot_perception.nodes.replay_node import ReplayNode
from robot_perception.sources import Role

READERS = {
    Role.IMAGE: conversions.to_image,
    Role.COMPRESSED_IMAGE: conversions.compressed_to_image,
}


def message_of(sample):
    return deserialize_message(sample.cdr, message_class(sample.type_name))


class Pace:
    """Holds the replay after each message until the node has made what it can of it."""

    def __init__(self, graph):
        self.graph = graph
        self.samples = []
        self.images = 0
        self._tick = threading.Event()

    def __call__(self, sample):
        self.samples.append(sample)
        if sample.role is Role.CAMERA_INFO:
            stamp = message_of(sample).header.stamp
            self._wait(lambda: self._calibrated(stamp))
        elif sample.role is Role.DEPTH and self.graph.node._config.depth.source != 'model':
            stamp = message_of(sample).header.stamp
            stamp_ns = stamp.sec * 10**9 + stamp.nanosec
            self._wait(lambda: self.graph.node._depth_buffer._history.settled(stamp_ns))
        elif sample.role in READERS:
            self.images += 1
            self._wait(self._done)

    def _calibrated(self, stamp):
        info = self.graph.node._calibration._info
        return info is not None and info.header.stamp == stamp

    def _done(self):
        counts = self.graph.node.slot.counts()
        heard = all(len(self.graph.heard[topic]) >= self.images for topic in TYPES)
        return counts.received == self.images and counts.waiting == 0 and heard

    def _wait(self, done):
        for _ in range(int(TIMEOUT_S / 0.005)):
            if done():
                return
            self._tick.wait(0.005)


def play(graph, bag, **parameters):
    """Play a bag to the node and the ear; gives the samples that were published."""
    graph.start(features__publish_patches=True, **parameters)
    graph.listen(*TYPES)
    pace = Pace(graph)
    replay = ReplayNode(
        context=graph.context,
        parameter_overrides=[Parameter('source', value=str(bag))],
        on_sample=pace,
    )
    graph.nodes.append(replay)
    graph.executor.add_node(replay)
    heard = {'/image', '/image/compressed', '/camera_info'}
    if graph.node._config.depth.source != 'model':
        heard.add('/depth')
    for publisher in replay.publishers:
        if publisher.topic_name in heard:
            graph.connect(publisher)
    replay.start()
    graph.spin_until(replay.finished.done, 'end of the replay')
    assert replay.finished.result().error is None
    counts = graph.node.slot.counts()
    assert (counts.published, counts.dropped, counts.rejected) == (pace.images, {}, {})
    return pace.samples
