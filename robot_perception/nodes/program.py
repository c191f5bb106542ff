"""Runs the perception node in this process."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
import os
import sys
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.parameter import Parameter

from robot_perception.core import ConfigError
from robot_perception.nodes.executor import QuietExecutor
from robot_perception.nodes.heartbeat import Heartbeat
from robot_perception.nodes.node import PerceptionNode
from robot_perception.nodes.signals import end_within, SignalExit
from robot_perception.nodes.supervisor import WorkerError
from robot_perception.nodes.transport import enlarge_shared_memory, remove_stale_segments
from robot_perception.pipeline import keep_freed_memory

_EXIT_FAILED, _EXIT_BAD_ARGUMENTS = 1, 2
# Time for the rest of the process when a thread hangs, which would keep it from ending.
_END_S = 1.0
_SECURITY = (
    'ROS_SECURITY_ENABLE is true: ROS_SECURITY_KEYSTORE has to name a keystore that has the '
    'enclave of --enclave or ROS_SECURITY_ENCLAVE_OVERRIDE, and the middleware has to be built '
    'with security.'
)


def run_node(
    signals: SignalExit,
    parameters: list[Parameter[Any]] | None = None,
    *,
    must_start: bool = False,
    show_stages: Callable[[Collection[str]], None] | None = None,
) -> int:
    """Run the node in this process until it is interrupted; returns the exit code.

    Args:
        signals: end the process with an exit code of the node if it does not end in time.
        parameters: values that win over those of the ROS arguments.
        must_start: end with 1 when the node cannot be activated, instead of waiting for
            a change of its parameters.
        show_stages: as of the node.

    Returns:
        0 after an interruption, 1 if a restart may help, 2 for bad parameters.
    """
    keep_freed_memory()
    try:
        # Created early, while a signal is unlikely: one during its creation leaves it incomplete.
        executor = QuietExecutor()
        try:
            node = _create_node(parameters, show_stages)
            return _spin(node, executor, signals, must_start=must_start)
        finally:
            executor.shutdown()
    except ConfigError as error:
        rclpy.logging.get_logger('perception').error(str(error))
        return _EXIT_BAD_ARGUMENTS
    except (KeyboardInterrupt, ExternalShutdownException):
        return 0
    except Exception:
        # A signal while networks load makes any later call of rclpy fail.
        if rclpy.ok():
            raise
    return 0


def _spin(
    node: PerceptionNode, executor: QuietExecutor, signals: SignalExit, *, must_start: bool
) -> int:
    failed = False

    def exit_code() -> int:
        return _EXIT_FAILED if failed or node.supervisor.hangs else 0

    signals.exit_code = exit_code
    try:
        if must_start and not node.is_active:
            return _EXIT_FAILED
        rclpy.spin(node, executor)
    except WorkerError:
        failed = True
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        _answer_open_requests(node, executor)
        node.destroy_node()
    if node.supervisor.has_abandoned_thread:
        end_within(_END_S, exit_code)
    return exit_code()


def _answer_open_requests(node: PerceptionNode, executor: QuietExecutor) -> None:
    """Answer requests that wait for a frame, which works after a shutdown of ROS too."""
    # `rclpy.spin` has removed the node.
    executor.add_node(node)
    # The executor goes on with callbacks that wait before it finds out about the shutdown.
    with suppress(Exception):
        for _ in range(node.stop()):
            executor.spin_once(timeout_sec=0)


def _create_node(
    parameters: list[Parameter[Any]] | None,
    show_stages: Callable[[Collection[str]], None] | None,
) -> PerceptionNode:
    try:
        return PerceptionNode(parameter_overrides=parameters, show_stages=show_stages)
    except RuntimeError as error:
        if not _is_secure():
            raise
        raise ConfigError('security', f'cannot create the node: {error}. {_SECURITY}') from error


def _is_secure() -> bool:
    return os.environ.get('ROS_SECURITY_ENABLE') == 'true'


def run_program(args: list[str] | None, signals: SignalExit, heartbeat: Heartbeat) -> int:
    """Run the node with the ROS arguments of a command line; see `run_node`.

    Args:
        args: the arguments; None for those of this process.
        signals: handle those of this process.
        heartbeat: shows the stages to the process that watches this one.
    """
    remove_stale_segments()
    enlarge_shared_memory()
    try:
        rclpy.init(args=args)
    except RuntimeError as error:
        # Base of what rclpy raises for invalid arguments.
        remedy = f'. {_SECURITY}' if _is_secure() else ''
        print(f'perception: bad ROS arguments: {error}{remedy}', file=sys.stderr)
        return _EXIT_BAD_ARGUMENTS
    signals.ros_started()
    try:
        return run_node(signals, show_stages=heartbeat.show_stages)
    finally:
        rclpy.try_shutdown()
