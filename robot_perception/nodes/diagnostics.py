"""Diagnostics of the node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
import math

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from robot_perception.conversions import Message
from robot_perception.core import DepthFit
from robot_perception.nodes.callback_errors import FailedCalls
from robot_perception.nodes.camera_processor import Health
from robot_perception.nodes.camera_watch import CameraReport
from robot_perception.nodes.doctor_facts import FOREIGN_CLOCK_S
from robot_perception.nodes.losses import InputLosses
from robot_perception.nodes.slot import FrameCounts
from robot_perception.nodes.stage_limits import LateStage
from robot_perception.pipeline import StageTiming
from robot_perception.stream import FrameStatus, InputStatus

OK, WARN, ERROR, STALE = (
    DiagnosticStatus.OK,
    DiagnosticStatus.WARN,
    DiagnosticStatus.ERROR,
    DiagnosticStatus.STALE,
)
_MILLISECONDS = 1e3
OF_NODE = frozenset({'lifecycle', 'inputs'})
"""Names of statuses that concern the whole node."""

# Bad images in a row after which not an image but the camera is to blame.
_GARBAGE = 10


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


@dataclass(frozen=True, slots=True)
class NodeView:
    """State of the node to report.

    Attributes:
        state: unconfigured, inactive, active ...
        configure_error: error of the last configuration, empty without one.
        paused: why frames are not processed, empty when they are.
        period_s: time since the last report.
        failed: calls of callbacks that failed, by topic, service or task.
        late: stage of the current frame that takes too long, None without one.
        trouble: what was wrong with the worker before this one, empty if nothing was.
        clock_missing: simulated time is used and no /clock has been received.
        transform_problems: publishers of transforms that cannot be received from.
        transform_losses: messages of transforms that were lost by the middleware.
    """

    state: str
    configure_error: str
    paused: str
    period_s: float
    failed: FailedCalls
    late: LateStage | None
    trouble: str
    clock_missing: bool
    transform_problems: Sequence[str]
    transform_losses: Sequence[InputLosses]


@dataclass(frozen=True, slots=True)
class CameraView:
    """State of one camera of the node to report.

    Attributes:
        node: state of the node.
        topic: full name of the image topic.
        counts, before: counts of frames, now and at the last report.
        connections: problems with the QoS or type of other nodes.
        losses: messages of the inputs that were lost by the middleware.
        calibration_doubts: calibrations that are lost, or contradict one another.
        camera: state of the camera.
        notes: what is unusual about the networks.
        bad_transform: error of a transform received since the last report, empty without one.
        health: state of its frames, None without a worker.
        stages: timing of the stages.
    """

    node: NodeView
    topic: str
    counts: FrameCounts
    before: FrameCounts
    connections: Sequence[str]
    losses: Sequence[InputLosses]
    calibration_doubts: Sequence[str]
    camera: CameraReport
    notes: Sequence[str]
    bad_transform: str
    health: Health | None
    stages: Sequence[StageTiming]


def camera_statuses(view: CameraView) -> list[Status]:
    """Return the statuses of a camera, with those in `OF_NODE`, which are of the whole node."""
    node = view.node
    paused = node.paused or ('' if node.state == 'active' else node.state)
    statuses = [
        _lifecycle_status(node),
        frames_status(view, paused),
        connections_status(view.connections, view.losses),
        inputs_status(node.failed),
    ]
    if view.health is not None:
        health, inputs = view.health, view.health.inputs or FrameStatus()
        statuses += [
            calibration_status(inputs.calibration, view.calibration_doubts),
            replace(
                input_status('depth', inputs.depth, 'depth is in meters'),
                values=_fit_values(health.depth_fit),
            ),
            tf_status(inputs.frames, view.bad_transform),
            _model_status(view, health),
            problem_status('outputs', health.output, 'outputs are published'),
            clock_status(health.age_s, missing=node.clock_missing, stamps=health.stamps.problem),
            timing_status(view.stages, health.age_s, health.given_up),
        ]
    return statuses


def scene_problem(statuses: Sequence[Status]) -> str:
    """Return what keeps frames from becoming scenes, empty if nothing does."""
    messages = (
        status.message
        for status in statuses
        if status.name in {'frames', 'model', 'outputs'} and status.level != OK
    )
    # A stage that is late is reported twice.
    return '; '.join(dict.fromkeys(messages))


def _lifecycle_status(view: NodeView) -> Status:
    if view.configure_error:
        return Status('lifecycle', ERROR, f'cannot configure: {view.configure_error}')
    return Status('lifecycle', OK if view.state == 'active' else WARN, view.state)


def frames_status(view: CameraView, paused: str = '') -> Status:
    """Return the status of the frames since the last report.

    Args:
        view: state of the camera.
        paused: why frames are not processed at all, empty when they are.
    """
    counts, before, period_s = view.counts, view.before, view.node.period_s
    values: dict[str, object] = {
        'topic': view.topic,
        'received': counts.received,
        'published': counts.published,
        'waiting': counts.waiting,
        'received_hz': f'{(counts.received - before.received) / period_s:.1f}',
        'published_hz': f'{(counts.published - before.published) / period_s:.1f}',
    }
    values |= {f'dropped/{reason}': count for reason, count in sorted(counts.dropped.items())}
    values |= {f'rejected/{reason}': count for reason, count in sorted(counts.rejected.items())}
    return Status('frames', *_frames_level(view, paused), values)


def _frames_level(view: CameraView, paused: str) -> tuple[bytes, str]:
    counts, before = view.counts, view.before
    dropped = _grown(counts.dropped, before.dropped)
    rejected = _grown(counts.rejected, before.rejected)
    failed = dropped & {'model_error', 'internal_error'}
    lost = dropped - {'newer_frame', 'no_subscriber'}
    silent = counts.published == before.published
    garbage = rejected and counts.rejected_in_a_row >= _GARBAGE
    trouble, late, why = (
        view.node.trouble,
        view.node.late,
        view.health.rejection if view.health else '',
    )
    cases = (
        (paused, WARN, f'frames are not processed: {paused}'),
        (trouble, ERROR, trouble),
        (late is not None and late.hangs, ERROR, f'{late}'),
        (failed, ERROR, f'frames lost to {", ".join(sorted(failed))}'),
        (
            garbage,
            ERROR,
            f'{counts.rejected_in_a_row} bad images in a row: the camera sends garbage. {why}',
        ),
        (late, WARN, f'{late}'),
        (rejected, WARN, f'bad images: {", ".join(sorted(rejected))}'),
        (view.camera.is_silent, STALE, f'no image on {view.topic}'),
        (view.camera.problem, WARN, view.camera.problem),
        (silent and 'no_result' in dropped, WARN, 'no result for the subscribed topics'),
        (silent and 'no_subscriber' in dropped, OK, 'images arrive, no output has a subscriber'),
        (silent and lost, WARN, f'images arrive, all were dropped: {", ".join(sorted(lost))}'),
        (True, OK, 'images arrive'),
    )
    return next((level, text) for holds, level, text in cases if holds)


def _model_status(view: CameraView, health: Health) -> Status:
    """Return an error of the networks, a stage that takes too long, or a network on the CPU."""
    trouble, late = view.node.trouble, view.node.late
    cases = (
        (trouble, ERROR, trouble),
        (health.model, ERROR, health.model),
        (late, ERROR if late is not None and late.hangs else WARN, f'{late}'),
        (view.notes, WARN, ' '.join(view.notes)),
    )
    for holds, level, text in cases:
        if holds:
            return Status('model', level, str(text))
    return problem_status('model', health.model, 'networks run')


def _grown(now: Mapping[str, int], before: Mapping[str, int]) -> set[str]:
    return {reason for reason, count in now.items() if count > before.get(reason, 0)}


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


def _fit_values(fit: DepthFit | None) -> Mapping[str, object]:
    if fit is None:
        return {}
    residual = 'unknown' if fit.residual is None else f'{fit.residual:.4f}'
    return {
        'scale': f'{fit.scale:.4f}',
        'shift_per_m': f'{fit.shift:.4f}',
        'residual': residual,
        'filled_share': f'{fit.filled_share:.4f}',
    }


def problem_status(name: str, problem: str | None, good: str) -> Status:
    """Return an error for a problem, OK for an empty one, and OK for None: not needed so far."""
    if problem is None:
        return Status(name, OK, 'not needed so far')
    return Status(name, ERROR, problem) if problem else Status(name, OK, good)
