"""Row 9: clocks that jump, bags that loop, stamps that cannot be used."""

from __future__ import annotations

from dataclasses import dataclass
import time

from rclpy.serialization import deserialize_message

from robot_perception.faults.camera import random_image
from robot_perception.faults.mutation import seeded
from robot_perception.faults.node_process import NodeProcess
from robot_perception.faults.outcome import Trials
from robot_perception.nodes import message_class

_SECOND_NS = 1_000_000_000
_BEGIN_NS = 1_700_000_000 * _SECOND_NS
_YEAR_S = 365 * 86400
_RESUME_LIMIT_S, _FRAME_LIMIT_S = 1.0, 15.0
# The clock and the images are two topics, whose messages can overtake each other.
_SETTLE_S = 0.05
_FRAMES = 3


@dataclass(frozen=True, slots=True)
class _Jump:
    """A jump of the clock to ``seconds`` from now, or to ``to_ns``, with another stamp or not."""

    name: str
    seconds: float = 0.0
    to_ns: int | None = None
    stamp_ns: int | None = None
    restarts: bool = False


_JUMPS = (
    _Jump('loop', to_ns=_BEGIN_NS, restarts=True),
    _Jump('1 s ahead', 1.0),
    _Jump('1 s back', -1.0, restarts=True),
    _Jump('1 h ahead', 3600.0),
    _Jump('1 h back', -3600.0, restarts=True),
    _Jump('clock at zero', to_ns=1, restarts=True),
    _Jump('loop', to_ns=_BEGIN_NS),
    _Jump('stamp of zero', 0.1, stamp_ns=0),
    _Jump('repeated stamp', 0.1, stamp_ns=_BEGIN_NS),
    _Jump('stamp of next year', 0.1, stamp_ns=_BEGIN_NS + _YEAR_S * _SECOND_NS),
)


class _Recording:
    """Plays a clock and images into a node."""

    def __init__(self, node: NodeProcess, seed: int) -> None:
        self._node = node
        self._seeds = seeded(seed)
        self._clock = node.publisher('clock', 'rosgraph_msgs/msg/Clock')
        node.wait(lambda: self._clock.get_subscription_count() > 0, 10.0)
        self.now_ns = _BEGIN_NS

    def jump(self, to_ns: int) -> None:
        """Set the clock."""
        self.now_ns = to_ns
        message = message_class('rosgraph_msgs/msg/Clock')()
        message.clock.sec, message.clock.nanosec = divmod(to_ns, _SECOND_NS)
        self._clock.publish(message)
        time.sleep(_SETTLE_S)

    def send(
        self, stamp_ns: int, limit_s: float = _FRAME_LIMIT_S
    ) -> tuple[float, list[str]] | None:
        """Send an image; return the seconds to its detections and their track numbers."""
        image = random_image(self._seeds.randrange(2**32), stamp_ns)
        seconds = self._node.send(image, limit_s, 'detections')
        if seconds is None:
            return None
        last = self._node.outputs['detections'][-1]
        if last.stamp_ns != stamp_ns:
            return None
        kind = message_class('vision_msgs/msg/Detection2DArray')
        return seconds, [one.id for one in deserialize_message(last.data, kind).detections]


def jump_clocks(trials: int, seed: int) -> Trials:
    """Let the clock jump; the next image must give outputs, with new tracks after a restart."""
    failures: list[str] = []
    resumed_s: list[float] = []
    numbers: set[str] = set()
    with NodeProcess({'use_sim_time': True, 'tracking.enabled': True}) as node:
        recording = _Recording(node, seed)
        for trial in range(trials):
            jump = _JUMPS[trial % len(_JUMPS)]
            now_ns = recording.now_ns + int(jump.seconds * _SECOND_NS)
            recording.jump(now_ns if jump.to_ns is None else jump.to_ns)
            begin_ns = recording.now_ns
            stamp_ns = begin_ns if jump.stamp_ns is None else jump.stamp_ns
            first = recording.send(stamp_ns, _RESUME_LIMIT_S)
            if first is None:
                failures.append(f'{trial}, {jump.name}: no output in {_RESUME_LIMIT_S:.0f} s')
            else:
                resumed_s.append(first[0])
                if jump.restarts and numbers.intersection(first[1]):
                    failures.append(f'{trial}, {jump.name}: tracks {first[1]} go on')
                numbers.update(first[1])
            for frame in range(1, _FRAMES):
                recording.jump(begin_ns + frame * _SECOND_NS // 10)
                if recording.send(recording.now_ns) is None:
                    failures.append(f'{trial}, {jump.name}: no output of image {frame}')
        counts = node.counts()
        if counts.unaccounted or not node.is_alive:
            failures.append(f'{counts}, alive: {node.is_alive}')
    return Trials(trials, tuple(failures), {'resume_max_s': max(resumed_s, default=0.0)})
