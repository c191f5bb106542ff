"""The entries of /diagnostics, each about one subject."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
import math

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from robot_perception.conversions import Message
from robot_perception.nodes.callback_errors import FailedCalls
from robot_perception.nodes.doctor_facts import FOREIGN_CLOCK_S
from robot_perception.nodes.losses import InputLosses
from robot_perception.pipeline import StageTiming
from robot_perception.stream import InputStatus

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

    def to_message(self, node_name: str, hardware_id: str) -> DiagnosticStatus:
        """Convert to a message.

        Args:
            node_name: full name of the node, and of its camera if it has several.
            hardware_id: topic of the images.
        """
        return DiagnosticStatus(
            level=self.level,
            name=f'{node_name}: {self.name}',
            message=self.message,
            hardware_id=hardware_id,
            values=[KeyValue(key=key, value=str(value)) for key, value in self.values.items()],
        )


def diagnostic_array(stamp: Message, statuses: Iterable[DiagnosticStatus]) -> DiagnosticArray:
    """Return one message of all statuses."""
    message = DiagnosticArray()
    message.header.stamp = stamp
    message.status = list(statuses)
    return message


def problem_status(name: str, problem: str | None, good: str) -> Status:
    """Return an error for a problem, OK for an empty one, and OK for None: not needed so far."""
    if problem is None:
        return Status(name, OK, 'not needed so far')
    return Status(name, ERROR, problem) if problem else Status(name, OK, good)


def input_status(name: str, status: InputStatus, good: str) -> Status:
    """Return the status of one input: an error, a warning, ``good``, or that it is not needed."""
    if status.problem and status.is_usable:
        return Status(name, WARN, status.problem)
    return problem_status(name, status.problem if status.needed else None, good)


def connections_status(problems: Sequence[str], losses: Sequence[InputLosses]) -> Status:
    """Return the status of the inputs and outputs: what cannot connect, and what is lost."""
    status = problem_status('connections', ' '.join(problems), 'no conflict of types or QoS')
    lost = ' '.join(one.problem for one in losses if one.problem)
    if lost and not problems:
        status = Status('connections', WARN, lost)
    return replace(status, values={f'lost/{one.topic}': one.lost for one in losses})


def inputs_status(failed: FailedCalls) -> Status:
    """Return the status of messages, requests and periodic tasks: an error if one has failed."""
    values = {f'failed/{name}': count for name, count in failed.counts.items()}
    return replace(problem_status('inputs', failed.problem, 'messages are read'), values=values)


def calibration_status(calibration: InputStatus, doubts: Sequence[str]) -> Status:
    """Return the status of the calibration, which may be usable and one of several."""
    if calibration.needed and doubts:
        problem = ' '.join(part for part in (calibration.problem, *doubts) if part)
        calibration = replace(calibration, problem=problem)
    return input_status('calibration', calibration, 'calibration fits the image')


def tf_status(frames: InputStatus, bad_transform: str) -> Status:
    """Return the status of TF: a warning, since results are published in the optical frame."""
    if frames.problem or bad_transform:
        return Status('tf', WARN, f'{frames.problem} {bad_transform}'.strip())
    return input_status('tf', frames, 'frames are known')


def timing_status(stages: Sequence[StageTiming], age_s: float, given_up: str = '') -> Status:
    """Return the percentiles of every stage in milliseconds.

    Args:
        stages: times of the stages.
        age_s: age of the last image when its outputs were published.
        given_up: what is given up for the budget of the age, empty for nothing.
    """
    values: dict[str, object] = {'age_ms': f'{age_s * _MILLISECONDS:.1f}'}
    for stage in stages:
        for name, seconds in (('p50', stage.p50_s), ('p95', stage.p95_s), ('p99', stage.p99_s)):
            values[f'{stage.stage}/{name}_ms'] = f'{seconds * _MILLISECONDS:.2f}'
    if given_up:
        return Status('timing', WARN, f'to keep budget.max_age_s: {given_up}', values)
    return Status('timing', OK, 'time per stage', values)


def clock_status(age_s: float, *, missing: bool = False, stamps: str = '') -> Status:
    """Compare the stamps of the images with the clock of the node.

    Args:
        age_s: age of the last image, NaN before the first.
        missing: simulated time is used and no /clock has been received.
        stamps: why the stamp of the last image cannot be used, empty if it can.
    """
    if stamps:
        return Status('clock', WARN, stamps)
    if missing:
        text = (
            'use_sim_time is set and no /clock has been received. Play with --clock, or unset it.'
        )
        return Status('clock', WARN, text)
    if math.isnan(age_s) or abs(age_s) <= FOREIGN_CLOCK_S:
        return problem_status('clock', '', 'stamps agree with this clock')
    if age_s < 0:
        text = f'stamps of images are {-age_s:.0f} s ahead of the clock of this node'
    else:
        text = f'images are {age_s:.0f} s old by the clock of this node'
    remedy = (
        'For a recording set use_sim_time and play it with --clock; else synchronize the clocks.'
    )
    return Status('clock', WARN, f'{text}. {remedy}')
