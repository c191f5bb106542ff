"""`robot-perception bag`, run as a program."""

import json
import os
import resource
import signal
import subprocess

from bag_kills import kill_often
from bag_results import digest, messages
from bags import generated_frames, write_rgbd_bag
import pytest

from robot_perception.bag import SLIM
from robot_perception.sources.bag_writer import BagWriter

STUB = ('--preset', 'stub')


@pytest.fixture
def recording(tmp_path):
    write_rgbd_bag(tmp_path / 'bag', generated_frames(6))
    return tmp_path / 'bag'


def test_summary_as_text_and_json(command, recording, tmp_path):
    done = command('bag', recording, '-o', tmp_path / 'out', *STUB)
    assert done.returncode == 0, done.stderr
    assert 'out: 6 images, 55 messages' in done.stdout
    assert 'frames/s; busy threads: ' in done.stdout
    again = command('bag', recording, '-o', tmp_path / 'out', *STUB, '--force', '--json')
    report = json.loads(again.stdout)
    assert report['counts']['seen'] == 6
    assert report['messages']['/perception/scene'] == 6
    assert '/perception/points' not in report['messages']
    assert {'reading', 'converting', 'lifting', 'messages', 'writing'} <= set(report['busy_s'])


@pytest.mark.parametrize(
    ('arguments', 'code', 'message'),
    [
        (('nowhere', '-o', 'out'), 1, 'nowhere'),
        (('bag', '-o', 'bag', '--force'), 2, 'expected a folder apart from the inputs'),
        (('bag', '-o', 'bag/inside'), 2, 'expected a folder apart from the inputs'),
        (('bag/bag.mcap', '-o', 'bag', '--force'), 2, 'expected a folder apart from the inputs'),
        (('bag', '-o', 'out', '--topics', 'scenes'), 2, 'topics: expected some of'),
        (('bag', '-o', 'out', '--set', 'detector.threshold=2'), 2, 'detector.threshold'),
        (('bag', '-o', 'out.mcap'), 2, 'expected the name of a folder'),
        (
            ('bag', '-o', 'out', '--image-topic', '/none'),
            1,
            'image_topic (--image-topic): expected',
        ),
        (('bag',), 2, 'required: -o/--output'),
    ],
)
def test_bad_arguments(command, recording, tmp_path, arguments, code, message):
    before = digest(recording)
    done = command('bag', *arguments, *STUB)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert digest(recording) == before
    assert [path.name for path in tmp_path.iterdir() if 'out' in path.name] == []


def test_a_truncated_recording_is_processed_in_part(command, recording, tmp_path):
    file = next(recording.glob('*.mcap'))
    file.write_bytes(file.read_bytes()[:-3000])
    done = command('bag', recording, '-o', tmp_path / 'out', *STUB)
    assert done.returncode == 3, done.stderr
    assert 'not read completely: ' in done.stdout
    assert messages(tmp_path / 'out')['/perception/scene']


def test_results_in_a_recording_are_not_a_second_camera(command, recording, tmp_path):
    first = command('bag', recording, '-o', 'both', *STUB, '--name', '/old', '--copy-input')
    assert first.returncode == 0, first.stderr
    again = command('bag', 'both', '-o', 'out', *STUB)
    assert again.returncode == 0, again.stderr
    assert messages(tmp_path / 'out').keys() == {
        topic.replace('/old', '/perception')
        for topic in messages(tmp_path / 'both')
        if topic.startswith('/old')
    }


def test_two_cameras_need_a_flag(command, tmp_path):
    left = write_rgbd_bag(tmp_path / 'left', generated_frames(2), namespace='/left')
    right = write_rgbd_bag(
        tmp_path / 'right', generated_frames(3, depth=False), namespace='/right'
    )
    with BagWriter(tmp_path / 'both') as bag:
        for one in (*left, *right):
            bag.write(one.topic, one.type_name, one.cdr, one.stamp_ns)
    asked = command('bag', 'both', '-o', 'out', *STUB)
    assert asked.returncode == 1
    assert 'expected one camera, got /left/image_raw' in asked.stderr
    assert '--image-topic' in asked.stderr
    answered = command('bag', 'both', '-o', 'out', *STUB, '--image-topic', '/right/image_raw')
    assert 'out: 3 images' in answered.stdout


def test_an_interrupted_run_resumes(command, tmp_path):
    write_rgbd_bag(tmp_path / 'bag', generated_frames(300))
    call = ('bag', tmp_path / 'bag', '-o', tmp_path / 'out', *STUB, '--split', '10')
    program = command.start(*call)
    while not (tmp_path / '.out.part' / 'progress.json').exists():
        assert program.poll() is None
    os.kill(program.pid, signal.SIGINT)
    done = command.end(program)
    assert done.returncode == 130, done.stderr
    assert 'the same command continues after the last complete file' in done.stderr
    assert not (tmp_path / 'out').exists()
    again = command(*call)
    assert again.returncode == 0, again.stderr
    assert 'resuming after' in again.stderr
    assert len(messages(tmp_path / 'out')['/perception/scene']) == 300


@pytest.mark.slow
def test_kills(tmp_path):
    kill_often(tmp_path, 4)


@pytest.mark.parametrize('limit', [10_000, 50_000])
@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_a_full_disk(command, recording, tmp_path, storage, limit):
    # The same error path as a full disk: the system refuses to let a file grow.
    program = subprocess.run(
        [*command.program, 'bag', recording, '-o', tmp_path / 'out', *STUB, '--storage', storage],
        env=command.environment,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert program.returncode == 1, program.stderr
    assert f'{tmp_path / "out"}: cannot be written: ' in program.stderr
    assert 'Traceback' not in program.stderr
    assert sorted(path.name for path in tmp_path.iterdir() if 'out' in path.name) == []


def test_clouds_are_written_on_request(command, recording, tmp_path):
    done = command('bag', recording, '-o', tmp_path / 'out', *STUB, '--clouds', '--json')
    assert done.returncode == 0, done.stderr
    names = {name.removeprefix('/perception/') for name in json.loads(done.stdout)['messages']}
    clouds = {'points', 'points/objects', 'points/background'}
    assert names == {*SLIM, 'label_info'} - {'semantics/classes'} | clouds
