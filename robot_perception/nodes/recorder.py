"""Records every message of the perception node with its time of arrival."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
import time
from typing import Any

from rclpy.node import Node

from robot_perception.conversions import Message
from robot_perception.core import NANOSECONDS_PER_SECOND
from robot_perception.nodes import qos
from robot_perception.nodes.messages import available_outputs, message_class
from robot_perception.sources import Role
from robot_perception.stream import LABEL_INFO, LABEL_INFO_TYPE

IMAGE, SCENE = 'image', 'scene'
_IMAGE_TYPES = {
    'raw': (Role.IMAGE.type_name, 'image'),
    'compressed': (Role.COMPRESSED_IMAGE.type_name, 'image/compressed'),
}
# Recent frames whose messages are kept, and frames at all: a slow node is seconds behind.
_KEPT_FRAMES, _KEPT_IMAGES = 8, 32
# 1 GB of images with depth.
_MAX_SCENE_PIXELS = 150_000_000


@dataclass(slots=True)
class RecordedFrame:
    """The messages of one image time stamp.

    Attributes:
        messages: topic -> message; 'image' is the input itself.
        arrivals_s: topic -> monotonic time of arrival.
    """

    messages: dict[str, Message] = field(default_factory=dict)
    arrivals_s: dict[str, float] = field(default_factory=dict)

    @property
    def delay_s(self) -> float | None:
        """Seconds from receiving the image to receiving the last output; None without either."""
        outputs = [when for topic, when in self.arrivals_s.items() if topic != IMAGE]
        if IMAGE not in self.arrivals_s or not outputs:
            return None
        return max(outputs) - self.arrivals_s[IMAGE]


class Recorder(Node):
    """Counts messages, measures the delay of every frame, and keeps the last complete frame.

    Attributes:
        counts: messages by topic.
        recent: the last frames by time stamp in nanoseconds; older ones are dropped.
        complete: the newest frame with an image and the largest number of outputs so far.
        scenes: image and scene of frames that have both, by time stamp in nanoseconds: all, or of
            a long recording every second, fourth ... frame.
        counters: the latest frame counters of the node, from /diagnostics.
        ready: whether the node under observation is active.
        last_arrival_s: monotonic time of the last message.
    """

    def __init__(
        self,
        target: str = 'perception',
        transport: str = 'raw',
        max_scenes: int = 0,
        **kwargs: Any,  # noqa: ANN401 - those of rclpy's Node
    ) -> None:
        """Subscribe to the topics of the node ``target``.

        Args:
            target: name of the node under observation.
            transport: raw or compressed, the type of the images.
            max_scenes: maximum number of frames in `scenes`, above 1 GB fewer; a 640x480 frame
                takes 2 MB.
            kwargs: passed to rclpy's Node.
        """
        super().__init__('perception_recorder', **kwargs)
        self.counts: Counter[str] = Counter()
        self.recent: dict[int, RecordedFrame] = {}
        self.complete: RecordedFrame | None = None
        self.scenes: dict[int, RecordedFrame] = {}
        self.counters: Mapping[str, str] = {}
        self.ready = False
        self.last_arrival_s = time.monotonic()
        self._max_scenes = max_scenes
        # Of complete frames; those that the step divides are kept.
        self._complete_count, self._step = 0, 1
        self._delays_s: dict[int, float] = {}
        type_name, topic = _IMAGE_TYPES[transport]
        self._subscribe(type_name, topic, IMAGE)
        for output in available_outputs():
            self._subscribe(output.type_name, f'{target}/{output.topic}', output.topic)
        self.create_subscription(
            message_class(LABEL_INFO_TYPE),
            f'{target}/{LABEL_INFO}',
            self._on_label_info,
            qos.latched(),
        )
        self.create_subscription(
            message_class('diagnostic_msgs/msg/DiagnosticArray'),
            '/diagnostics',
            self._on_diagnostics,
            qos.output(),
        )

    @property
    def delays_s(self) -> tuple[float, ...]:
        """Seconds from image to last output of every frame with outputs."""
        return tuple(self._delays_s.values())

    def _subscribe(self, type_name: str, topic: str, name: str) -> None:
        self.create_subscription(
            message_class(type_name),
            topic,
            lambda message: self._on_message(name, message),
            qos.output(),
        )

    def _on_message(self, name: str, message: Message) -> None:
        now = self.last_arrival_s = time.monotonic()
        self.counts[name] += 1
        stamp = _stamp(message)
        if stamp is None:
            return
        stamp_ns = stamp.sec * NANOSECONDS_PER_SECOND + stamp.nanosec
        frame = self.recent.setdefault(stamp_ns, RecordedFrame())
        frame.messages[name] = message
        frame.arrivals_s[name] = now
        delay = frame.delay_s
        if delay is not None:
            self._delays_s[stamp_ns] = delay
            if self.complete is None or len(frame.messages) >= len(self.complete.messages):
                self.complete = frame
        if name in (IMAGE, SCENE):
            self._keep_scene(stamp_ns, frame.messages)
        self._drop_oldest()

    def _drop_oldest(self) -> None:
        """Limit the recent frames; those without outputs, which take less memory, stay longer."""
        with_outputs = [
            stamp for stamp, frame in self.recent.items() if frame.messages.keys() - {IMAGE}
        ]
        for stamp_ns in {*with_outputs[:-_KEPT_FRAMES], *[*self.recent][:-_KEPT_IMAGES]}:
            del self.recent[stamp_ns]

    def _keep_scene(self, stamp_ns: int, messages: Mapping[str, Message]) -> None:
        """Keep image and scene, which suffice to rebuild the rest; clouds would fill memory."""
        if (
            not self._max_scenes
            or stamp_ns in self.scenes
            or not {IMAGE, SCENE} <= messages.keys()
        ):
            return
        if self._complete_count % self._step == 0:
            self.scenes[stamp_ns] = RecordedFrame(
                {name: messages[name] for name in (IMAGE, SCENE)}
            )
        self._complete_count += 1
        scene = messages[SCENE]
        limit = _MAX_SCENE_PIXELS // max(scene.height * scene.width, 1)
        if len(self.scenes) > max(1, min(self._max_scenes, limit)):
            self._step *= 2
            self.scenes = dict(list(self.scenes.items())[::2])

    def _on_label_info(self, _: Message) -> None:
        self.ready = True

    def _on_diagnostics(self, message: Message) -> None:
        for status in message.status:
            if status.name.endswith(': frames'):
                self.counters = {item.key: item.value for item in status.values}


def _stamp(message: Message) -> Message | None:
    """Return the stamp of a message, in lists that of the first member, or None."""
    if hasattr(message, 'header'):
        return message.header.stamp
    if hasattr(message, 'markers'):
        return message.markers[0].header.stamp if message.markers else None
    return message.points[0].timestamp if message.points else None
