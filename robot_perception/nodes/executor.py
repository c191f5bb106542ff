"""The executor of the node."""

from __future__ import annotations

from typing import Any

from rclpy.executors import SingleThreadedExecutor

from robot_perception.core import throttled_output


class QuietExecutor(SingleThreadedExecutor):
    """A single-threaded executor whose middleware does not flood the log.

    Fast CDR prints a line about each message that it cannot read, without its topic.
    """

    def _take_subscription(self, *arguments: Any) -> Any:  # noqa: ANN401 - as in rclpy
        # Not public: if a version of rclpy does without it, nothing is left out.
        with throttled_output():
            return super()._take_subscription(*arguments)
