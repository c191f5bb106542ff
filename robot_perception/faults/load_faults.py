"""Rows 15 and 16: more images than the networks, or the machine, can process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
import time

from lifecycle_msgs.srv import GetState
import numpy as np

from robot_perception.faults.camera import random_image
from robot_perception.faults.camera_faults import camera
from robot_perception.faults.faulty_process import FaultyNode
from robot_perception.faults.node_process import NodeProcess
from robot_perception.faults.outcome import Trials

_CAMERA_HZ, _MODEL_S = 30, 0.2
_AGE_FACTOR = 2.0
_RSS_LIMIT_MIB, _FLOOD_RSS_LIMIT_MIB = 20.0, 64.0
_SERVICE_LIMIT_S, _RECOVERY_LIMIT_S = 1.0, 2.0
# What the publishers themselves take of the processor is not tested.
_FLOOD = ('--width', '640', '--height', '480', '--nice', '10')
# One fast publisher, then many; (publishers, images per second of each).
_FLOODS = ((1, 1000), (10, 100))


def outrun_networks(trials: int, seed: int) -> Trials:
    """Send 30 images a second to networks that take 0.2 s; outputs must stay young."""
    failures: list[str] = []
    with FaultyNode() as node:
        node.set_fault(f'depth sleep seconds={_MODEL_S}')
        images = [random_image(seed + number) for number in range(_CAMERA_HZ)]
        sent_ns: list[int] = []
        memory_mib = []
        begin_s = time.monotonic()
        first = node.output_counts['depth/image']
        ages_s: list[float] = []
        received_s: list[float] = []
        for number in range(trials):
            now_ns = time.time_ns()
            image = images[number % len(images)]
            image.header.stamp.sec, image.header.stamp.nanosec = divmod(now_ns, 10**9)
            node.image.publish(image)
            sent_ns.append(now_ns)
            if number % _CAMERA_HZ == 0:
                memory_mib.append(node.use().rss_mib)
            time.sleep(max(begin_s + number / _CAMERA_HZ - time.monotonic(), 0.0))
        node.set_fault('')
        offset_s = time.time() - time.monotonic()
        for message in node.outputs['depth/image'].copy():
            if message.stamp_ns >= sent_ns[0]:
                received_s.append(message.received_s)
                ages_s.append(message.received_s + offset_s - message.stamp_ns / 1e9)
        published = node.output_counts['depth/image'] - first
        failures += node.check_survival()
    inference_s = float(np.percentile(np.diff(received_s), 99))
    age_s = float(np.percentile(ages_s, 99))
    half = len(memory_mib) // 2
    growth_mib = memory_mib[-1] - memory_mib[half]
    if age_s > _AGE_FACTOR * inference_s:
        failures.append(f'age p99 {age_s:.2f} s, inference {inference_s:.2f} s')
    if growth_mib > _RSS_LIMIT_MIB:
        failures.append(f'memory grew by {growth_mib:.0f} MiB in the second half')
    figures = {
        'published': float(published),
        'age_p99_s': age_s,
        'frame_time_p99_s': inference_s,
        'rss_growth_mib': growth_mib,
    }
    return Trials(trials, tuple(failures), figures)


def flood(trials: int, seed: int) -> Trials:
    """Flood the node with 640x480 images for so many seconds, from one publisher and from ten."""
    del seed  # nothing is random
    failures: list[str] = []
    figures = {'rss_growth_max_mib': 0.0, 'service_max_s': 0.0, 'recovery_max_s': 0.0}
    with NodeProcess() as node:
        # Find the service before the machine is busy.
        node.call(GetState, 'get_state', GetState.Request())
        for cameras, rate_hz in _FLOODS:
            with ExitStack() as stack:
                for _ in range(cameras):
                    stack.enter_context(camera(node, *_FLOOD, '--rate-hz', str(rate_hz)))
                time.sleep(min(trials / 10, 5.0))
                before_mib, received = node.use().rss_mib, node.counts(0.0).received
                for service_s in _call_services(node, trials):
                    figures['service_max_s'] = max(figures['service_max_s'], service_s)
                growth_mib = node.use().rss_mib - before_mib
                received = node.counts(0.0).received - received
            figures['rss_growth_max_mib'] = max(figures['rss_growth_max_mib'], growth_mib)
            figures[f'received_of_{cameras}_hz'] = received / trials
            seconds = node.wait(lambda: not node.send_golden(0.5), 5 * _RECOVERY_LIMIT_S)
            figures['recovery_max_s'] = max(figures['recovery_max_s'], seconds or float('inf'))
            failures += node.check_survival()
    limits = (_FLOOD_RSS_LIMIT_MIB, _SERVICE_LIMIT_S, _RECOVERY_LIMIT_S)
    failures += [
        f'{name} is {value:.2f}, expected at most {limit:.0f}'
        for (name, value), limit in zip(figures.items(), limits, strict=False)
        if value > limit
    ]
    return Trials(trials, tuple(failures), figures)


def _call_services(node: NodeProcess, seconds: float) -> Iterator[float]:
    """Call a service each second; yield the time of each answer, infinite without one."""
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        begin_s = time.monotonic()
        answer = node.call(GetState, 'get_state', GetState.Request(), 5.0)
        answer_s = time.monotonic() - begin_s
        yield float('inf') if answer is None else answer_s
        time.sleep(max(1.0 - answer_s, 0.0))
