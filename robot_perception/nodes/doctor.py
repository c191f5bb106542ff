"""Examine a ROS graph for ``robot-perception doctor``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
import os
import threading
import time

import rclpy
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.impl.logging_severity import LoggingSeverity
from rclpy.node import Node

from robot_perception.nodes.doctor_causes import Examination
from robot_perception.nodes.doctor_facts import GraphFacts
from robot_perception.nodes.doctor_graph import judge_graph
from robot_perception.nodes.doctor_observer import Observer
from robot_perception.nodes.doctor_running import find_perception_nodes, NodeReader
from robot_perception.nodes.transport import enlarge_shared_memory
from robot_perception.pipeline import PerceptionConfig

_READER, _OBSERVER = 'robot_perception_doctor', 'robot_perception_doctor_inputs'
# What is found of the graph, and not of an input of a camera.
_OF_GRAPH = {'middleware', 'other nodes', 'perception node'}
_DISCOVERY_S, _POLL_S = 5.0, 0.1
_VARIABLES = (
    'ROS_DOMAIN_ID',
    'ROS_LOCALHOST_ONLY',
    'ROS_AUTOMATIC_DISCOVERY_RANGE',
    'ROS_STATIC_PEERS',
    'ROS_DISCOVERY_SERVER',
    'ROS_SUPER_CLIENT',
    'RMW_IMPLEMENTATION',
    'FASTDDS_DEFAULT_PROFILES_FILE',
    'FASTRTPS_DEFAULT_PROFILES_FILE',
    'FASTDDS_BUILTIN_TRANSPORTS',
    'CYCLONEDDS_URI',
)


def examine_graph(
    config: PerceptionConfig, topics: Mapping[str, str], seconds: float
) -> Examination:
    """Observe the graph for some time and return what is wrong in it.

    Args:
        config: the parameters if no perception node runs; otherwise those of the node hold.
        topics: input -> topic; the others are those of a node that runs.
        seconds: how long.

    Raises:
        PerceptionError: a message package is missing.
    """
    unchecked: dict[str, str] = {}
    facts = _observe(config, topics, seconds, unchecked)
    # What concerns no single camera is found with each.
    causes = dict.fromkeys(cause for one in facts.values() for cause in judge_graph(one))
    found = {
        name if name in _OF_GRAPH or not camera else f'{camera} {name}': text
        for camera, one in facts.items()
        for name, text in _found(one).items()
    }
    return Examination(tuple(causes), unchecked, found)


def _observe(
    config: PerceptionConfig,
    topics: Mapping[str, str],
    seconds: float,
    unchecked: dict[str, str],
) -> dict[str, GraphFacts]:
    """Return what was observed for each camera of the node, or for the only one."""
    # Before the profile of this package is selected.
    environment = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
    enlarge_shared_memory()
    begin_s = time.monotonic()
    with _spinning(unchecked) as (context, executor):
        scout = rclpy.create_node(_READER, context=context, use_global_arguments=False)
        executor.add_node(scout)
        inputs: dict[str, dict[str, str]] = {'': {}}
        reader = _find_running(scout, begin_s + min(_DISCOVERY_S, seconds * 0.6), unchecked)
        if reader is not None:
            try:
                config = reader.config()
                inputs = {camera: reader.topics(camera) for camera in reader.cameras}
            except Exception as error:  # noqa: BLE001 - a node that fails is examined all the same
                unchecked['parameters and topics of the node'] = f'{type(error).__name__}: {error}'
        observers = {}
        for camera, known in inputs.items():
            rules = _with_calibrations({**known, **topics}).items()
            node = rclpy.create_node(
                '_'.join(filter(None, (_OBSERVER, camera))),
                context=context,
                cli_args=[
                    '--ros-args',
                    *(part for one in rules for part in ('-r', ':='.join(one))),
                ],
                use_global_arguments=False,
                start_parameter_services=False,
            )
            # What is incompatible is a cause, and not a line of the log.
            node.get_logger().set_level(LoggingSeverity.ERROR)
            observers[camera] = Observer(node, config)
            executor.add_node(node)
        left_s = max(seconds - (time.monotonic() - begin_s), 0.0)
        first, *others = observers.values()
        threads = [
            threading.Thread(target=one.observe, args=(left_s,), daemon=True) for one in others
        ]
        for thread in threads:
            thread.start()
        first.observe(left_s)
        for thread in threads:
            thread.join()
        failed = ' '.join(filter(None, (one.failed_messages() for one in observers.values())))
        if failed:
            unchecked['messages'] = failed
        ours = {_READER, *('_'.join(filter(None, (_OBSERVER, camera))) for camera in inputs)}
        return {
            camera: observer.facts(
                seconds, None if reader is None else reader.result(camera), ours, environment
            )
            for camera, observer in observers.items()
        }


def _find_running(scout: Node, deadline_s: float, unchecked: dict[str, str]) -> NodeReader | None:
    """Wait for a perception node to be discovered; return its reader, None without one."""
    while not (names := find_perception_nodes(scout)) and time.monotonic() < deadline_s:
        time.sleep(_POLL_S)
    if not names:
        unchecked['running node'] = (
            'no perception node runs; the parameters given to this command are assumed'
        )
        return None
    if names[1:]:
        unchecked['other perception nodes'] = (
            f'{", ".join(names[1:])}: only {names[0]} was examined'
        )
    return NodeReader(scout, names[0])


def _with_calibrations(topics: Mapping[str, str]) -> dict[str, str]:
    """Add the calibrations beside the images and the depth, as the launch file does."""
    added = {}
    for name, calibration in (('image', 'camera_info'), ('depth', 'depth/camera_info')):
        if name in topics and calibration not in topics:
            folder, separator, _ = topics[name].rpartition('/')
            added[calibration] = f'{folder}{separator}camera_info'
    return {**topics, **added}


def _found(facts: GraphFacts) -> dict[str, str]:
    """Describe what was found, for people."""
    variables = ' '.join(f'{name}={value}' for name, value in facts.environment.items())
    version = '' if facts.fastdds is None else f' {".".join(map(str, facts.fastdds))}'
    found = {
        'middleware': f'{facts.middleware}{version} {variables}'.rstrip(),
        'other nodes': str(len(facts.nodes)),
    }
    if facts.running is not None:
        found['perception node'] = facts.running.name
    for stream in facts.streams:
        publishers = ', '.join(
            f'{one.node} ({"reliable" if one.is_reliable else "best effort"}, '
            f'{"transient local" if one.is_latched else "volatile"})'
            for one in stream.publishers
        )
        received = f'{len(stream.stamps_ns)} messages, {stream.rate_hz:.1f} Hz'
        found[stream.name] = ', '.join(
            part for part in (stream.topic, received, stream.description, publishers) if part
        )
    return found


@contextmanager
def _spinning(unchecked: dict[str, str]) -> Iterator[tuple[Context, SingleThreadedExecutor]]:
    """Start a context and an executor that spins on a thread of its own."""
    context = Context()
    rclpy.init(args=[], context=context)
    executor = SingleThreadedExecutor(context=context)
    done = threading.Event()
    thread = threading.Thread(target=_spin, args=(executor, done, unchecked), name='doctor')
    thread.start()
    try:
        yield context, executor
    finally:
        done.set()
        thread.join()
        # Their subscriptions would stay in the graph.
        for node in executor.get_nodes():
            node.destroy_node()
        executor.shutdown()
        rclpy.try_shutdown(context=context)


def _spin(
    executor: SingleThreadedExecutor, done: threading.Event, unchecked: dict[str, str]
) -> None:
    # An error of a callback ends neither the observation nor the report.
    while executor.context.ok() and not done.is_set():
        with suppress(ExternalShutdownException):
            try:
                executor.spin_once(timeout_sec=_POLL_S)
            except Exception as error:  # noqa: BLE001 - any error of a callback
                if executor.context.ok():
                    unchecked['a message'] = f'{type(error).__name__}: {error}'
