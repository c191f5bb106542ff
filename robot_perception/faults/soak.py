"""A long run of the node at full rate with all topics subscribed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import ctypes
from functools import partial
from pathlib import Path
import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from robot_perception.conversions import (
    camera_info_message,
    header_message,
    image_message,
    Message,
)
from robot_perception.core import CameraModel, NANOSECONDS_PER_SECOND, PerceptionError, read_use
from robot_perception.faults.observation import Counts, OutputMessage, read_report
from robot_perception.faults.soak_report import Delay, judge, Sample, SoakReport
from robot_perception.nodes import (
    available_outputs,
    child_process,
    interrupt_on_shutdown,
    isolate_ros_graph,
    message_class,
    RosMessages,
    run_node_process,
    spin_until,
)
from robot_perception.pipeline import PerceptionConfig
from robot_perception.sources import Role
from robot_perception.stream import LABEL_INFO, LABEL_INFO_TYPE, Synchronizer, TIMING

SIZE_HW = (480, 640)
LEAKED_BYTES = 1024
# A camera that repeats one picture is reported as stuck.
_PICTURES = 8
_FRAME_ID = 'camera_optical_frame'
_START_LIMIT_S = 180.0
_SETTLE_S = 1.0
# Within the seconds that are not judged.
_LATE_S = 5.0
_LAST_S, _END_LIMIT_S = 2.0, 30.0
_SAMPLE_PERIOD_S = 1.0
_REPORT_PERIOD_S = 60.0
_TICKS_PER_S = 100

_RELIABLE = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
_LATCHED = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)


class _Observer(Node):
    """Publishes images at a rate on a thread, and receives all outputs as serialized bytes."""

    def __init__(self, rate_hz: float) -> None:
        super().__init__('soak')
        self.ready = False
        self.sent = 0
        self.delays: list[Delay] = []
        self.counts: Counts | None = None
        self.start_s = 0.0
        self._rate_hz = rate_hz
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send_all, name='camera', daemon=True)
        self._image = self.create_publisher(
            message_class(Role.IMAGE.type_name), 'image', _RELIABLE
        )
        self._info = self.create_publisher(
            message_class(Role.CAMERA_INFO.type_name), 'camera_info', _RELIABLE
        )
        for output in available_outputs():
            self.create_subscription(
                message_class(output.type_name),
                f'perception/{output.topic}',
                self._on_timing if output is TIMING else lambda _: None,
                _RELIABLE,
                raw=True,
            )
        self.create_subscription(
            message_class(LABEL_INFO_TYPE),
            f'perception/{LABEL_INFO}',
            lambda _: setattr(self, 'ready', True),
            _LATCHED,
        )
        self.create_subscription(
            message_class('diagnostic_msgs/msg/DiagnosticArray'),
            'diagnostics',
            self._on_diagnostics,
            _RELIABLE,
        )

    def connected(self) -> bool:
        """Return whether the node is active and subscribed to image and calibration."""
        inputs = (self._image, self._info)
        return self.ready and all(one.get_subscription_count() > 0 for one in inputs)

    def discard_counts(self) -> None:
        """Drop the counts of earlier reports."""
        self.counts = None

    def is_settled(self) -> bool:
        """Return whether no image waits in the node, according to its last report."""
        return self.counts is not None and self.counts.waiting == 0

    def start(self) -> None:
        """Start to publish images."""
        self.start_s = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        """Stop to publish images."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _send_all(self) -> None:
        header = header_message(RosMessages(), 0, _FRAME_ID)
        info = camera_info_message(RosMessages(), header, CameraModel.nominal(SIZE_HW, 60.0))
        rng = np.random.default_rng(0)
        images = [
            image_message(
                RosMessages(),
                header,
                rng.integers(0, 256, (*SIZE_HW, 3), dtype=np.uint8),
                'rgb8',
            )
            for _ in range(_PICTURES)
        ]
        due_s = time.monotonic()
        while not self._stop.is_set():
            image = images[self.sent % _PICTURES]
            stamp_ns = time.time_ns()
            info.header = image.header = header_message(RosMessages(), stamp_ns, _FRAME_ID)
            self._info.publish(info)
            self._image.publish(image)
            self.sent += 1
            # A late camera skips images: it does not send them in a burst.
            due_s = max(due_s + 1 / self._rate_hz, time.monotonic())
            self._stop.wait(due_s - time.monotonic())

    def _on_timing(self, data: bytes) -> None:
        message = OutputMessage(time.monotonic(), data)
        age_ns = time.time_ns() - message.stamp_ns
        delay = Delay(message.received_s - self.start_s, age_ns / NANOSECONDS_PER_SECOND)
        self.delays.append(delay)

    def _on_diagnostics(self, message: Message) -> None:
        self.counts = Counts.read(read_report(message))


def run_soak(
    config: PerceptionConfig,
    *,
    minutes: float = 60.0,
    rate_hz: float = 30.0,
    leak: bool = False,
    log: Callable[[str], None] = print,
) -> SoakReport:
    """Run the node in a child process for a long time, and judge the second half.

    Args:
        config: parameters of the node.
        minutes: duration.
        rate_hz: images per second.
        leak: whether the node leaks 1 KiB with each image, as a control of the verdict.
        log: receives progress messages.

    Raises:
        PerceptionError: the node does not start or ends, or the run is too short to be judged.
    """
    ros_args = isolate_ros_graph()
    rclpy.init(args=ros_args)
    observer = _Observer(rate_hz)
    executor = SingleThreadedExecutor()
    executor.add_node(observer)
    target = partial(run_observed_node, leak=leak)
    try:
        with interrupt_on_shutdown(), child_process(target, ros_args, config.to_values()) as child:
            spin_until(
                executor,
                _START_LIMIT_S,
                lambda: observer.connected() or not child.is_alive(),
            )
            if not observer.connected() or child.pid is None:
                raise PerceptionError(
                    'node_failed', 'the node did not start; its messages above state the reason.'
                )
            spin_until(executor, _SETTLE_S, lambda: False)
            samples = _observe(
                observer,
                executor,
                partial(_sample, child.pid, device=str(config.device)),
                minutes * 60.0,
                log,
            )
            observer.stop()
            # The report must be one that was made after the last image.
            spin_until(executor, _LAST_S, lambda: False)
            observer.discard_counts()
            spin_until(executor, _END_LIMIT_S, observer.is_settled)
    finally:
        observer.stop()
        executor.shutdown()
        observer.destroy_node()
        rclpy.try_shutdown()
    if observer.counts is None:
        raise PerceptionError(
            'no_output',
            f'expected /diagnostics after the last image, got none for {_END_LIMIT_S:.0f} s.',
        )
    return judge(samples, observer.delays, observer.sent, observer.counts)


def run_observed_node(ros_args: list[str], values: Mapping[str, object], *, leak: bool) -> None:
    """Run the perception node, then exit the process.

    Memory that the process has freed and keeps for reuse would hide a leak, which fills it before
    the process grows; it is returned to the system once a second.
    """
    if leak:
        _leak()
    threading.Thread(target=_return_freed_memory, name='trim', daemon=True).start()
    run_node_process(ros_args, values)


def _return_freed_memory() -> None:
    library = ctypes.CDLL(None)
    # Other C libraries than glibc return memory at once.
    while hasattr(library, 'malloc_trim'):
        library.malloc_trim(0)
        time.sleep(_SAMPLE_PERIOD_S)


def _leak() -> None:
    print(f'control: this node leaks {LEAKED_BYTES} bytes with each image', file=sys.stderr)
    kept: list[bytes] = []
    frame_set = Synchronizer.frame_set

    # Called once with each image, also with those that are dropped for a newer one.
    def leak(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - those of the method
        kept.append(b'\1' * (LEAKED_BYTES - 8) + len(kept).to_bytes(8, 'little'))
        return frame_set(*arguments, **named)

    Synchronizer.frame_set = leak  # type: ignore[method-assign]


def _observe(
    observer: _Observer,
    executor: SingleThreadedExecutor,
    take_sample: Callable[[float], Sample],
    duration_s: float,
    log: Callable[[str], None],
) -> list[Sample]:
    """Publish images for some time, and return the samples."""
    samples: list[Sample] = []
    observer.start()
    # A subscriber that is late fills the history of every output once: the memory of that stays
    # with the process, and must not come later.
    time.sleep(_LATE_S)
    next_report_s = _REPORT_PERIOD_S
    while (now_s := time.monotonic() - observer.start_s) < duration_s:
        try:
            samples.append(take_sample(now_s))
        except (OSError, LookupError) as error:
            raise PerceptionError(
                'node_ended',
                f'the node ended after {now_s / 60:.1f} minutes ({error}); its messages above '
                'state the reason.',
            ) from error
        if now_s >= next_report_s:
            next_report_s += _REPORT_PERIOD_S
            last = samples[-1].use
            log(
                f'{now_s / 60:.0f} min: {observer.sent} sent, {len(observer.delays)} published, '
                f'{last.private_mib:.1f} MiB and {last.shared_mib:.1f} MiB shared, '
                f'{last.threads} threads, {last.files} files'
            )
        spin_until(executor, _SAMPLE_PERIOD_S, lambda: False)
    return samples


def _sample(pid: int, seconds: float, device: str) -> Sample:
    # The name of the process, in parentheses, may contain spaces.
    fields = Path(f'/proc/{pid}/stat').read_text(encoding='utf-8').rpartition(')')[2].split()
    user, system = (int(ticks) for ticks in fields[11:13])
    return Sample(
        seconds, read_use(pid), (user + system) / _TICKS_PER_S, _video_memory_mib(device)
    )


def _video_memory_mib(device: str) -> float | None:
    """Return the memory in use on a GPU, None without one."""
    name, _, index = device.partition(':')
    if name != 'cuda':
        return None
    # A process in a container does not find itself in the list of processes.
    asked = (
        'nvidia-smi',
        f'--id={index or 0}',
        '--query-gpu=memory.used',
        '--format=csv,noheader,nounits',
    )
    try:
        answer = subprocess.run(asked, check=True, capture_output=True, text=True)  # noqa: S603
        return float(answer.stdout)
    except (OSError, ValueError, subprocess.CalledProcessError):
        return None
