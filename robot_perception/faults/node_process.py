"""The perception node in a process of its own, with a camera before it and subscribers behind."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
import itertools
import os
import threading
import time
from typing import Any, TYPE_CHECKING

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
import rclpy
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy

from robot_perception.conversions import Message
from robot_perception.core import PerceptionError
from robot_perception.faults.camera import calibration, next_stamp_ns, random_image
from robot_perception.faults.observation import (
    Counts,
    is_equal,
    OutputMessage,
    read_report,
    Status,
)
from robot_perception.faults.program import Program
from robot_perception.nodes import isolate_ros_graph, message_class
from robot_perception.pipeline import Value
from robot_perception.sources import Role
from robot_perception.stream import OUTPUTS

if TYPE_CHECKING:
    from typing_extensions import Self  # typing has it from Python 3.11 on

IMAGE, CAMERA_INFO = Role.IMAGE.type_name, Role.CAMERA_INFO.type_name
QOS = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)
# Outputs whose bytes depend on nothing but their image; without numbers of tracks and times.
GOLDEN = (
    *('features', 'depth/image', 'points', 'detections', 'detections_3d'),
    *('masks/instances', 'masks/classes', 'overlay'),
)
NODE = 'robot_perception.nodes.perception_node'
START_LIMIT_S, GOLDEN_LIMIT_S = 120.0, 15.0
# Topics with absolute names.
_GLOBAL = ('diagnostics', 'clock', 'tf', 'tf_static')
_TYPES = {output.topic: output.type_name for output in OUTPUTS}
_GOLDEN_SEED = 1_000_003
_POLL_S = 0.005
_KEPT_OUTPUTS = 2000
_numbers = itertools.count()


class NodeProcess(Program):
    """The real node; use as a context manager.

    Attributes:
        process: the process of the node.
        outputs: topic -> the last messages, in order of receipt.
        output_counts: topic -> number of messages.
        report: name -> entry of the last report in /diagnostics.
        image, camera_info: publishers of the camera.
        node: a node of this process in the same graph, for further publishers.
    """

    def __init__(
        self,
        parameters: Mapping[str, Value] | None = None,
        *,
        program: str = NODE,
        wait: bool = True,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start the node.

        Args:
            parameters: besides the preset ``stub`` and no tracking, which makes the outputs of an
                image depend on that image only. ``{namespace}`` in a name is that of the node.
            program: module to run.
            wait: whether to wait for its first output.
            environment: further variables of the process.

        Raises:
            PerceptionError: the node gives no output.
        """
        isolate_ros_graph()
        self.namespace = f'/faults_{os.getpid()}_{next(_numbers)}'
        names = [f'__ns:={self.namespace}', *(f'/{topic}:={topic}' for topic in _GLOBAL)]
        ros_args = ['--ros-args', *(word for name in names for word in ('-r', name))]
        defaults: dict[str, Value] = {'preset': 'stub', 'tracking.enabled': False}
        defaults |= {
            name.replace('{namespace}', self.namespace): value
            for name, value in (parameters or {}).items()
        }
        super().__init__(program, ros_args, defaults, environment or {})
        self._clients: dict[str, Any] = {}
        self._golden: dict[str, bytes] = {}
        self._reports: deque[tuple[float, Mapping[str, Status]]] = deque(maxlen=600)
        self.report: Mapping[str, Status] = {}
        self.outputs: dict[str, deque[OutputMessage]] = {}
        self.output_counts: dict[str, int] = {}
        self._context = Context()
        rclpy.init(args=ros_args, context=self._context)
        self.node = rclpy.create_node('harness', context=self._context)
        self.image = self.publisher('image', IMAGE)
        self.camera_info = self.publisher('camera_info', CAMERA_INFO)
        for output in OUTPUTS:
            if output.topic in GOLDEN:
                self.subscribe(output.topic, output.type_name)
        self.node.create_subscription(
            message_class('diagnostic_msgs/msg/DiagnosticArray'),
            'diagnostics',
            self._on_report,
            QOS,
        )
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, name='harness', daemon=True)
        self._thread.start()
        if wait:
            try:
                self.wait_for_golden()
            except BaseException:
                self.close()
                raise

    def __enter__(self) -> Self:
        """Return the running node."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the node."""
        self.close()

    def _spin(self) -> None:
        with suppress(ExternalShutdownException):
            self._executor.spin()

    def publisher(self, topic: str, type_name: str, qos: QoSProfile = QOS) -> Any:  # noqa: ANN401
        """Create a publisher in the namespace of the node."""
        return self.node.create_publisher(message_class(type_name), topic, qos)

    def subscribe(self, topic: str, type_name: str) -> None:
        """Keep the messages of an output in `outputs`."""
        kept: deque[OutputMessage] = deque(maxlen=_KEPT_OUTPUTS)
        self.outputs[topic], self.output_counts[topic] = kept, 0

        def keep(data: bytes) -> None:
            kept.append(OutputMessage(time.monotonic(), data))
            self.output_counts[topic] += 1

        self.node.create_subscription(
            message_class(type_name), f'perception/{topic}', keep, QOS, raw=True
        )

    def _on_report(self, message: Message) -> None:
        report = read_report(message)
        self._reports.append((time.monotonic(), report))
        self.report = report

    def wait(self, done: Callable[[], object], limit_s: float) -> float | None:
        """Wait until ``done()`` is true; return the seconds, None if the limit is passed."""
        begin = time.monotonic()
        while not done():
            if time.monotonic() - begin > limit_s:
                return None
            time.sleep(_POLL_S)
        return time.monotonic() - begin

    def wait_for_golden(self) -> None:
        """Wait until the node publishes; the outputs are those that later ones must equal.

        Raises:
            PerceptionError: it ends or gives no output.
        """
        end = time.monotonic() + START_LIMIT_S
        while self.is_alive and time.monotonic() < end:
            if self.is_connected:
                outputs = self._send_golden(1.0)
                if len(outputs) == len(GOLDEN):
                    self._golden = self._golden or outputs
                    return
            time.sleep(0.05)
        raise PerceptionError('no_output', f'the node gives no output:\n{self.log()[-3000:]}')

    def _send_golden(self, limit_s: float, stamp_ns: int | None = None) -> dict[str, bytes]:
        """Send the golden image, and return its outputs without their stamps."""
        stamp_ns = next_stamp_ns() if stamp_ns is None else stamp_ns
        self.publish_golden(stamp_ns)
        self.wait(lambda: len(self.find_outputs(stamp_ns)) == len(GOLDEN), limit_s)
        return {
            topic: message.without_stamp()
            for topic, message in self.find_outputs(stamp_ns).items()
        }

    @property
    def is_connected(self) -> bool:
        """Whether the node subscribes to all that `publish_golden` publishes."""
        publishers = (self.image, self.camera_info)
        return all(one.get_subscription_count() > 0 for one in publishers)

    def publish_golden(self, stamp_ns: int) -> None:
        """Publish the golden image with a stamp, and what belongs to it."""
        self.camera_info.publish(calibration())
        self.image.publish(random_image(_GOLDEN_SEED, stamp_ns))

    def find_outputs(self, stamp_ns: int) -> dict[str, OutputMessage]:
        """Return the outputs of one image: topic -> message."""
        found = {}
        for topic, messages in self.outputs.items():
            for message in reversed(messages.copy()):
                if message.stamp_ns == stamp_ns:
                    found[topic] = message
                    break
        return found

    def send_golden(self, limit_s: float = GOLDEN_LIMIT_S, stamp_ns: int | None = None) -> str:
        """Send a valid image; return what is wrong with its outputs, empty if nothing is."""
        outputs = self._send_golden(limit_s, stamp_ns)
        missing = [topic for topic in GOLDEN if topic not in outputs]
        if missing:
            return f'a valid image gave no {", ".join(missing)} within {limit_s:.0f} s'
        wrong = [
            topic
            for topic in GOLDEN
            if not is_equal(outputs[topic], self._golden[topic], _TYPES[topic])
        ]
        return f'a valid image gave other {", ".join(wrong)} than before' if wrong else ''

    def wait_for_status(
        self, name: str, levels: tuple[int, ...], text: str = '', limit_s: float = 3.0
    ) -> float | None:
        """Wait for a report from now on with such an entry; None if there is none in time."""
        begin = time.monotonic()

        def reported() -> bool:
            return any(
                received_s > begin
                and name in report
                and report[name].level in levels
                and text in report[name].message
                for received_s, report in self._reports.copy()
            )

        return self.wait(reported, limit_s)

    def counts(self, limit_s: float = 10.0) -> Counts:
        """Return the counts of a report from now on in which no image waits."""
        begin = time.monotonic()

        def settled() -> bool:
            return bool(
                self._reports
                and self._reports[-1][0] > begin
                and Counts.read(self.report).waiting == 0
            )

        self.wait(settled, limit_s)
        return Counts.read(self.report)

    def send(
        self, image: Message, limit_s: float = GOLDEN_LIMIT_S, topic: str = 'depth/image'
    ) -> float | None:
        """Send an image; return the seconds to the next output, None without one in time."""
        before = self.output_counts[topic]
        self.image.publish(image)
        return self.wait(lambda: self.output_counts[topic] > before, limit_s)

    def check_survival(self) -> tuple[str, ...]:
        """Apply the oracle of every fault: what is wrong with the node now.

        It lives, a valid image gives the golden outputs, and of every image it is reported what
        became of it.
        """
        if not self.is_alive:
            return (f'the node ended with {self.process.returncode}: {self.log()[-500:]}',)
        problems = [self.send_golden()]
        counts = self.counts()
        if counts.unaccounted or counts.waiting:
            problems.append(f'{counts.unaccounted} images are not accounted for: {counts}')
        return tuple(problem for problem in problems if problem)

    def call(
        self,
        service_class: Any,  # noqa: ANN401 - generated
        name: str,
        request: Message,
        limit_s: float = 10.0,
    ) -> Message:
        """Call a service of the node; None if it does not answer in time."""
        if name not in self._clients:
            self._clients[name] = self.node.create_client(service_class, f'perception/{name}')
        client = self._clients[name]
        if not client.wait_for_service(limit_s):
            return None
        future = client.call_async(request)
        self.wait(future.done, limit_s)
        return future.result() if future.done() else None

    def change_state(self, transition: int) -> bool | None:
        """Request a transition; return whether it succeeded, None without an answer."""
        request = ChangeState.Request(transition=Transition(id=transition))
        response = self.call(ChangeState, 'change_state', request)
        return None if response is None else bool(response.success)

    def close(self) -> None:
        """End the node and this side of the graph."""
        super().close()
        self._executor.shutdown()
        self._thread.join()
        self.node.destroy_node()
        rclpy.try_shutdown(context=self._context)
