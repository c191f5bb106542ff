"""Diagnostics of the node: the entries of each of its cameras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from robot_perception.core import DepthFit
from robot_perception.nodes.callback_errors import FailedCalls
from robot_perception.nodes.camera_processor import Health
from robot_perception.nodes.camera_watch import CameraReport
from robot_perception.nodes.diagnostic_status import (
    calibration_status,
    clock_status,
    connections_status,
    ERROR,
    input_status,
    inputs_status,
    OK,
    problem_status,
    STALE,
    Status,
    tf_status,
    timing_status,
    WARN,
)
from robot_perception.nodes.losses import InputLosses
from robot_perception.nodes.slot import FrameCounts
from robot_perception.nodes.stage_limits import LateStage
from robot_perception.pipeline import StageTiming
from robot_perception.stream import FrameStatus

OF_NODE = frozenset({'lifecycle', 'inputs'})
"""Names of statuses that concern the whole node."""

# Bad images in a row after which not an image but the camera is to blame.
_GARBAGE = 10


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
