"""Measures the time of a frame outside the networks, from image to last output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import time
from typing import Any

import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.serialization import deserialize_message

from robot_perception.conversions import camera_info_message, header_message, image_message
from robot_perception.core import CameraModel, PerceptionError
from robot_perception.nodes import qos
from robot_perception.nodes.child import (
    child_process,
    interrupt_on_shutdown,
    isolate_ros_graph,
    run_node_process,
)
from robot_perception.nodes.messages import available_outputs, message_class, RosMessages
from robot_perception.pipeline import PerceptionConfig, PIPELINE
from robot_perception.sources import Role
from robot_perception.stream import LABEL_INFO, LABEL_INFO_TYPE, published_outputs, TIMING

SIZE_HW = (480, 640)
_START_LIMIT_S = 180.0
_FRAME_LIMIT_S = 10.0
_PAUSE_S = 0.05
# Publishers discover subscribers a little later than subscribers discover publishers.
_SETTLE_S = 1.0
_WARM_UP = 10

Spread = tuple[float, float, float]
"""Percentiles 50, 95 and 99."""


@dataclass(frozen=True, slots=True)
class NodeBenchmark:
    """Medians, 95th and 99th percentiles over the frames, in seconds.

    Attributes:
        frames: number of frames.
        total_s: from publishing the image to receiving the last output.
        models_s: time in the networks.
        overhead_s: total minus models.
        steps_s: parts of the overhead.
    """

    frames: int
    total_s: Spread
    models_s: Spread
    overhead_s: Spread
    steps_s: Mapping[str, Spread]


class _Probe(Node):
    """Publishes one image at a time and records when the last output arrives.

    Outputs are received as serialized bytes, so deserialization is not measured.
    """

    def __init__(self, config: PerceptionConfig) -> None:
        super().__init__('perception_probe')
        self._outputs = published_outputs(available_outputs(), config)
        self.ready = False
        self._waiting: set[str] = set()
        self._last_s = 0.0
        self._timing: Any = None
        self._image = self.create_publisher(
            message_class(Role.IMAGE.type_name), 'image', qos.output()
        )
        self._info = self.create_publisher(
            message_class(Role.CAMERA_INFO.type_name), 'camera_info', qos.output()
        )
        for output in self._outputs:
            self._subscribe(output.topic, output.type_name)
        self.create_subscription(
            message_class(LABEL_INFO_TYPE),
            f'perception/{LABEL_INFO}',
            lambda _: setattr(self, 'ready', True),
            qos.latched(),
        )

    def _subscribe(self, topic: str, type_name: str) -> None:
        def keep(data: bytes) -> None:
            self._last_s = time.perf_counter()
            self._waiting.discard(topic)
            if topic == TIMING.topic:
                self._timing = data

        self.create_subscription(
            message_class(type_name), f'perception/{topic}', keep, qos.output(), raw=True
        )

    def connected(self) -> bool:
        """Return whether the node is active and subscribed to image and calibration."""
        inputs = (self._image, self._info)
        return self.ready and all(one.get_subscription_count() > 0 for one in inputs)

    def send_calibration(self) -> None:
        """Publish the calibration of all images."""
        info = camera_info_message(
            RosMessages(), self._header(0), CameraModel.nominal(SIZE_HW, 60.0)
        )
        self._info.publish(info)

    @staticmethod
    def _header(stamp_ns: int) -> Any:  # noqa: ANN401 - a generated message
        return header_message(RosMessages(), stamp_ns, 'camera_optical_frame')

    def measure(
        self,
        executor: SingleThreadedExecutor,
        pixels: Any,  # noqa: ANN401 - an array
    ) -> tuple[float, Any]:
        """Send one frame; return the seconds until the last output, and the Timing message."""
        image = image_message(RosMessages(), self._header(0), pixels, 'rgb8')
        self._waiting = {output.topic for output in self._outputs}
        self.send_calibration()
        # The node measures age from the stamp; creating the messages does not count.
        image.header = self._header(time.time_ns())
        begin = time.perf_counter()
        self._image.publish(image)
        end = begin + _FRAME_LIMIT_S
        while self._waiting and time.perf_counter() < end:
            executor.spin_once(timeout_sec=0.5)
        if self._waiting:
            raise PerceptionError(
                'no_output',
                f'expected every output within {_FRAME_LIMIT_S:.0f} s of an image, got no '
                f'{", ".join(sorted(self._waiting))}.',
            )
        timing = deserialize_message(self._timing, message_class('robot_perception/msg/Timing'))
        return self._last_s - begin, timing


def benchmark_node(config: PerceptionConfig, frames: int = 100) -> NodeBenchmark:
    """Run the node in a child process with all topics subscribed, one frame at a time.

    Raises:
        PerceptionError: the node does not start or does not publish.
    """
    ros_args = isolate_ros_graph()
    rclpy.init(args=ros_args)
    probe = _Probe(config)
    executor = SingleThreadedExecutor()
    executor.add_node(probe)
    try:
        with (
            interrupt_on_shutdown(),
            child_process(run_node_process, ros_args, config.to_values()) as child,
        ):
            end = time.monotonic() + _START_LIMIT_S
            while not probe.connected() and child.is_alive() and time.monotonic() < end:
                executor.spin_once(timeout_sec=0.1)
            if not probe.connected():
                raise PerceptionError(
                    'node_failed', 'the node did not start; its messages above state the reason.'
                )
            # Before the first image, which else could overtake it in the node.
            probe.send_calibration()
            time.sleep(_SETTLE_S)
            rows = [_measure(probe, executor, seed) for seed in range(frames + _WARM_UP)]
    finally:
        executor.shutdown()
        probe.destroy_node()
        rclpy.try_shutdown()
    return _summary(rows[_WARM_UP:])


def _measure(probe: _Probe, executor: SingleThreadedExecutor, seed: int) -> dict[str, float]:
    pixels = np.random.default_rng(seed).integers(0, 256, (*SIZE_HW, 3), dtype=np.uint8)
    total_s, timing = probe.measure(executor, pixels)
    time.sleep(_PAUSE_S)
    stages = dict(zip(timing.stages, timing.last, strict=True))
    models_s = stages[PIPELINE] - stages['lifting']
    return {
        'total': total_s,
        'models': models_s,
        'overhead': total_s - models_s,
        'image in: publish, DDS, wake': timing.age
        - stages['decode']
        - stages[PIPELINE]
        - stages['publish'],
        'decode': stages['decode'],
        'lifting to 3D': stages['lifting'],
        'outputs: build, publish': stages['publish'],
        'outputs: DDS, wake': total_s - timing.age,
    }


def _summary(rows: list[dict[str, float]]) -> NodeBenchmark:
    def spread(name: str) -> Spread:
        p50, p95, p99 = np.percentile([row[name] for row in rows], (50, 95, 99)).tolist()
        return p50, p95, p99

    steps = [name for name in rows[0] if name not in {'total', 'models', 'overhead'}]
    return NodeBenchmark(
        frames=len(rows),
        total_s=spread('total'),
        models_s=spread('models'),
        overhead_s=spread('overhead'),
        steps_s={name: spread(name) for name in steps},
    )
