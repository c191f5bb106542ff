"""Nodes in processes of their own, for commands that need a whole graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
import multiprocessing
from multiprocessing.process import BaseProcess
import os
import signal
import sys

import rclpy
from rclpy.parameter import Parameter

from robot_perception.nodes.transport import make_room_for_images
from robot_perception.pipeline.parameters import Value

_STOP_LIMIT_S = 10.0


def keep_to_ourselves() -> None:
    """Stay on this machine and, unless the user chose a domain, out of other robots' way."""
    make_room_for_images()
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    os.environ.setdefault('ROS_DOMAIN_ID', str(1 + os.getpid() % 100))


@contextmanager
def interruptible() -> Iterator[None]:
    """Make an end by SIGTERM look like one by Ctrl-C.

    Raises:
        KeyboardInterrupt: a signal has shut ROS down, whatever rclpy raises for that.

    """
    try:
        yield
    except Exception:
        if rclpy.ok():
            raise
        raise KeyboardInterrupt from None


@contextmanager
def child_process(target: Callable[..., None], *arguments: object) -> Iterator[BaseProcess]:
    """Run a function in a fresh Python; interrupt it at the end as Ctrl-C would."""
    process = multiprocessing.get_context('spawn').Process(target=target, args=arguments)
    process.start()
    try:
        yield process
    finally:
        if process.is_alive() and process.pid is not None:
            os.kill(process.pid, signal.SIGINT)
        process.join(_STOP_LIMIT_S)
        if process.is_alive():
            process.kill()
            process.join()


def run_node_process(values: Mapping[str, object]) -> None:
    """Be the perception node, with the given parameters; ends the process."""
    from robot_perception.nodes.perception_node import run_node  # noqa: PLC0415 - in the child

    rclpy.init(args=[])
    code = run_node([Parameter(name, value=value) for name, value in values.items()])
    rclpy.try_shutdown()
    sys.exit(code)


def run_replay_process(values: Mapping[str, Value]) -> None:
    """Be the replay node, with the given parameters; ends the process."""
    from robot_perception.nodes.replay_node import replay  # noqa: PLC0415 - in the child

    sys.exit(replay([], values))
