"""Images of a video stream in a recording: Foxglove's CompressedVideo, as protobuf or ROS message.

Each message holds one picture of a stream without pictures that depend on later ones
(https://docs.foxglove.dev/docs/sdk/schemas/compressed-video), so that each gives one image; those
before the first key frame give none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import cast, TYPE_CHECKING

import numpy as np
from rosbags.typesys import get_types_from_msg, get_typestore, Stores
from rosbags.typesys.store import Typestore

from robot_perception.core import NANOSECONDS_PER_SECOND, requires, SourceError, UInt8Array
from robot_perception.sources.foxglove import Fields
from robot_perception.sources.messages import color_image
from robot_perception.sources.sample import Role
from robot_perception.sources.storage import BagMessage
from robot_perception.sources.typestore import decode

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext

_CODECS = {'h264': 'h264', 'h265': 'hevc', 'vp9': 'vp9', 'av1': 'av1'}
# As input.max_pixels has it by default.
_MAX_PIXELS = 2**25
_ROS_TYPE = 'foxglove_msgs/msg/CompressedVideo'


@dataclass(frozen=True, slots=True)
class _Packet:
    stamp_ns: int
    frame_id: str
    data: bytes
    format: str


@lru_cache(maxsize=1)
def _ros_types() -> Typestore:
    types = get_typestore(Stores.ROS2_KILTED)
    text = 'builtin_interfaces/Time timestamp\nstring frame_id\nuint8[] data\nstring format\n'
    types.register(get_types_from_msg(text, _ROS_TYPE))
    return types


def _of_ros(data: bytes) -> _Packet:
    try:
        message = decode(_ros_types(), data, _ROS_TYPE)
    except SourceError as error:
        raise ValueError(str(error)) from error
    stamp_ns = message.timestamp.sec * NANOSECONDS_PER_SECOND + message.timestamp.nanosec
    return _Packet(stamp_ns, message.frame_id, message.data.tobytes(), message.format)


def _of_protobuf(data: bytes) -> _Packet:
    fields = Fields(data)
    return _Packet(fields.stamp_ns(), fields.text(2), fields.content(3), fields.text(4))


_READERS: Mapping[str, Callable[[bytes], _Packet]] = {
    _ROS_TYPE: _of_ros,
    'foxglove.CompressedVideo (protobuf)': _of_protobuf,
}


def is_video(type_name: str) -> bool:
    """Return whether messages of a type are pictures of a video stream."""
    return type_name in _READERS


class VideoDecoder:
    """Decodes the messages of one or several topics, which must come in order.

    Attributes:
        skipped: topic -> messages before its first key frame, which give no image.
    """

    def __init__(self) -> None:
        """Start before the first message of each topic."""
        self.skipped: Counter[str] = Counter()
        self._codecs: dict[str, VideoCodecContext] = {}
        self._begun: set[str] = set()

    def ros_message(self, message: BagMessage) -> BagMessage | None:
        """Return the image of a video message as sensor_msgs/Image; others as they are.

        Returns:
            None before the first key frame.

        Raises:
            ValueError: it holds no picture that can be decoded.
            MissingLibraryError: PyAV is not installed.
        """
        if not is_video(message.type_name):
            return message
        packet = _READERS[message.type_name](message.data)
        bgr = self._decoded(message.topic, packet)
        if bgr is None:
            self.skipped[message.topic] += 1
            return None
        image = color_image(bgr, packet.stamp_ns, packet.frame_id)
        return message._replace(type_name=Role.IMAGE.type_name, data=image)

    def _decoded(self, topic: str, packet: _Packet) -> UInt8Array | None:
        with requires('av'):
            import av  # noqa: PLC0415 - optional

        if topic not in self._codecs:
            self._codecs[topic] = _codec(packet.format)
        try:
            frames = self._codecs[topic].decode(av.Packet(packet.data))
        except av.FFmpegError as error:
            if topic not in self._begun:
                return None
            raise ValueError(f'a picture of a video that cannot be decoded ({error})') from error
        if not frames:
            if topic not in self._begun:
                return None
            raise ValueError('a picture of a video that depends on later ones')
        self._begun.add(topic)
        return np.ascontiguousarray(frames[-1].to_ndarray(format='bgr24'))


def _codec(name: str) -> VideoCodecContext:
    import av  # noqa: PLC0415 - optional

    if name not in _CODECS:
        raise ValueError(f'video of format {name!r}, expected one of {", ".join(_CODECS)}')
    codec = cast('VideoCodecContext', av.CodecContext.create(_CODECS[name], 'r'))
    # One picture out for each that comes in.
    codec.thread_type = 'NONE'
    codec.flags |= av.codec.context.Flags.low_delay
    codec.options = {'max_pixels': str(_MAX_PIXELS)}
    return codec
