"""Messages of rosbags, for reading and writing bags without ROS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from robot_perception.conversions.messages import Message
from robot_perception.core import AnyArray, ConversionError


class Typestore(Protocol):
    """What is asked of rosbags.typesys.Typestore."""

    @property
    def types(self) -> Mapping[str, type]:
        """Message classes by name."""


class RosbagsFactory:
    """A `MessageFactory` of the classes that a rosbags typestore knows."""

    def __init__(self, typestore: Typestore) -> None:
        """Take the typestore; types of other packages must have been registered with it."""
        self._types = typestore.types

    def __call__(self, type_name: str, /, **fields: Any) -> Message:  # noqa: ANN401 - of any message
        """Make one message.

        Raises:
            ConversionError: reason ``'type'`` when the typestore does not know ``type_name``.

        """
        if type_name not in self._types:
            raise ConversionError(
                'type',
                f'{type_name}: expected a type of the typestore, which has '
                f'{len(self._types)} others. Register its .msg text first.',
            )
        return self._types[type_name](**fields)

    def sequence(self, values: AnyArray, /) -> AnyArray:
        """Give the array itself: rosbags writes numpy arrays as they are."""
        return values
