"""Runs nodes in child processes, for commands that need a whole ROS graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
import multiprocessing
from multiprocessing.process import BaseProcess
import os
import signal
import socket
import sys
import threading
import time

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter

from robot_perception.core import blocking_interrupts, PerceptionError
from robot_perception.nodes.signals import end_process, SignalExit
from robot_perception.nodes.transport import enlarge_shared_memory, remove_stale_segments
from robot_perception.pipeline import Value

_DOMAINS = 100
_NAMESPACE = 'robot_perception'
# Topics with absolute names.
_GLOBAL = ('clock', 'diagnostics', 'tf', 'tf_static')
# UDP ports of a domain (RTPS 9.6.2): one for multicast, and one for each participant.
_FIRST_PORT, _PORTS_PER_DOMAIN = 7400, 250
_PARTICIPANT_PORTS = tuple(10 + 2 * participant for participant in range(32))
_STOP_LIMIT_S = 10.0
# Time for a node to end after a signal.
_ORPHAN_S = 2.0
_EXIT_INTERRUPTED = 130


def isolate_ros_graph() -> list[str]:
    """Separate the nodes of this process and its children from other robots and other runs.

    Discovery is limited to this machine. Unless the user chose a domain, a free one is selected.
    Nodes that join it later do not interfere: all topics are in a namespace of this process.

    Returns:
        ROS arguments for every node of the graph.
    """
    remove_stale_segments()
    enlarge_shared_memory()
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    if os.environ.get('ROS_DISTRO') == 'humble':
        # Humble has no discovery ranges.
        os.environ.setdefault('ROS_LOCALHOST_ONLY', '1')
    if 'ROS_DOMAIN_ID' not in os.environ:
        os.environ['ROS_DOMAIN_ID'] = str(free_domain())
    names = [f'__ns:=/{_NAMESPACE}_{os.getpid()}', *(f'/{topic}:={topic}' for topic in _GLOBAL)]
    return ['--ros-args', *(argument for name in names for argument in ('-r', name))]


@contextmanager
def interrupt_on_shutdown() -> Iterator[None]:
    """Raise KeyboardInterrupt if SIGTERM or Ctrl-C shuts ROS down.

    Raises:
        KeyboardInterrupt: instead of whatever rclpy raises after a shutdown.
    """
    try:
        yield
    except Exception:
        if rclpy.ok():
            raise
        raise KeyboardInterrupt from None


def spin_until(executor: SingleThreadedExecutor, limit_s: float, done: Callable[[], bool]) -> None:
    """Spin until ``done()`` is true, for a limited time."""
    end = time.monotonic() + limit_s
    while not done() and time.monotonic() < end:
        executor.spin_once(timeout_sec=0.1)


def free_domain() -> int:
    """Return a ROS domain, 1 to 100, without participants on this machine.

    A domain is free when each of its first 32 discovery ports can be bound: its first participant
    may have ended before the others, or another search may have held its port.

    Raises:
        PerceptionError: all domains are in use.
    """
    for offset in range(_DOMAINS):
        domain = 1 + (os.getpid() + offset) % _DOMAINS
        first = _FIRST_PORT + _PORTS_PER_DOMAIN * domain
        if all(_can_bind(first + port) for port in (0, *_PARTICIPANT_PORTS)):
            return domain
    raise PerceptionError(
        'no_free_domain',
        f'expected a free ROS domain among 1 to {_DOMAINS}, got none. Set ROS_DOMAIN_ID.',
    )


def _can_bind(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(('', port))
        except OSError:
            return False
    return True


@contextmanager
def child_process(target: Callable[..., None], *arguments: object) -> Iterator[BaseProcess]:
    """Run a function in a new Python process; on exit, terminate it if it is still running."""
    process = multiprocessing.get_context('spawn').Process(target=target, args=arguments)
    try:
        # Ctrl-C reaches the child too; it stays pending there until `_unblock_interrupts`.
        with blocking_interrupts():
            process.start()
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


def _end_with_parent() -> None:
    """Terminate this process when its parent has ended, also if that was killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # noqa: S101 - called in children only

    def watch() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_ORPHAN_S)
        end_process(_EXIT_INTERRUPTED)

    threading.Thread(target=watch, name='parent', daemon=True).start()


def _unblock_interrupts() -> None:
    """Unblock Ctrl-C; exit if it was pressed while modules were imported."""
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    except KeyboardInterrupt:
        sys.exit(_EXIT_INTERRUPTED)


def run_node_process(ros_args: list[str], values: Mapping[str, object]) -> None:
    """Run the perception node with the given parameters, then exit the process."""
    _end_with_parent()
    from robot_perception.nodes.program import run_node  # noqa: PLC0415 - in the child

    signals = SignalExit()
    rclpy.init(args=ros_args)
    signals.ros_started()
    _unblock_interrupts()
    parameters = [Parameter(name, value=value) for name, value in values.items()]
    code = run_node(signals, parameters, must_start=True)
    rclpy.try_shutdown()
    sys.exit(code)


def run_replay_process(ros_args: list[str], values: Mapping[str, Value], subscribers: int) -> None:
    """Run the replay node once the images have enough subscribers, then exit the process."""
    _end_with_parent()
    from robot_perception.nodes.replay_node import replay  # noqa: PLC0415 - in the child

    _unblock_interrupts()
    sys.exit(replay(ros_args, values, subscribers=subscribers))
