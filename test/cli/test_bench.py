"""`robot-perception bench`: a real node over DDS, on stubs, and lifting beside Open3D."""

import json

import pytest


@pytest.mark.ros
def test_json_adds_up(command):
    pytest.importorskip('rclpy')
    done = command('bench', 'node', '--frames', '3', '--json')
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert set(result) == {'frames', 'total_s', 'models_s', 'overhead_s', 'steps_s'}
    assert result['frames'] == 3
    assert len(result['steps_s']) >= 3
    spreads = [result['total_s'], result['models_s'], result['overhead_s']]
    for p50, p95, p99 in [*spreads, *result['steps_s'].values()]:
        assert 0 < p50 <= p95 <= p99 < 10
    assert result['total_s'][0] > result['models_s'][0]
    assert result['total_s'][1] > result['overhead_s'][0]


@pytest.mark.ros
def test_table(command):
    pytest.importorskip('rclpy')
    done = command('bench', 'node', '--frames', '2')
    assert done.returncode == 0, done.stderr
    first, head, *rows = done.stdout.splitlines()
    assert first == '2 frames of 640x480, all topics subscribed'
    assert head.split() == ['p50/ms', 'p95/ms', 'p99/ms', 'share']
    assert [row.split('  ')[0] for row in rows[:3]] == [
        'image to last output', 'networks', 'overhead',
    ]  # fmt: skip
    assert all(row.endswith('%') for row in rows[3:])


def test_lifting_compared_with_open3d(command):
    done = command('bench', 'lift', '--frames', '2', '--json')
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert list(result['steps_s']) == ['cloud', 'objects', 'outlines']
    for p50, p95 in [*result['steps_s'].values(), result['total_s'], result['open3d_s']]:
        assert 0 < p50 <= p95
    assert result['total_s'][0] > result['steps_s']['objects'][0]
    table = command('bench', 'lift', '--frames', '1').stdout.splitlines()
    assert table[0] == '1 frames of 640x480, eight objects'
    assert len(table) == 8


@pytest.mark.parametrize('frames', ['0', '-3'])
@pytest.mark.parametrize('subject', ['node', 'lift'])
def test_frames_out_of_range(command, subject, frames):
    done = command('bench', subject, '--frames', frames)
    assert done.returncode == 2
    assert done.stderr == f'robot-perception bench: --frames: expected at least 1, got {frames}.\n'


@pytest.mark.ros
def test_a_node_that_cannot_start_is_not_waited_for(command):
    pytest.importorskip('rclpy')
    done = command('bench', 'node', '--frames', '2', '--set', 'detector.model=/no/such/folder')
    assert done.returncode == 1
    assert (
        "detector.model: expected stub, demo, a folder or an id of the Hugging Face Hub; got '/no"
        in (done.stderr)
    )
    assert (
        'robot-perception bench: the node did not start; its messages above state the reason'
        in (done.stderr)
    )
