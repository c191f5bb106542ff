"""Malformed messages to every input of the node, through the middleware."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
import itertools
import time
from typing import Any

from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message

from robot_perception.faults.camera import next_stamp_ns
from robot_perception.faults.cdr_mutations import mutated_bytes
from robot_perception.faults.mutation import Mutated
from robot_perception.faults.node_inputs import NODE_INPUTS, NodeInput, serialize, valid_message
from robot_perception.faults.node_process import NodeProcess
from robot_perception.faults.observation import OK
from robot_perception.faults.outcome import Trials
from robot_perception.nodes import message_class, message_stamp_ns
from robot_perception.sources import Role

_GOLDEN_PERIOD, _KEPT = 50, 200
# Slow enough for most images to be examined instead of dropped for a newer one.
_PERIOD_S = 0.005
# Images and other inputs are topics whose messages can overtake each other: a valid image may be
# processed before a valid calibration or depth that was sent earlier.
_SETTLE_S = 0.02
_ATTEMPTS, _GOLDEN_LIMIT_S = 5, 3.0
_WARM_UP = 500
_MAX_STAMP_NS = 2**31 * 10**9
_OK_LIMIT_S, _OK_PERIOD_S = 20.0, 0.1
_STATUSES = ('frames', 'calibration', 'depth', 'tf', 'model')
# What row 8 allows, since large files are among the messages, and the messages that are kept.
_MAX_GROWTH_MIB = 192.0 + 64.0

_Messages = Callable[[NodeInput, int, int], Iterator[Mutated[bytes]]]


class _InputNode(NodeProcess):
    """The node with a publisher of serialized messages for each input that an image needs.

    Attributes:
        images: images that were sent since the start and that the middleware can read.
    """

    def __init__(self, one: NodeInput) -> None:
        # All messages between two valid images fit into its subscriptions: none is overwritten.
        depths = {
            f'qos_overrides.{{namespace}}/{topic}.subscription.depth': _KEPT
            for topic, role in one.frame
            if role is not Role.TF
        }
        super().__init__({**one.parameters, **depths}, wait=False)
        self.images = 0
        self._input = one
        qos = QoSProfile(depth=_KEPT, reliability=ReliabilityPolicy.RELIABLE)
        self._publishers: dict[str, Any] = {
            topic: self.publisher(topic, role.type_name, qos) for topic, role in one.frame
        }
        self._empty = self.publisher(one.topic, one.role.type_name)
        try:
            self.wait_for_golden()
        except BaseException:
            self.close()
            raise

    @property
    def is_connected(self) -> bool:
        return all(one.get_subscription_count() > 0 for one in self._publishers.values())

    def publish_golden(self, stamp_ns: int) -> None:
        self.publish_frame(stamp_ns)

    def publish_frame(self, stamp_ns: int, seed: int = 0) -> None:
        """Publish a valid image of noise and what belongs to it."""
        for topic, role in self._input.frame[:-1]:
            self._publish(topic, role, stamp_ns, seed)
        if self._input.has_image:
            time.sleep(_SETTLE_S)
        self.publish_image(stamp_ns, seed)

    def publish_image(self, stamp_ns: int, seed: int = 0) -> None:
        """Publish a valid image."""
        self.images += 1
        self._publish(*self._input.frame[-1], stamp_ns, seed)

    def publish_malformed(self, data: bytes) -> bool:
        """Publish a serialized message to the input; return whether the middleware can read it."""
        # Behind a message without any bytes Fast DDS delivers nothing more of its publisher.
        (self._publishers[self._input.topic] if data else self._empty).publish(data)
        # The middleware fills up to whole words.
        padded = data + bytes(-len(data) % 4)
        try:
            message = deserialize_message(padded, message_class(self._input.role.type_name))
        except Exception:  # noqa: BLE001 - of the middleware
            return False
        if self._input.has_image:
            stamp_ns = 0 if self._input.role is Role.TF else message_stamp_ns(message)
            self.publish_image(stamp_ns if 0 < stamp_ns < _MAX_STAMP_NS else next_stamp_ns())
        else:
            self.images += 1
        return True

    def _publish(self, topic: str, role: Role, stamp_ns: int, seed: int) -> None:
        self._publishers[topic].publish(serialize(role, valid_message(role, stamp_ns, seed)))


def send_malformed(trials: int, seed: int, inputs: Sequence[NodeInput] = NODE_INPUTS) -> Trials:
    """Send so many messages to each input that serialize, but that no sender should send."""
    return _send_all(trials, seed, inputs, NodeInput.serialized)


def send_broken(trials: int, seed: int, inputs: Sequence[NodeInput] = NODE_INPUTS) -> Trials:
    """Send so many serialized messages to each input that are cut, changed or no messages."""
    return _send_all(trials, seed, inputs, _broken)


def _broken(one: NodeInput, count: int, seed: int) -> Iterator[Mutated[bytes]]:
    return mutated_bytes(lambda _: serialize(one.role, one.valid(next_stamp_ns())), count, seed)


def _send_all(trials: int, seed: int, inputs: Sequence[NodeInput], messages: _Messages) -> Trials:
    failures: list[str] = []
    figures: Counter[str] = Counter()
    growth_mib = 0.0
    for one in inputs:
        name = one.role.value
        with _InputNode(one) as node:
            _send(node, messages(one, min(_WARM_UP, trials // 2), seed + 1))
            before_mib = node.use().rss_mib
            problems, counts = _send(node, messages(one, trials, seed))
            grown_mib = node.use().rss_mib - before_mib
            growth_mib = max(growth_mib, grown_mib)
            if grown_mib > _MAX_GROWTH_MIB:
                problems.append(f'memory grew by {grown_mib:.0f} MiB')
            problems += _check_end(node)
        figures += counts
        figures[f'readable_{name}'] = counts['readable']
        failures += [f'{name}: {problem}' for problem in problems]
    return Trials(figures['sent'], tuple(failures), {**figures, 'rss_growth_max_mib': growth_mib})


def _send(node: _InputNode, messages: Iterable[Mutated[bytes]]) -> tuple[list[str], Counter[str]]:
    """Send messages, each with an image if it is none, and now and then valid images alone.

    Returns:
        What was wrong, and how many messages were sent and how many of them were readable, how
        many valid images gave the golden outputs, and how many at a later attempt.
    """
    problems: list[str] = []
    counts: Counter[str] = Counter()
    for message in messages:
        if not node.is_alive:
            problems.append(f'{message.name}: the node had ended before')
            break
        counts['sent'] += 1
        counts['readable'] += node.publish_malformed(message.subject)
        time.sleep(_PERIOD_S)
        if counts['sent'] % _GOLDEN_PERIOD:
            continue
        for attempt in range(_ATTEMPTS):
            wrong = node.send_golden(_GOLDEN_LIMIT_S)
            if not wrong:
                counts['golden'] += 1
                counts['golden_later'] += attempt > 0
                break
        else:
            problems.append(f'{message.name}: {wrong}')
    return problems, counts


def _check_end(node: _InputNode) -> list[str]:
    """Return what is wrong with the node when only valid images come again."""
    problems = list(node.check_survival())
    if 'Traceback' in node.log():
        problems.append(f'a traceback in the log: {node.log()[-500:]}')
    if not node.is_alive:
        return problems
    received = node.counts().received
    if received != node.images:
        problems.append(f'{received} of {node.images} images were received')
    seeds = itertools.count(1)

    def is_ok() -> bool:
        node.publish_frame(next_stamp_ns(), next(seeds))
        time.sleep(_OK_PERIOD_S)
        return all(node.report[name].level == OK for name in _STATUSES)

    if node.wait(is_ok, _OK_LIMIT_S) is None:
        messages = [node.report[name].message for name in _STATUSES]
        problems.append(f'/diagnostics is not OK afterwards: {messages}')
    return problems
