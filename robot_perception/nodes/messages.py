"""Makes real ROS messages for the conversions, which know them by name only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from typing import Any, cast

from robot_perception.conversions import Fields, Made, Message, ros
from robot_perception.core import AnyArray, NANOSECONDS_PER_SECOND, PerceptionError
from robot_perception.stream import ANNOTATIONS, Output, OUTPUTS


@cache
def message_class(type_name: str) -> Message:
    """Find the class of a message or service: ``'package/msg/Name'`` or ``'package/srv/Name'``.

    Raises:
        PerceptionError: the package is not in this ROS installation.
    """
    package, kind, name = type_name.split('/')
    try:
        return getattr(import_module(f'{package}.{kind}'), name)
    except (ImportError, AttributeError) as error:
        raise PerceptionError(
            'missing_package',
            f'{type_name}: not in this ROS installation ({error}). Install ros-<distro>-'
            f'{package.replace("_", "-")}, or build the workspace with "make" or colcon.',
        ) from error


@cache
def available_outputs() -> tuple[Output, ...]:
    """Return the outputs whose messages are in this ROS installation; only one may be missing.

    Raises:
        PerceptionError: a package is missing that is not optional.
    """
    return tuple(output for output in OUTPUTS if _is_available(output.type_name))


def _is_available(type_name: str) -> bool:
    try:
        message_class(type_name)
    except PerceptionError:
        if type_name != ANNOTATIONS.type_name:
            raise
        return False
    return True


def camera_topic(name: str, camera: str) -> str:
    """Return the name of a topic or service of a camera, such as ~/front/scene.

    Args:
        name: that of the only camera of a node, relative or beginning with ~/.
        camera: name of the camera; empty for the only one.
    """
    private, name = ('~/', name[2:]) if name.startswith('~/') else ('', name)
    return f'{private}{camera}/{name}' if camera else f'{private}{name}'


def message_stamp_ns(message: Message) -> int:
    """Return the stamp of a message with a header, in nanoseconds, without checking it."""
    stamp = message.header.stamp
    return int(stamp.sec * NANOSECONDS_PER_SECOND + stamp.nanosec)


def publisher_id(info: Mapping[str, Any]) -> bytes:
    """Return the global id of the publisher of a message; empty where rclpy does not have it."""
    identity = info.get('publisher_gid')
    return bytes(identity['data']) if identity else b''


class RosMessages:
    """The `MessageFactory` of a running node."""

    def __call__(
        self, message_type: Callable[Fields, Made], /, *_: Fields.args, **fields: Fields.kwargs
    ) -> Made:
        """Make a message of rclpy."""
        kind = message_class(ros.type_name(message_type))
        message = kind.__new__(kind)
        # The constructor of a generated class makes a default for each field that is passed, and
        # its setters copy arrays. The slots take both as they are.
        for slot, value in _other_slots(kind, tuple(fields)).items():
            setattr(message, slot, value)
        for name, value in fields.items():
            setattr(message, f'_{name}', value)
        return cast('Made', message)

    def sequence(self, values: AnyArray, /) -> ros.Numbers:
        """Return the array itself, which rclpy serializes as it is."""
        return cast('ros.Numbers', values)


@cache
def _other_slots(kind: Message, names: tuple[str, ...]) -> Mapping[str, Any]:
    """Return the defaults of a class for everything but the fields of the given names."""
    message = kind()
    return {slot: getattr(message, slot) for slot in kind.__slots__ if slot[1:] not in names}
