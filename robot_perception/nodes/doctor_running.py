"""Read the parameters, topics and diagnostics of a perception node that runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import threading
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rcl_interfaces.srv import GetParameters
from rclpy.client import Client
from rclpy.node import Node
from rclpy.parameter import parameter_value_to_python

from robot_perception.core import PerceptionError
from robot_perception.nodes.doctor_facts import RunningNode
from robot_perception.nodes.parameters import ONE_CAMERA
from robot_perception.pipeline import CAMERAS, PerceptionConfig
from robot_perception.sources import IMAGE_TYPES, Role

_TIMEOUT_S = 3.0
_USE_SIM_TIME = 'use_sim_time'


def find_perception_nodes(node: Node) -> list[str]:
    """Return the full names of the perception nodes, by their services."""
    services = dict(node.get_service_names_and_types())
    names = {
        f'{namespace.rstrip("/")}/{name}'
        for name, namespace in node.get_node_names_and_namespaces()
    }
    return sorted(
        name.removesuffix('/enable')
        for name, types in services.items()
        if name.endswith('/enable')
        # A service can be discovered before the name of its node.
        and name.removesuffix('/enable') in names
        and 'std_srvs/srv/SetBool' in types
        and f'{name.removesuffix("/enable")}/change_state' in services
    )


class NodeReader:
    """Reads one perception node; another thread spins the reading node.

    Attributes:
        cameras: names of its cameras, known once `config` has been read.
    """

    def __init__(self, node: Node, name: str) -> None:
        """Subscribe to the diagnostics of the node with this full name."""
        self._node = node
        self._name = name
        self._use_sim_time: bool | None = None
        self.cameras: tuple[str, ...] = ONE_CAMERA
        # Camera, empty for the node, and title -> status.
        self._statuses: dict[tuple[str, str], DiagnosticStatus] = {}
        node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)

    def config(self) -> PerceptionConfig:
        """Read the parameters of the node.

        Raises:
            PerceptionError: the node does not respond, or has parameters of another version.
        """
        names = [item.name for item in PerceptionConfig().parameters()]
        client: Client[Any, Any] = self._node.create_client(
            GetParameters, f'{self._name}/get_parameters'
        )
        done = threading.Event()
        asked = [*names, _USE_SIM_TIME, CAMERAS]
        future = client.call_async(GetParameters.Request(names=asked))
        future.add_done_callback(lambda _: done.set())
        if not done.wait(_TIMEOUT_S):
            raise PerceptionError(
                'no_response', f'{self._name}: no response within {_TIMEOUT_S:g} s.'
            )
        response = future.result()
        assert response is not None  # noqa: S101 - done
        read = [parameter_value_to_python(value) for value in response.values]
        values = {
            name: value for name, value in zip(asked, read, strict=True) if value is not None
        }
        cameras = values.pop(CAMERAS, None)
        # A node of an earlier version has no such parameter.
        self.cameras = tuple(map(str, cameras)) if isinstance(cameras, list) else ONE_CAMERA
        use_sim_time = values.pop(_USE_SIM_TIME, None)
        self._use_sim_time = use_sim_time if isinstance(use_sim_time, bool) else None
        return PerceptionConfig.from_preset(str(values.pop('preset', 'robot')), values)

    def topics(self, camera: str) -> dict[str, str]:
        """Return the topic of each input that the node subscribes to for a camera.

        Of several cameras, topics count that have the name of the camera as a part.

        Raises:
            RuntimeError: rclpy does not know the node.
        """
        # Its topics are discovered before its first diagnostics arrive.
        _wait_until(lambda: (camera, 'frames') in self._statuses)
        namespace, _, name = self._name.rpartition('/')
        subscriptions = dict(
            self._node.get_subscriber_names_and_types_by_node(name, namespace or '/')
        )
        status = self._statuses.get((camera, 'frames'), DiagnosticStatus())
        image = next((item.value for item in status.values if item.key == 'topic'), '')
        if camera:
            subscriptions = {
                topic: types
                for topic, types in subscriptions.items()
                if camera in topic.split('/') or topic == image
            }
        return assign_topics(subscriptions, image)

    def result(self, camera: str) -> RunningNode:
        """Return what was read about the node and one of its cameras."""
        return RunningNode(
            self._name,
            self._use_sim_time,
            tuple(
                (title, status.level[0], status.message)
                for (owner, title), status in self._statuses.items()
                if owner in {'', camera}
            ),
        )

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            node, separator, title = status.name.partition(': ')
            for name in (self._name, self._name.rpartition('/')[2]):
                camera = node.removeprefix(name).removeprefix('/')
                if separator and node in {name, f'{name}/{camera}'}:
                    self._statuses[camera, title] = status


def assign_topics(subscriptions: Mapping[str, list[str]], image: str) -> dict[str, str]:
    """Return the topic of each input of a perception node.

    Args:
        subscriptions: topic -> types of all its subscriptions.
        image: topic of the images as its diagnostics name it, empty if unknown.
    """
    images = sorted(
        name for name, types in subscriptions.items() if set(IMAGE_TYPES).intersection(types)
    )
    infos = sorted(
        name for name, types in subscriptions.items() if Role.CAMERA_INFO.type_name in types
    )
    color = image or next((name for name in images if 'depth' not in name), '')
    color = color.removesuffix('/compressed')
    bases = {name.removesuffix('/compressed').removesuffix('/compressedDepth') for name in images}
    depth = next(iter(sorted(bases - {color})), '')
    topics = {'image': color, 'depth': depth}
    # The calibration of depth has the longer part of its name in common with the depth.
    for_depth = max(infos, key=lambda name: _shared(name, depth), default='') if infos[1:] else ''
    topics['depth/camera_info'] = for_depth
    topics['camera_info'] = next((name for name in infos if name != for_depth), '')
    return {name: topic for name, topic in topics.items() if topic}


def _shared(one: str, other: str) -> int:
    parts = zip(one.split('/'), other.split('/'), strict=False)
    return sum(a == b for a, b in parts)


def _wait_until(done: Callable[[], bool]) -> None:
    end_s = time.monotonic() + _TIMEOUT_S
    while not done() and time.monotonic() < end_s:
        time.sleep(0.05)
