"""What every recording is turned into: a stream of serialized messages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self


class Role(Enum):
    """What a message is for; the value is the ROS type that carries it."""

    type_name: str

    IMAGE = ('image', 'sensor_msgs/msg/Image')
    COMPRESSED_IMAGE = ('compressed_image', 'sensor_msgs/msg/CompressedImage')
    CAMERA_INFO = ('camera_info', 'sensor_msgs/msg/CameraInfo')
    DEPTH = ('depth', 'sensor_msgs/msg/Image')
    COMPRESSED_DEPTH = ('compressed_depth', 'sensor_msgs/msg/CompressedImage')
    DEPTH_CAMERA_INFO = ('depth_camera_info', 'sensor_msgs/msg/CameraInfo')
    TF = ('tf', 'tf2_msgs/msg/TFMessage')
    TF_STATIC = ('tf_static', 'tf2_msgs/msg/TFMessage')

    def __new__(cls, name: str, type_name: str) -> Self:
        """Make the name the value and keep the type beside it."""
        role = object.__new__(cls)
        role._value_ = name
        role.type_name = type_name
        return role


IMAGE_TYPES = (Role.IMAGE.type_name, Role.COMPRESSED_IMAGE.type_name)


@dataclass(frozen=True, slots=True)
class Sample:
    """One message at the time it was recorded.

    Attributes:
        role: what it is for.
        stamp_ns: time of recording in nanoseconds; paces the replay. The header inside has its
            own stamp.
        cdr: the serialized message, encapsulation header included, ready to be published.
    """

    role: Role
    stamp_ns: int
    cdr: bytes

    @property
    def type_name(self) -> str:
        """ROS type, such as ``sensor_msgs/msg/Image``."""
        return self.role.type_name


class Source(ABC):
    """A recording or a camera, opened. Each iteration starts again at the beginning.

    What can be read is given first; what cannot is raised as SourceError at the end.

    Attributes:
        description: one line: what is read and how.
        roles: roles of the samples to expect.
        sample_count: samples of one pass, None when unknown.
        duration_ns: length of one pass, until the next could begin; None when unknown.
        live: whether samples come when they happen, so that nothing can be paced.
        notes: sentences about choices a user may want to change.
        topics: full name of the topic of each role in a bag; a name decides whether images are
            rectified. Empty for other sources.
        names: file names of pictures by their stamps, nanoseconds. Empty for other sources.
    """

    description: str
    roles: frozenset[Role]
    sample_count: int | None = None
    duration_ns: int | None = None
    live: bool = False
    notes: tuple[str, ...] = ()
    topics: Mapping[Role, str] = MappingProxyType({})
    names: Mapping[int, str] = MappingProxyType({})

    @abstractmethod
    def __iter__(self) -> Iterator[Sample]:
        """Yield the samples in order of time.

        Raises:
            SourceError: after the last sample that could be read, when something could not.
        """

    def lasting(self) -> Iterator[Sample]:
        """Yield what holds for the whole recording: static transforms and the first calibrations.

        A reader that takes them first knows them also for images recorded before them.
        """
        return iter(())

    @abstractmethod
    def close(self) -> None:
        """Release files and devices; may be called twice."""

    def __enter__(self) -> Self:
        """Use the source in a with statement."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close at the end of a with statement."""
        self.close()
