"""Synchronization of the messages of one camera by their stamps."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
import threading
import time

from robot_perception.conversions import Message, to_transforms
from robot_perception.core import (
    NANOSECONDS_PER_SECOND,
    Pose,
    SourceError,
    TransformBuffer,
    TransformError,
)
from robot_perception.pipeline import PerceptionConfig
from robot_perception.sources import decode, message_stamp_ns, Role, Sample, Typestore
from robot_perception.stream.depth_history import DepthHistory
from robot_perception.stream.target_frame import TransformLookup

IMAGES = frozenset({Role.IMAGE, Role.COMPRESSED_IMAGE})


@dataclass(frozen=True, slots=True)
class CameraTopics:
    """Full names of the topics of a camera; names decide whether images are rectified."""

    image: str = 'image'
    depth: str = 'depth'
    depth_camera_info: str = 'depth/camera_info'

    @classmethod
    def from_roles(cls, names: Mapping[Role, str]) -> CameraTopics:
        """Return the topics of a recording from the name of each role."""
        default = cls()
        image = names.get(Role.IMAGE) or names.get(Role.COMPRESSED_IMAGE)
        return cls(
            image or default.image,
            names.get(Role.DEPTH, default.depth),
            names.get(Role.DEPTH_CAMERA_INFO, default.depth_camera_info),
        )


@dataclass(frozen=True, slots=True)
class FrameSet:
    """One image and everything that belongs to it.

    Attributes:
        image: sensor_msgs/msg/Image or CompressedImage.
        topics: names of the topics.
        camera_info: the newest CameraInfo of the camera, None without one.
        depth: returns the depth message that belongs to the image, None without one; may wait.
        depth_camera_info: returns the newest CameraInfo of the depth camera, None without one.
        lookup: looks up transforms; may wait.

    """

    image: Message
    topics: CameraTopics
    camera_info: Message | None
    depth: Callable[[], Message | None]
    depth_camera_info: Callable[[], Message | None]
    lookup: TransformLookup


def needed_roles(config: PerceptionConfig) -> frozenset[Role]:
    """Return the roles of the messages that a configuration makes use of."""
    roles = IMAGES | {Role.CAMERA_INFO}
    if config.depth.source.uses_sensor:
        # The pose of a depth camera beside a color camera is published on /tf_static.
        roles |= {Role.DEPTH, Role.DEPTH_CAMERA_INFO, Role.TF_STATIC}
    if config.frames.needs_tf:
        roles |= {Role.TF, Role.TF_STATIC}
    return roles


class Synchronizer:
    """Keeps the messages of a camera and finds those that belong to an image; thread-safe.

    Subscriptions, bags and any `Source` feed it with `add`. `frame_set` returns promises that wait
    on the clock of this machine, which is right for a running camera; `RecordedSynchronizer` waits
    in recorded time instead.
    """

    def __init__(self) -> None:
        """Start without messages."""
        self._changed = threading.Condition()
        self._camera_info: Message | None = None
        self._depth_camera_info: Message | None = None
        self._depths = DepthHistory()
        self._transforms = TransformBuffer()
        self._transform_fault = ''
        self._closed = False

    def add(self, role: Role, message: Message, stamp_ns: int = 0) -> None:
        """Keep a message that is not an image.

        Args:
            role: what the message is for.
            message: a ROS message; a depth message may be any object.
            stamp_ns: stamp of a depth message; a stamp that jumps back drops all earlier ones.

        """
        with self._changed:
            if role is Role.CAMERA_INFO:
                self._camera_info = message
            elif role is Role.DEPTH_CAMERA_INFO:
                self._depth_camera_info = message
            elif role is Role.DEPTH:
                self._depths.put(stamp_ns, message)
            else:
                transforms, faults = to_transforms(message)
                for transform in transforms:
                    self._transforms.insert(transform, static=role is Role.TF_STATIC)
                self._transform_fault = next(iter(faults), self._transform_fault)
            self._changed.notify_all()

    def frame_set(
        self, image: Message, stamp_ns: int, config: PerceptionConfig, topics: CameraTopics
    ) -> FrameSet:
        """Return an image with promises of what belongs to it; waiting times begin now."""
        now_s = time.monotonic()
        depth, frames = config.depth, config.frames
        return FrameSet(
            image=image,
            topics=topics,
            camera_info=self.camera_info,
            depth=partial(
                self._wait_for_depth, stamp_ns, depth.max_offset_s, now_s + depth.max_wait_s
            ),
            depth_camera_info=lambda: self.depth_camera_info,
            lookup=partial(self._wait_for_transform, now_s + frames.tf_wait_s),
        )

    @property
    def camera_info(self) -> Message | None:
        """The newest CameraInfo of the camera."""
        with self._changed:
            return self._camera_info

    @property
    def depth_camera_info(self) -> Message | None:
        """The newest CameraInfo of the depth camera."""
        with self._changed:
            return self._depth_camera_info

    def is_settled(self, stamp_ns: int) -> bool:
        """Return whether no later depth message can be nearer to ``stamp_ns``."""
        with self._changed:
            return self._depths.is_settled(stamp_ns)

    def nearest_depth(self, stamp_ns: int, max_offset_s: float) -> Message | None:
        """Return the depth message nearest to a stamp, None without one in ``max_offset_s``."""
        with self._changed:
            return self._depths.nearest(stamp_ns, max_offset_s)

    def lookup(self, target: str, source: str, stamp_ns: int | None) -> Pose:
        """Look up a transform without waiting; see `TransformBuffer.lookup`."""
        with self._changed:
            return self._transforms.lookup(target, source, stamp_ns)

    def take_transform_fault(self) -> str:
        """Return what was wrong with a transform since the last call, empty for nothing."""
        with self._changed:
            fault, self._transform_fault = self._transform_fault, ''
            return fault

    def reset(self) -> None:
        """Drop depth and moving transforms, as after a jump of time."""
        self.clear_depth()
        self.clear_transforms()

    def clear_depth(self) -> None:
        """Drop all depth messages."""
        with self._changed:
            self._depths.clear()

    def clear_transforms(self) -> None:
        """Drop moving transforms; static ones are published only once."""
        with self._changed:
            self._transforms.clear()

    def open(self) -> None:
        """Let promises wait again after `close`."""
        with self._changed:
            self._closed = False

    def close(self) -> None:
        """End every wait; promises then return what is there."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _wait_for_depth(
        self, stamp_ns: int, max_offset_s: float, deadline_s: float
    ) -> Message | None:
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or self._depths.is_settled(stamp_ns),
                timeout=max(deadline_s - time.monotonic(), 0.0),
            )
            return self._depths.nearest(stamp_ns, max_offset_s)

    def _wait_for_transform(
        self, deadline_s: float, target: str, source: str, stamp_ns: int | None
    ) -> Pose:
        with self._changed:
            while True:
                try:
                    return self._transforms.lookup(target, source, stamp_ns)
                except TransformError as error:
                    left_s = deadline_s - time.monotonic()
                    if self._closed or left_s <= 0 or not error.is_transient:
                        raise
                self._changed.wait(left_s)


@dataclass(frozen=True, slots=True)
class RecordedFrame:
    """A recorded image, still serialized, and what belongs to it.

    Attributes:
        sample: the image and when it was recorded.
        camera_info: the newest CameraInfo before it, None without one.
        depth_cdr: the serialized depth that belongs to it, None without one.

    """

    sample: Sample
    camera_info: Message | None
    depth_cdr: bytes | None


class RecordedSynchronizer:
    """Synchronizes recorded messages as a node would have that received them; for one thread.

    An image waits for the depth that follows it, for at most ``depth.max_wait_s`` of recorded time,
    and until ``frames.tf_wait_s`` later when moving transforms are recorded, so that those of its
    stamp have arrived.
    """

    def __init__(
        self,
        roles: frozenset[Role],
        config: PerceptionConfig,
        topics: CameraTopics,
        types: Typestore,
        synchronizer: Synchronizer,
    ) -> None:
        """Start a recording.

        Args:
            roles: of the messages to expect; those that the configuration does not need are
                ignored.
            config: offsets and waiting times.
            topics: names of the topics.
            types: decodes the messages.
            synchronizer: keeps the messages; one for all recordings of a camera, so that
                transforms and calibrations of one part hold for the next.

        """
        self._roles = roles & needed_roles(config)
        self._config = config
        self._topics = topics
        self._types = types
        self._synchronizer = synchronizer
        self._max_wait_ns = round(config.depth.max_wait_s * NANOSECONDS_PER_SECOND)
        self._tf_wait_ns = -1
        if Role.TF in self._roles:
            self._tf_wait_ns = round(config.frames.tf_wait_s * NANOSECONDS_PER_SECOND)
        self._waiting: deque[tuple[Sample, Message | None]] = deque()

    def prime(self, sample: Sample) -> None:
        """Add what holds for the whole recording before its first message; see `Source.lasting`."""
        if sample.role in self._roles:
            self._keep(sample)

    def add(self, sample: Sample) -> Iterator[RecordedFrame]:
        """Add a message; yields, in order, the images that need not wait any longer.

        Messages are in order of recording. Broken ones are left out.
        """
        # Images that have timed out must not get the depth or transforms of this message.
        if sample.role not in IMAGES:
            yield from self.advance(sample.stamp_ns)
        if sample.role in IMAGES:
            self._waiting.append((sample, self._synchronizer.camera_info))
        elif sample.role in self._roles:
            self._keep(sample)
        yield from self.advance(sample.stamp_ns)

    def advance(self, recorded_ns: int) -> Iterator[RecordedFrame]:
        """Yield the images that need not wait at a time of recording."""
        while self._waiting and self._is_settled(self._waiting[0][0], recorded_ns):
            yield self._next()

    def flush(self) -> Iterator[RecordedFrame]:
        """Yield all images that still wait, as at the end of the recording."""
        while self._waiting:
            yield self._next()

    def frame_set(self, frame: RecordedFrame) -> FrameSet:
        """Decode a frame that was just yielded; its depth is decoded when it is asked for.

        Raises:
            SourceError: the image is broken.

        """
        synchronizer = self._synchronizer
        return FrameSet(
            image=decode(self._types, frame.sample.cdr, frame.sample.type_name),
            topics=self._topics,
            camera_info=frame.camera_info,
            depth=lambda: self._decoded(Role.DEPTH, frame.depth_cdr),
            depth_camera_info=lambda: synchronizer.depth_camera_info,
            lookup=synchronizer.lookup,
        )

    def _keep(self, sample: Sample) -> None:
        if sample.role is Role.DEPTH:
            stamp_ns = message_stamp_ns(sample.cdr)
            if stamp_ns is not None:
                self._synchronizer.add(Role.DEPTH, sample.cdr, stamp_ns)
            return
        message = self._decoded(sample.role, sample.cdr)
        if message is not None:
            self._synchronizer.add(sample.role, message)

    def _decoded(self, role: Role, cdr: bytes | None) -> Message | None:
        if cdr is None:
            return None
        try:
            return decode(self._types, cdr, role.type_name)
        except SourceError:
            return None

    def _is_settled(self, image: Sample, recorded_ns: int) -> bool:
        waited_ns = recorded_ns - image.stamp_ns
        if waited_ns <= self._tf_wait_ns:
            return False
        if Role.DEPTH not in self._roles or waited_ns > self._max_wait_ns:
            return True
        stamp_ns = message_stamp_ns(image.cdr)
        return stamp_ns is None or self._synchronizer.is_settled(stamp_ns)

    def _next(self) -> RecordedFrame:
        image, info = self._waiting.popleft()
        stamp_ns = message_stamp_ns(image.cdr)
        depth = None
        if stamp_ns is not None:
            max_offset_s = self._config.depth.max_offset_s
            depth = self._synchronizer.nearest_depth(stamp_ns, max_offset_s)
        return RecordedFrame(image, info, depth)
