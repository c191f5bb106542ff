"""Levels and texts of /diagnostics."""

from dataclasses import fields

import pytest

pytest.importorskip('diagnostic_msgs')

from builtin_interfaces.msg import Time

from robot_perception.nodes.callback_errors import FailedCalls
from robot_perception.nodes.camera_processor import Health
from robot_perception.nodes.camera_watch import CameraReport
from robot_perception.nodes.diagnostic_status import (
    calibration_status,
    clock_status,
    connections_status,
    diagnostic_array,
    ERROR,
    input_status,
    OK,
    problem_status,
    STALE,
    Status,
    tf_status,
    timing_status,
    WARN,
)
from robot_perception.nodes.diagnostics import camera_statuses, CameraView, frames_status, NodeView
from robot_perception.nodes.losses import InputLosses, LossMeter
from robot_perception.nodes.slot import FrameCounts
from robot_perception.nodes.stage_limits import LateStage
from robot_perception.pipeline import StageTiming
from robot_perception.stream.status import InputStatus, NOT_NEEDED, USABLE

pytestmark = pytest.mark.ros

NO_MAP = InputStatus.failed('no_transform', 'no map')
NOTHING = FrameCounts(received=0, published=0, dropped={}, rejected={}, waiting=0)


def late(seconds, *, hangs, why=''):
    return LateStage('depth', seconds, hangs, why)


def view(now, before, **changes):
    """State of an active node whose camera and worker are well, but for ``changes``."""
    silent = now.received == before.received
    values = {
        'state': 'active',
        'configure_error': '',
        'paused': '',
        'topic': '/image',
        'counts': now,
        'before': before,
        'period_s': 1.0,
        'connections': (),
        'losses': (),
        'failed': FailedCalls({}),
        'calibration_doubts': (),
        'camera': CameraReport(is_silent=silent),
        'late': None,
        'trouble': '',
        'notes': (),
        'bad_transform': '',
        'health': Health(),
        'stages': (),
        'clock_missing': False,
        'transform_problems': (),
        'transform_losses': (),
    }
    values |= changes
    of_node = {field.name: values.pop(field.name) for field in fields(NodeView)}
    return CameraView(NodeView(**of_node), **values)


def counts(received=0, published=0, dropped=None, rejected=None, waiting=0):
    return FrameCounts(received, published, dropped or {}, rejected or {}, waiting)


@pytest.mark.parametrize(
    ('before', 'now', 'level', 'message'),
    [
        (NOTHING, NOTHING, STALE, 'no image on /image'),
        (counts(9, 9), counts(9, 9), STALE, 'no image on /image'),
        (NOTHING, counts(5, 5), OK, 'images arrive'),
        # To drop frames for a newer one, or because no output has a subscriber, is normal.
        (NOTHING, counts(5, 1, {'newer_frame': 4}), OK, 'images arrive'),
        (
            NOTHING,
            counts(5, 0, {'no_subscriber': 5}),
            OK,
            'images arrive, no output has a subscriber',
        ),
        (NOTHING, counts(5, 0, {'no_result': 5}), WARN, 'no result for the subscribed topics'),
        (NOTHING, counts(1, 0, {}, {'step': 1}), WARN, 'bad images: step'),
        (NOTHING, counts(3, 0, {}, {'step': 1, 'data': 2}), WARN, 'bad images: data, step'),
        # Earlier ones are not reported again.
        (counts(3, 0, {}, {'step': 3}), counts(4, 1, {}, {'step': 3}), OK, 'images arrive'),
        (counts(3, 0, {}, {'step': 3}), counts(4, 0, {}, {'step': 4}), WARN, 'bad images: step'),
        (NOTHING, counts(1, 0, {'model_error': 1}), ERROR, 'frames lost to model_error'),
        (
            NOTHING,
            counts(3, 0, {'model_error': 1, 'internal_error': 1}, {'step': 1}),
            ERROR,
            'frames lost to internal_error, model_error',
        ),
        (
            counts(1, 0, {'model_error': 1}),
            counts(2, 1, {'model_error': 1}),
            OK,
            'images arrive',
        ),
    ],
)
def test_frames(before, now, level, message):
    status = frames_status(view(now, before))
    assert (status.name, status.level, status.message) == ('frames', level, message)


@pytest.mark.parametrize(
    ('now', 'changes', 'level', 'message'),
    [
        (
            counts(5),
            {'late': late(3.2, hangs=False)},
            WARN,
            'depth has run for 3 s',
        ),
        (
            counts(5),
            {'late': late(12, hangs=True)},
            ERROR,
            'depth has run for 12 s',
        ),
        (
            counts(5),
            {'late': late(8, hangs=False, why='its first run takes longer')},
            WARN,
            'depth has run for 8 s: its first run takes longer',
        ),
        (counts(5), {'trouble': 'it was abandoned'}, ERROR, 'it was abandoned'),
        (
            counts(5, 5),
            {'camera': CameraReport(is_silent=False, problem='it is stuck')},
            WARN,
            'it is stuck',
        ),
        # A slow camera sends nothing in most seconds.
        (NOTHING, {'camera': CameraReport(is_silent=False)}, OK, 'images arrive'),
        (counts(5, 0, {'time_jump': 5}), {}, WARN, 'images arrive, all were dropped: time_jump'),
        (
            FrameCounts(12, 0, {}, {'step': 12}, 0, rejected_in_a_row=12),
            {'health': Health(rejection='step is 0')},
            ERROR,
            '12 bad images in a row: the camera sends garbage. step is 0',
        ),
    ],
)
def test_nothing_is_ok_while_nothing_is_published(now, changes, level, message):
    status = frames_status(view(now, NOTHING, **changes))
    assert (status.level, status.message) == (level, message)


@pytest.mark.parametrize(
    ('changes', 'level', 'message'),
    [
        ({'notes': ('it is on the CPU',)}, WARN, 'it is on the CPU'),
        ({'late': late(12, hangs=True)}, ERROR, 'depth has run for 12 s'),
        ({'health': Health(model='broken'), 'notes': ('old',)}, ERROR, 'broken'),
        ({'health': Health(model='')}, OK, 'networks run'),
    ],
)
def test_the_networks(changes, level, message):
    statuses = camera_statuses(view(counts(5, 5), NOTHING, **changes))
    (status,) = (one for one in statuses if one.name == 'model')
    assert (status.level, status.message) == (level, message)


def test_frames_in_numbers():
    before = counts(10, 5, {'newer_frame': 5})
    now = counts(40, 20, {'newer_frame': 17, 'disabled': 1}, {'step': 1}, waiting=1)
    state = view(now, before, period_s=2.0, topic='/front/image')
    assert frames_status(state).values == {
        'topic': '/front/image',
        'received': 40,
        'published': 20,
        'waiting': 1,
        'received_hz': '15.0',
        'published_hz': '7.5',
        'dropped/disabled': 1,
        'dropped/newer_frame': 17,
        'rejected/step': 1,
    }


def test_timing():
    stages = (StageTiming('depth', 0.5, 0.0101, 0.02, 0.03), StageTiming('decode', 1, 0, 1, 2))
    status = timing_status(stages, 0.0421)
    assert (status.name, status.level) == ('timing', OK)
    assert status.values == {
        'age_ms': '42.1',
        'depth/p50_ms': '10.10',
        'depth/p95_ms': '20.00',
        'depth/p99_ms': '30.00',
        'decode/p50_ms': '0.00',
        'decode/p95_ms': '1000.00',
        'decode/p99_ms': '2000.00',
    }


def test_age_of_no_image_is_not_a_number():
    assert timing_status((), float('nan')).values == {'age_ms': 'nan'}


@pytest.mark.parametrize(
    ('problem', 'level', 'message'),
    [('', OK, 'networks run'), ('out of memory', ERROR, 'out of memory')],
)
def test_problem(problem, level, message):
    status = problem_status('model', problem, 'networks run')
    assert (status.name, status.level, status.message) == ('model', level, message)


@pytest.mark.parametrize(
    ('frames', 'bad_transform', 'level', 'message'),
    [
        (NOT_NEEDED, '', OK, 'not needed so far'),
        (USABLE, '', OK, 'frames are known'),
        (NO_MAP, '', WARN, 'no map'),
        (USABLE, 'no rotation', WARN, 'no rotation'),
        (NOT_NEEDED, 'no rotation', WARN, 'no rotation'),
        (NO_MAP, 'no rotation', WARN, 'no map no rotation'),
    ],
)
def test_transforms(frames, bad_transform, level, message):
    status = tf_status(frames, bad_transform)
    assert (status.name, status.level, status.message) == ('tf', level, message)


def test_an_input_that_is_used_and_probably_wrong_is_a_warning():
    status = input_status('depth', InputStatus.doubtful('millimeters', 'too far'), 'fine')
    assert (status.level, status.message) == (WARN, 'too far')
    assert input_status('depth', InputStatus.failed('no_depth', 'none'), 'fine').level == ERROR


def test_the_message():
    statuses = (
        Status('frames', WARN, 'bad', {'received': 3, 'hz': '1.0'}),
        Status('model', OK, 'x'),
    )
    rows = [status.to_message('/left/perception', '/left/image') for status in statuses]
    message = diagnostic_array(Time(sec=7, nanosec=8), rows)
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (7, 8)
    first, second = message.status
    assert (first.name, first.level, first.message) == ('/left/perception: frames', b'\x01', 'bad')
    assert [(item.key, item.value) for item in first.values] == [('received', '3'), ('hz', '1.0')]
    assert (second.name, list(second.values)) == ('/left/perception: model', [])
    assert {status.hardware_id for status in message.status} == {'/left/image'}


def test_images_without_a_usable_stamp_are_a_warning():
    status = clock_status(0.01, stamps='the stamp of the image is zero')
    assert (status.level, status.message) == (WARN, 'the stamp of the image is zero')


SEVERAL = '/camera_info: the publishers send different calibrations.'


@pytest.mark.parametrize(
    ('calibration', 'level', 'message'),
    [
        (USABLE, WARN, SEVERAL),
        (InputStatus.failed('size_mismatch', 'other size.'), ERROR, f'other size. {SEVERAL}'),
        (NOT_NEEDED, OK, 'not needed so far'),
    ],
)
def test_calibrations_that_contradict_one_another(calibration, level, message):
    status = calibration_status(calibration, [SEVERAL])
    assert (status.level, status.message) == (level, message)


def test_lost_messages():
    few, many = InputLosses('/image', 3), InputLosses('/depth', 40, 'Publish reliably.')
    status = connections_status((), [few, many])
    assert (status.level, status.message) == (WARN, 'Publish reliably.')
    assert status.values == {'lost//image': 3, 'lost//depth': 40}
    assert connections_status((), [few]).level == OK
    status = connections_status(('no peer',), [many])
    assert (status.level, status.message) == (ERROR, 'no peer')


def test_losses_matter_only_as_a_share_of_the_last_seconds():
    meter = LossMeter()
    answers = []
    # (arrived, lost) of each second: some lost, many lost, none.
    for received, lost in [(30, 0), (30, 3), (30, 4), (10, 20), (30, 30)] + [(30, 0)] * 12:
        meter.received += received
        meter.lost += lost
        answers.append(meter.recent())
    assert answers[:3] == [None] * 3
    assert answers[3:5] == [(27, 127), (57, 187)]
    assert answers[-1] is None
