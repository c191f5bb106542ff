"""Synchronize recorded messages, in recorded time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from robot_perception.conversions import Message
from robot_perception.core import NANOSECONDS_PER_SECOND, SourceError
from robot_perception.pipeline import PerceptionConfig
from robot_perception.sources import decode, message_stamp_ns, Role, Sample, Typestore
from robot_perception.stream.depth_history import DepthRequest
from robot_perception.stream.message_time import MessageTime
from robot_perception.stream.synchronizer import (
    CameraTopics,
    DEPTHS,
    FrameSet,
    IMAGES,
    needed_roles,
    Synchronizer,
)


class _Waiting(NamedTuple):
    """An image that waits for its depth and transforms."""

    sample: Sample
    time: MessageTime
    camera_info: Message | None
    depth: DepthRequest


@dataclass(frozen=True, slots=True)
class RecordedFrame:
    """A recorded image, still serialized, and what belongs to it.

    Attributes:
        sample: the image and when it was recorded.
        time: when it was taken.
        camera_info: the newest CameraInfo recorded before it, None without one.
        depth: the depth nearest to it, None without one.
    """

    sample: Sample
    time: MessageTime
    camera_info: Message | None
    depth: Sample | None


class RecordedSynchronizer:
    """Synchronizes recorded messages as a node does that receives them; for one thread.

    An image waits for depth with an equal or later stamp, for at most ``depth.max_wait_s`` of
    recorded time. If the recording has moving transforms, the image always waits for
    ``frames.tf_wait_s``, so that the transforms around its stamp have arrived.
    """

    def __init__(
        self,
        roles: frozenset[Role],
        config: PerceptionConfig,
        topics: CameraTopics,
        types: Typestore,
    ) -> None:
        """Start a recording.

        Args:
            roles: roles of the recorded messages; those that the configuration does not need
                are ignored.
            config: offsets and waiting times.
            topics: names of the topics.
            types: decodes the messages.
        """
        self._roles = roles & needed_roles(config)
        self._config = config
        self._topics = topics
        self._types = types
        self._synchronizer = Synchronizer()
        self._max_wait_ns = round(config.depth.max_wait_s * NANOSECONDS_PER_SECOND)
        self._tf_wait_ns = -1
        if Role.TF in self._roles:
            self._tf_wait_ns = round(config.frames.tf_wait_s * NANOSECONDS_PER_SECOND)
        self._waiting: deque[_Waiting] = deque()

    def prime(self, sample: Sample) -> None:
        """Add a message that is valid for the whole recording, before all others.

        See `Source.lasting`.
        """
        if sample.role in self._roles:
            self._keep(sample)

    def add(self, sample: Sample) -> Iterator[RecordedFrame]:
        """Add a message, and yield in order the images that need not wait any longer.

        Messages must come in order of recording. Those that cannot be decoded are ignored.
        """
        if sample.role in IMAGES:
            self._waiting.append(self._request(sample))
        else:
            # Images that have timed out must not get the depth or transforms of this message.
            yield from self.advance(sample.stamp_ns)
            if sample.role in self._roles:
                self._keep(sample)
        yield from self.advance(sample.stamp_ns)

    def advance(self, recorded_ns: int) -> Iterator[RecordedFrame]:
        """Advance recorded time, and yield the images that need not wait any longer."""
        while self._waiting and self._is_settled(recorded_ns):
            yield self._next()

    def flush(self) -> Iterator[RecordedFrame]:
        """Yield all images that are still waiting, as at the end of the recording."""
        while self._waiting:
            yield self._next()

    def frame_set(self, frame: RecordedFrame) -> FrameSet:
        """Decode a frame that was just yielded; its depth is decoded when it is asked for.

        Raises:
            SourceError: the image cannot be decoded.
        """
        synchronizer = self._synchronizer
        return FrameSet(
            image=decode(self._types, frame.sample.cdr, frame.sample.type_name),
            time=frame.time,
            topics=self._topics,
            camera_info=frame.camera_info,
            depth=lambda: self._decoded(frame.depth),
            depth_camera_info=lambda: synchronizer.depth_camera_info,
            lookup=synchronizer.lookup,
        )

    def _request(self, sample: Sample) -> _Waiting:
        synchronizer = self._synchronizer
        # An image without a stamp is broken, which `frame_set` raises.
        time = synchronizer.image_time(message_stamp_ns(sample.cdr) or 0, sample.stamp_ns)
        depth = synchronizer.request_depth(time, self._config.depth)
        return _Waiting(sample, time, synchronizer.camera_info, depth)

    def _keep(self, sample: Sample) -> None:
        if sample.role in DEPTHS:
            stamp_ns = message_stamp_ns(sample.cdr)
            if stamp_ns is not None:
                self._synchronizer.add(sample.role, sample, stamp_ns, sample.stamp_ns)
            return
        message = self._decoded(sample)
        if message is not None:
            self._synchronizer.add(sample.role, message)

    def _decoded(self, sample: Sample | None) -> Message | None:
        if sample is None:
            return None
        try:
            return decode(self._types, sample.cdr, sample.type_name)
        except SourceError:
            return None

    def _is_settled(self, recorded_ns: int) -> bool:
        waiting = self._waiting[0]
        waited_ns = recorded_ns - waiting.sample.stamp_ns
        if waited_ns <= self._tf_wait_ns:
            return False
        if not self._roles & DEPTHS or waited_ns > self._max_wait_ns:
            return True
        return waiting.depth.is_settled

    def _next(self) -> RecordedFrame:
        sample, time, info, depth = self._waiting.popleft()
        return RecordedFrame(sample, time, info, depth.nearest(self._config.depth.max_offset_s))
