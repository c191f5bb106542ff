"""Row 10: a camera that is lost and comes back, perhaps as another one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
import subprocess
import sys
import time

import numpy as np
from rclpy.qos import qos_profile_sensor_data
from rclpy.serialization import deserialize_message

from robot_perception.faults.mutation import seeded
from robot_perception.faults.node_process import CAMERA_INFO, IMAGE, NodeProcess
from robot_perception.faults.observation import OutputMessage, STALE
from robot_perception.faults.outcome import Trials
from robot_perception.nodes import message_class

_SIZES = ((64, 48), (32, 24), (96, 64), (160, 120))
_GAPS_S = (0.1, 10.0)
# A gap after which the silence must have been reported: a second, and the period of reports.
_STALE_GAP_S = 3.0
_OUTPUT_LIMIT_S = 1.0
_START_LIMIT_S = 60.0
_FRAMES_S = 0.3
# Of two images that arrive together, the newer is processed.
_DROPPED_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class _Return:
    """Seconds in which the outputs of a camera began.

    Attributes:
        connected_s: from its first image to the first that the node received.
        answered_s: from that image to its output.
        other_connected_s: from its first image to the first that a subscriber without anything
            else received; None if none arrived before the output.
    """

    connected_s: float
    answered_s: float
    other_connected_s: float | None


@contextmanager
def camera(node: NodeProcess, *options: str) -> Iterator[int]:
    """Run a camera in a process until it is killed; yields the stamp of its first image."""
    program = subprocess.Popen(  # noqa: S603 - a module of this package
        [
            *(sys.executable, '-m', 'robot_perception.faults.camera_program'),
            *('--namespace', node.namespace, *options),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert program.stdout is not None  # noqa: S101 - a pipe
        yield int(program.stdout.readline())
    finally:
        program.kill()
        program.communicate()


def lose_camera(trials: int, seed: int) -> Trials:
    """Kill the camera; when it is back with other images, their outputs must come."""
    choices = seeded(seed)
    failures: list[str] = []
    returns: list[_Return] = []
    stale = silent = 0
    with NodeProcess() as node:
        arrivals = _Arrivals(node)
        node.node.destroy_publisher(node.image)
        node.node.destroy_publisher(node.camera_info)
        for trial in range(trials):
            width, height = choices.choice(_SIZES)
            options = ['--width', str(width), '--height', str(height)]
            options += ['--best-effort'] * choices.randrange(2)
            before = node.output_counts['depth/image']
            with camera(node, *options) as first_ns:
                resumed = _wait_for_output(node, arrivals, first_ns)
                if resumed is None:
                    failures.append(f'{trial}, {" ".join(options)}: no output')
                    continue
                returns.append(resumed)
                time.sleep(_FRAMES_S)
            sizes = _sizes(node, first_ns)
            if sizes != {(width, height)}:
                failures.append(f'{trial}: images of {width}x{height} gave depth of {sizes}')
            if node.output_counts['depth/image'] == before:
                failures.append(f'{trial}: no depth')
            gap_s = float(np.exp(choices.uniform(*np.log(_GAPS_S))))
            time.sleep(gap_s)
            if gap_s > _STALE_GAP_S:
                silent += 1
                stale += node.report['frames'].level == STALE
        node.image = node.publisher('image', IMAGE)
        node.camera_info = node.publisher('camera_info', CAMERA_INFO)
        node.wait(lambda: node.image.get_subscription_count() > 0, 10.0)
        node.wait_for_golden()
        failures += node.check_survival()
        counts = node.counts()
    dropped = sum(counts.dropped.values())
    answered_s = [one.answered_s for one in returns]
    late = sum(seconds > _OUTPUT_LIMIT_S for seconds in answered_s)
    if late:
        failures.append(f'{late} of {trials} outputs came up to {max(answered_s):.1f} s late')
    if dropped > _DROPPED_SHARE * counts.received:
        failures.append(f'{dropped} of {counts.received} images were dropped')
    if stale != silent:
        failures.append(f'{silent - stale} of {silent} long silences were not STALE')
    figures = {
        'answered_p50_s': float(np.median(answered_s)),
        'answered_max_s': max(answered_s),
        **_connection_figures('connected', [one.connected_s for one in returns]),
        **_connection_figures('other_connected', [one.other_connected_s for one in returns]),
        'stale': float(stale),
    }
    return Trials(trials, tuple(failures), figures)


def _connection_figures(name: str, times_s: list[float | None]) -> dict[str, float]:
    known_s = [one for one in times_s if one is not None]
    return {f'{name}_p50_s': float(np.median(known_s)), f'{name}_max_s': max(known_s)}


class _Arrivals:
    """Another subscriber of the images, which accepts those of any camera."""

    def __init__(self, node: NodeProcess) -> None:
        self._messages: deque[OutputMessage] = deque(maxlen=1000)
        node.node.create_subscription(
            message_class(IMAGE), 'image', self._keep, qos_profile_sensor_data, raw=True
        )

    def _keep(self, data: bytes) -> None:
        self._messages.append(OutputMessage(time.monotonic(), data))

    def first_s(self, first_ns: int) -> float | None:
        """Return when the first image of a camera arrived, by its first stamp."""
        arrived = (one for one in self._messages.copy() if one.stamp_ns >= first_ns)
        return next((one.received_s for one in arrived), None)


def _wait_for_output(node: NodeProcess, arrivals: _Arrivals, first_ns: int) -> _Return | None:
    """Wait for the first output of a camera; None without one in time."""
    messages = node.outputs['depth/image']
    node.wait(lambda: messages and messages[-1].stamp_ns >= first_ns, _START_LIMIT_S)
    output = next((one for one in messages.copy() if one.stamp_ns >= first_ns), None)
    if output is None:
        return None
    to_monotonic_s = time.monotonic() - time.time()
    sent_s, stamp_s = (stamp_ns / 1e9 + to_monotonic_s for stamp_ns in (first_ns, output.stamp_ns))
    arrival_s = arrivals.first_s(first_ns)
    return _Return(
        stamp_s - sent_s,
        output.received_s - stamp_s,
        None if arrival_s is None else max(arrival_s - sent_s, 0.0),
    )


def _sizes(node: NodeProcess, first_ns: int) -> set[tuple[int, int]]:
    """Return the widths and heights of the depth images from a stamp on."""
    kind = message_class(IMAGE)
    depths = [
        deserialize_message(message.data, kind)
        for message in node.outputs['depth/image'].copy()
        if message.stamp_ns >= first_ns
    ]
    return {(depth.width, depth.height) for depth in depths}
