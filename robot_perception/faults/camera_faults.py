"""Row 10: a camera that is lost and comes back, perhaps as another one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import random
import subprocess
import sys
import time

import numpy as np
from rclpy.serialization import deserialize_message

from robot_perception.faults.node_process import CAMERA_INFO, IMAGE, NodeProcess
from robot_perception.faults.observation import STALE
from robot_perception.faults.outcome import Trials
from robot_perception.nodes import message_class

_SIZES = ((64, 48), (32, 24), (96, 64), (160, 120))
_GAPS_S = (0.1, 10.0)
# A gap after which the silence must have been reported: a second, and the period of reports.
_STALE_GAP_S = 3.0
_RESUME_LIMIT_S = 1.0
_START_LIMIT_S = 60.0
_FRAMES_S = 0.3


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
    choices = random.Random(seed)  # noqa: S311 - reproducible
    failures: list[str] = []
    resumed_s: list[float] = []
    stale = silent = 0
    with NodeProcess() as node:
        node.node.destroy_publisher(node.image)
        node.node.destroy_publisher(node.camera_info)
        for trial in range(trials):
            width, height = choices.choice(_SIZES)
            options = ['--width', str(width), '--height', str(height)]
            options += ['--best-effort'] * choices.randrange(2)
            before = node.output_counts['depth/image']
            with camera(node, *options) as first_ns:
                seconds = _wait_for_output(node, first_ns)
                if seconds is None:
                    failures.append(f'{trial}, {" ".join(options)}: no output')
                    continue
                resumed_s.append(seconds)
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
    late = sum(seconds > _RESUME_LIMIT_S for seconds in resumed_s)
    if late:
        failures.append(f'{late} returns took more than {_RESUME_LIMIT_S:.0f} s')
    if stale != silent:
        failures.append(f'{silent - stale} of {silent} long silences were not STALE')
    figures = {
        'resume_p50_s': float(np.percentile(resumed_s or [np.nan], 50)),
        'resume_max_s': max(resumed_s, default=float('nan')),
        'stale': float(stale),
    }
    return Trials(trials, tuple(failures), figures)


def _wait_for_output(node: NodeProcess, first_ns: int) -> float | None:
    """Return the seconds from the first image of a camera to an output, None without one."""
    messages = node.outputs['depth/image']
    waited_s = node.wait(lambda: messages and messages[-1].stamp_ns >= first_ns, _START_LIMIT_S)
    return None if waited_s is None else time.time() - first_ns / 1e9


def _sizes(node: NodeProcess, first_ns: int) -> set[tuple[int, int]]:
    """Return the widths and heights of the depth images from a stamp on."""
    kind = message_class(IMAGE)
    depths = [
        deserialize_message(message.data, kind)
        for message in node.outputs['depth/image'].copy()
        if message.stamp_ns >= first_ns
    ]
    return {(depth.width, depth.height) for depth in depths}
