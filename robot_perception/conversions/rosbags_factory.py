"""Messages of rosbags, for reading and writing bags without ROS."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast, Protocol

from robot_perception.conversions import ros
from robot_perception.conversions.messages import Fields, Made
from robot_perception.core import AnyArray, ConversionError


class Typestore(Protocol):
    """The part of rosbags.typesys.Typestore that is used."""

    @property
    def types(self) -> Mapping[str, type]:
        """Message classes by name."""


class RosbagsFactory:
    """A `MessageFactory` of the classes that a rosbags typestore knows."""

    def __init__(self, typestore: Typestore) -> None:
        """Take the typestore; types of other packages must have been registered with it."""
        self._types = typestore.types

    def __call__(
        self, message_type: Callable[Fields, Made], /, *_: Fields.args, **fields: Fields.kwargs
    ) -> Made:
        """Make one message.

        Raises:
            ConversionError: reason ``'unknown_type'``: the typestore does not know the type.
        """
        type_name = ros.type_name(message_type)
        if type_name not in self._types:
            raise ConversionError(
                'unknown_type',
                f'{type_name}: expected a type of the typestore, which has '
                f'{len(self._types)} others. Register its .msg text first.',
            )
        return cast('Made', self._types[type_name](**fields))

    def sequence(self, values: AnyArray, /) -> ros.Numbers:
        """Return the array itself: rosbags writes numpy arrays as they are."""
        return cast('ros.Numbers', values)
