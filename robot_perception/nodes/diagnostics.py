"""What the node says of its own health."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from robot_perception.conversions.messages import Message
from robot_perception.nodes.slot import FrameCounts
from robot_perception.pipeline import StageTiming

OK, WARN, ERROR, STALE = (
    DiagnosticStatus.OK,
    DiagnosticStatus.WARN,
    DiagnosticStatus.ERROR,
    DiagnosticStatus.STALE,
)
_MILLISECONDS = 1e3


@dataclass(frozen=True, slots=True)
class Status:
    """One entry of /diagnostics."""

    name: str
    level: bytes
    message: str
    values: Mapping[str, object] = field(default_factory=dict)

    def to_message(self, node_name: str) -> DiagnosticStatus:
        """Make the message."""
        return DiagnosticStatus(
            level=self.level,
            name=f'{node_name}: {self.name}',
            message=self.message,
            hardware_id='',
            values=[KeyValue(key=key, value=str(value)) for key, value in self.values.items()],
        )


def diagnostic_array(
    stamp: Message, node_name: str, statuses: Sequence[Status]
) -> DiagnosticArray:
    """Join statuses under one stamp."""
    message = DiagnosticArray()
    message.header.stamp = stamp
    message.status = [status.to_message(node_name) for status in statuses]
    return message


def frames_status(counts: FrameCounts, before: FrameCounts, seconds: float, topic: str) -> Status:
    """Say what became of the frames since ``before``.

    Args:
        counts: totals now.
        before: totals at the last report.
        seconds: time between the two.
        topic: resolved name of the image topic.

    """
    values: dict[str, object] = {
        'topic': topic,
        'received': counts.received,
        'published': counts.published,
        'waiting': counts.waiting,
        'received_hz': f'{(counts.received - before.received) / seconds:.1f}',
        'published_hz': f'{(counts.published - before.published) / seconds:.1f}',
    }
    values |= {f'dropped/{reason}': count for reason, count in sorted(counts.dropped.items())}
    values |= {f'rejected/{reason}': count for reason, count in sorted(counts.rejected.items())}
    rejected = _grown(counts.rejected, before.rejected)
    failed = _grown(counts.dropped, before.dropped) & {'model_error', 'internal_error'}
    if failed:
        return Status('frames', ERROR, f'frames lost to {", ".join(sorted(failed))}', values)
    if rejected:
        return Status('frames', WARN, f'bad images: {", ".join(sorted(rejected))}', values)
    if counts.received == before.received:
        return Status('frames', STALE, f'no image on {topic}', values)
    return Status('frames', OK, 'images come in', values)


def _grown(now: Mapping[str, int], before: Mapping[str, int]) -> set[str]:
    return {reason for reason, count in now.items() if count > before.get(reason, 0)}


def timing_status(stages: Sequence[StageTiming], age_s: float) -> Status:
    """Give the percentiles of every stage in milliseconds."""
    values: dict[str, object] = {'age_ms': f'{age_s * _MILLISECONDS:.1f}'}
    for stage in stages:
        for name, seconds in (('p50', stage.p50_s), ('p95', stage.p95_s), ('p99', stage.p99_s)):
            values[f'{stage.stage}/{name}_ms'] = f'{seconds * _MILLISECONDS:.2f}'
    return Status('timing', OK, 'time per stage', values)


def problem_status(name: str, problem: str, good: str) -> Status:
    """Report a problem in words, or that there is none."""
    return Status(name, ERROR, problem) if problem else Status(name, OK, good)
