"""Makes real ROS messages for the conversions, which know them by name only."""

from __future__ import annotations

import array
from functools import cache
from importlib import import_module
from typing import Any

from robot_perception.conversions import Message
from robot_perception.core import AnyArray, PerceptionError


@cache
def message_class(type_name: str) -> Message:
    """Find the class of ``'package/msg/Name'``.

    Raises:
        PerceptionError: the package is not in this ROS installation.

    """
    package, _, name = type_name.split('/')
    try:
        return getattr(import_module(f'{package}.msg'), name)
    except (ImportError, AttributeError) as error:
        raise PerceptionError(
            f'{type_name}: not in this ROS installation ({error}). Install ros-<distro>-'
            f'{package.replace("_", "-")}, or build the workspace with "make" or colcon.'
        ) from error


class RosMessages:
    """The `MessageFactory` of a running node."""

    def __call__(self, type_name: str, /, **fields: Any) -> Message:  # noqa: ANN401 - of any message
        """Make a message of ``type_name``."""
        arrays = {name: value for name, value in fields.items() if isinstance(value, array.array)}
        others = {name: value for name, value in fields.items() if name not in arrays}
        message = message_class(type_name)(**others)
        for name, values in arrays.items():
            # The setter of a generated class copies the array; its slot does not. For a cloud of
            # 640x480 points that is 1 ms instead of 7.
            setattr(message, f'_{name}', values)
        return message

    def sequence(self, values: AnyArray, /) -> array.array[Any]:
        """Make the value of a numeric array field: one copy, no check of each element."""
        filled: array.array[Any] = array.array(values.dtype.char)
        filled.frombytes(values.data.cast('B') if values.size else b'')
        return filled
