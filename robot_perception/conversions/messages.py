"""Making ROS messages without naming a ROS library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, Protocol, TypeVar

from robot_perception.conversions.ros import Numbers
from robot_perception.core import AnyArray

# A message of any type that was not made here: its class is of rclpy, of rosbags or of a test.
Message = Any

Fields = ParamSpec('Fields')
Made = TypeVar('Made')


class MessageFactory(Protocol):
    """Makes messages of one library, such as rclpy or rosbags.

    The writers always pass every field. Scalars are plain Python numbers, arrays of fixed length
    (``k``, ``covariance``) float64 numpy arrays, lists of messages lists; numeric arrays of any
    length have gone through `sequence`.
    """

    def __call__(
        self, message_type: Callable[Fields, Made], /, *_: Fields.args, **fields: Fields.kwargs
    ) -> Made:
        """Make a message of a class of `ros`; a type checker knows its fields."""

    def sequence(self, values: AnyArray, /) -> Numbers:
        """Make the value of a numeric array field.

        Args:
            values: (N,) uint8, float32 or float64, C-contiguous.
        """
