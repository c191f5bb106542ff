"""Synchronize the messages of one camera by their stamps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
import time

from robot_perception.conversions import Message
from robot_perception.core import Pose, TransformError
from robot_perception.pipeline import DepthConfig, PerceptionConfig
from robot_perception.sources import Role
from robot_perception.stream.depth_history import DepthHistory, DepthRequest
from robot_perception.stream.message_time import MessageTime, StampSequence
from robot_perception.stream.shared_transforms import SharedTransforms
from robot_perception.stream.target_frame import TransformLookup

IMAGES = frozenset({Role.IMAGE, Role.COMPRESSED_IMAGE})
DEPTHS = frozenset({Role.DEPTH, Role.COMPRESSED_DEPTH})


@dataclass(frozen=True, slots=True)
class CameraTopics:
    """Full names of the topics of a camera; they may indicate that images are rectified."""

    image: str = 'image'
    camera_info: str = 'camera_info'
    depth: str = 'depth'
    depth_camera_info: str = 'depth/camera_info'

    @classmethod
    def from_roles(cls, names: Mapping[Role, str]) -> CameraTopics:
        """Return the topics of a recording from the name of each role."""
        default = cls()
        image = names.get(Role.IMAGE) or names.get(Role.COMPRESSED_IMAGE)
        return cls(
            image or default.image,
            names.get(Role.CAMERA_INFO, default.camera_info),
            names.get(Role.DEPTH) or names.get(Role.COMPRESSED_DEPTH) or default.depth,
            names.get(Role.DEPTH_CAMERA_INFO, default.depth_camera_info),
        )

    @property
    def has_camera_info_beside_image(self) -> bool:
        """Whether image and camera_info are in one namespace, as drivers publish them.

        In the root namespace, where both are unless they are remapped, that proves nothing.
        """
        namespace = self.image.removesuffix('/compressed').rpartition('/')[0]
        return bool(namespace) and self.camera_info == f'{namespace}/camera_info'


@dataclass(frozen=True, slots=True)
class FrameSet:
    """One image and everything that belongs to it.

    Attributes:
        image: sensor_msgs/msg/Image or CompressedImage.
        time: when it was taken.
        topics: names of the topics.
        camera_info: the newest CameraInfo of the camera, None without one.
        depth: returns the depth message that belongs to the image, None without one; may wait.
        depth_camera_info: returns the newest CameraInfo of the depth camera, None without one.
        lookup: looks up transforms; may wait.
    """

    image: Message
    time: MessageTime
    topics: CameraTopics
    camera_info: Message | None
    depth: Callable[[], Message | None]
    depth_camera_info: Callable[[], Message | None]
    lookup: TransformLookup

    def lookup_for_image(self, target: str, source: str, stamp_ns: int | None) -> Pose:
        """Look up a transform at the stamp of the image, None for the newest.

        If the stamp of the image cannot be used, the transform is that of the time of receipt, or
        the newest if that is older.

        Raises:
            TransformError: the transform is not known.
        """
        if stamp_ns is None or not self.time.fault:
            return self.lookup(target, source, stamp_ns)
        try:
            return self.lookup(target, source, self.time.received_ns or None)
        except TransformError as error:
            if error.reason != 'too_new':
                raise
            return self.lookup(target, source, None)


def needed_roles(config: PerceptionConfig) -> frozenset[Role]:
    """Return the roles of the messages that a configuration uses."""
    roles = IMAGES | {Role.CAMERA_INFO}
    if config.depth.source.uses_sensor:
        # Drivers publish the pose of the depth camera relative to the color camera on /tf_static.
        roles |= DEPTHS | {Role.DEPTH_CAMERA_INFO, Role.TF_STATIC}
    if config.frames.needs_tf:
        roles |= {Role.TF, Role.TF_STATIC}
    return roles


class Synchronizer:
    """Keeps the messages of a camera and finds those that belong to an image; thread-safe.

    Subscriptions, bags and any `Source` feed it with `add`. What `frame_set` returns waits by
    the clock of this machine, as a live camera requires; `RecordedSynchronizer` waits in recorded
    time instead.
    """

    def __init__(self, transforms: SharedTransforms | None = None) -> None:
        """Start without messages.

        Args:
            transforms: of all cameras; None for transforms of its own.
        """
        self._transforms = transforms or SharedTransforms()
        self._changed = self._transforms.changed
        self._camera_info: Message | None = None
        self._depth_camera_info: Message | None = None
        self._images = StampSequence()
        self._depths = DepthHistory()
        self._transform_faults = 0
        self._closed = False

    def add(self, role: Role, message: Message, stamp_ns: int = 0, received_ns: int = 0) -> None:
        """Add a message that is not an image.

        Args:
            role: what the message is for.
            message: a ROS message; a depth message may be any object.
            stamp_ns: stamp of a depth message; a restart (see `is_restart`) drops all earlier
                ones.
            received_ns: when a depth message was received or recorded, by the same clock as the
                images; 0 = unknown.
        """
        with self._changed:
            if role is Role.CAMERA_INFO:
                self._camera_info = message
            elif role is Role.DEPTH_CAMERA_INFO:
                self._depth_camera_info = message
            elif role in DEPTHS:
                self._depths.put(stamp_ns, received_ns, message)
            else:
                self._transforms.add(message, static=role is Role.TF_STATIC)
            self._changed.notify_all()

    def frame_set(
        self,
        image: Message,
        stamp_ns: int,
        received_ns: int,
        config: PerceptionConfig,
        topics: CameraTopics,
    ) -> FrameSet:
        """Return an image with functions that wait for its depth and transforms.

        The waiting times start with this call, so that it should be made on receipt.

        Args:
            image: the message.
            stamp_ns: stamp of its header, nanoseconds.
            received_ns: when it was received, nanoseconds; 0 = unknown.
            config: offsets and waiting times.
            topics: names of the topics.
        """
        now_s = time.monotonic()
        depth, frames = config.depth, config.frames
        image_time = self.image_time(stamp_ns, received_ns)
        return FrameSet(
            image=image,
            time=image_time,
            topics=topics,
            camera_info=self.camera_info,
            depth=partial(
                self._wait_for_depth,
                self.request_depth(image_time, depth),
                depth.max_offset_s,
                now_s + depth.max_wait_s,
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

    def image_time(self, stamp_ns: int, received_ns: int) -> MessageTime:
        """Return the time of the next image; see `StampSequence.add`."""
        with self._changed:
            return self._images.add(stamp_ns, received_ns)

    def request_depth(self, image_time: MessageTime, config: DepthConfig) -> DepthRequest:
        """Return a request for the depth message nearest to an image, which may arrive later."""
        with self._changed:
            return self._depths.request(image_time, config)

    def lookup(self, target: str, source: str, stamp_ns: int | None) -> Pose:
        """Look up a transform without waiting; see `TransformBuffer.lookup`."""
        return self._transforms.lookup(target, source, stamp_ns)

    def take_transform_fault(self) -> str:
        """Return the last fault of a transform since the previous call, empty without one."""
        with self._changed:
            self._transform_faults, fault = self._transforms.fault_since(self._transform_faults)
            return fault

    def reset(self) -> None:
        """Drop depth, moving transforms and the stamps of images, as after a time jump."""
        with self._changed:
            self._images.reset()
            self._depths.clear()
            self._transforms.clear()

    def open(self) -> None:
        """Let the functions of frame sets wait again after `close`."""
        with self._changed:
            self._closed = False

    def close(self) -> None:
        """End every wait; the functions of frame sets then use what has arrived."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _wait_for_depth(
        self, request: DepthRequest, max_offset_s: float, deadline_s: float
    ) -> Message | None:
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or request.is_settled,
                timeout=max(deadline_s - time.monotonic(), 0.0),
            )
            return request.nearest(max_offset_s)

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
