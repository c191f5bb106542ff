"""Nodes in processes of their own, for commands that need a whole graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
import multiprocessing
from multiprocessing.process import BaseProcess
import os
import signal
import socket
import sys

import rclpy
from rclpy.parameter import Parameter

from robot_perception.core import PerceptionError
from robot_perception.nodes.transport import make_room_for_images
from robot_perception.pipeline import Value
from robot_perception.sources import Role

_DOMAINS = 100
_NAMESPACE = 'robot_perception'
# Topics that nodes name from the root.
_GLOBAL = ('clock', 'diagnostics')
_FIRST_PORT, _PORTS_PER_DOMAIN = 7410, 250
# What a camera says.
_CAMERA = (Role.IMAGE, Role.COMPRESSED_IMAGE, Role.CAMERA_INFO, Role.DEPTH)
_STOP_LIMIT_S = 10.0
_EXIT_INTERRUPTED = 130


def keep_to_ourselves() -> list[str]:
    """Stay on this machine, out of the way of other robots and of other runs.

    Unless the user chose a domain, a free one is taken. Who joins it later still hears nothing:
    all names are below a namespace of this process.

    Returns:
        ROS arguments for every node that is to be heard.

    """
    make_room_for_images()
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    if os.environ.get('ROS_DISTRO') == 'humble':
        # The word of the time before discovery ranges.
        os.environ.setdefault('ROS_LOCALHOST_ONLY', '1')
    if 'ROS_DOMAIN_ID' not in os.environ:
        os.environ['ROS_DOMAIN_ID'] = str(free_domain())
    names = [f'__ns:=/{_NAMESPACE}_{os.getpid()}', *(f'/{topic}:={topic}' for topic in _GLOBAL)]
    return ['--ros-args', *(word for name in names for word in ('-r', name))]


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


def free_domain() -> int:
    """Find a ROS domain, 1 to 100, in which nobody on this machine is.

    The first participant of a domain binds a UDP port that follows from its number (RTPS 9.6.2):
    where that port can be bound, there is none.
    """
    for offset in range(_DOMAINS):
        domain = 1 + (os.getpid() + offset) % _DOMAINS
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(('', _FIRST_PORT + _PORTS_PER_DOMAIN * domain))
            except OSError:
                continue
            return domain
    raise PerceptionError(
        f'expected a free ROS domain among 1 to {_DOMAINS}, got none. Set ROS_DOMAIN_ID.'
    )


@contextmanager
def child_process(target: Callable[..., None], *arguments: object) -> Iterator[BaseProcess]:
    """Run a function in a fresh Python; end it with SIGTERM if it has not ended by itself."""
    process = multiprocessing.get_context('spawn').Process(target=target, args=arguments)
    try:
        # Ctrl-C reaches the child too; it waits there until somebody can take it.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        yield process
    finally:
        if process.pid is not None:
            _end(process)


def _end(process: BaseProcess) -> None:
    process.terminate()
    process.join(_STOP_LIMIT_S)
    if process.is_alive():
        process.kill()
        process.join()


def _take_interrupts() -> None:
    """Take Ctrl-C from now on, and the one that came while modules were imported."""
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    except KeyboardInterrupt:
        sys.exit(_EXIT_INTERRUPTED)


def run_node_process(ros_args: list[str], values: Mapping[str, object]) -> None:
    """Be the perception node, with the given parameters; ends the process."""
    from robot_perception.nodes.perception_node import run_node  # noqa: PLC0415 - in the child

    rclpy.init(args=ros_args)
    _take_interrupts()
    parameters = [Parameter(name, value=value) for name, value in values.items()]
    code = run_node(parameters, must_start=True)
    rclpy.try_shutdown()
    sys.exit(code)


def run_replay_process(ros_args: list[str], values: Mapping[str, Value], listeners: int) -> None:
    """Be the replay node, with the given parameters, once so many listen; ends the process.

    Transforms stay unsaid: nobody here asks for them, and /tf may be a robot's own.
    """
    from robot_perception.nodes.replay_node import replay  # noqa: PLC0415 - in the child

    _take_interrupts()
    sys.exit(replay(ros_args, values, listeners=listeners, roles=_CAMERA))
