"""`robot-perception demo`: real processes over DDS, from a recording to an HTML page."""

from html.parser import HTMLParser
import json
import os
import signal
import subprocess
import sys
import time

from bags import generated_frames, write_rgbd_bag
from commands import Command, MAIN, read_until
import cv2
import pytest

from robot_perception.cli.next_steps import next_steps
from robot_perception.sources import open_source

pytest.importorskip('rclpy')

from graph import TYPES

pytestmark = pytest.mark.ros

FILES = {
    'demo_overlay.png', 'demo_depth.png', 'demo_features.png', 'demo_instances.png',
    'demo_cloud.png', 'demo.ply', 'demo_scene.json', 'report.json', 'index.html',
}  # fmt: skip
TOPICS = set(TYPES)
FIRST = 'the first run'
# The first run with a recording that takes seconds.
SMALL = f"""
from functools import partial
from robot_perception.cli import first_run
first_run.first_run = partial(first_run.first_run, frames=30, size_hw=(120, 160))
{MAIN}
"""
HEADING = 'What to try next'


class References(HTMLParser):
    """Collects the references of a page."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found += [value for name, value in attrs if name in {'src', 'href'}]


def make_bag(folder):
    write_rgbd_bag(folder / 'kitchen', generated_frames(20, (48, 64)))
    return 'kitchen'


def make_compressed_bag(folder):
    write_rgbd_bag(folder / 'kitchen', generated_frames(20, (48, 64)), compressed=True)
    return 'kitchen'


def make_images(folder):
    (folder / 'pictures').mkdir()
    for index, frame in enumerate(generated_frames(6, (48, 64), depth=False)):
        assert cv2.imwrite(str(folder / 'pictures' / f'{index}.jpg'), frame.bgr)
    return 'pictures'


# Function that creates the source, size of its images, part of its description.
SOURCES = {
    'a bag': (make_bag, (48, 64), 'bag kitchen: /camera/color/image_raw as image'),
    'a compressed bag': (make_compressed_bag, (48, 64), 'image_raw/compressed as '),
    'pictures': (make_images, (48, 64), 'pictures'),
    # Last: the others replay while it records.
    FIRST: (None, (120, 160), 'bag world_bag: /camera/image_raw as image'),
}


def check_report(folder, words):
    report = json.loads((folder / 'report.json').read_text())
    assert words in report['source']
    frames = report['frames']
    assert frames['received'] >= frames['published'] > 0
    lost = sum(count for key, count in frames.items() if key.startswith(('dropped/', 'rejected/')))
    assert frames['received'] == frames['published'] + lost + frames['waiting']
    assert not any(key.startswith('rejected/') for key in frames)
    counts = report['messages']
    assert set(counts) == TOPICS | {'image'}
    assert all(0 < counts[topic] <= frames['published'] for topic in TOPICS)
    times = report['times_ms']
    assert {'decode', 'features', 'depth', 'detector', 'segmenter', 'lifting'} <= set(times)
    for row in times.values():
        assert 0 < row['p50'] <= row['p95'] <= row['p99']
    total = times['image to last output']['p50']
    assert total > max(times[name]['p50'] for name in ('decode', 'features', 'detector'))


def check_page(folder):
    text = (folder / 'index.html').read_text()
    references = [one for one in References(text).found if not one.startswith(('data:', '#'))]
    assert all((folder / one).is_file() for one in references)
    assert {'demo.ply', 'demo_scene.json', 'report.json'} <= set(references)
    assert (folder / 'world_bag').exists() == ('world_bag/world_bag.mcap' in references)
    frames = sorted((folder / 'frames').iterdir())
    assert frames
    assert {'objects.jpg', 'depth.jpg', 'image.jpg', 'frame.js'} <= {
        path.name for path in frames[0].iterdir()
    }
    # The demo networks did not run.
    assert 'demo world only' not in text.partition(HEADING)[0]


def check_scene(folder, size_hw):
    scene = json.loads((folder / 'demo_scene.json').read_text())
    assert (scene['image']['height'], scene['image']['width']) == size_hw
    assert scene['depth']['kind'] == 'metric'
    assert len(scene['objects']) == 3
    # Patches arrive on a topic of their own.
    assert scene['features']['grid'] == [12, 16]
    assert cv2.imread(str(folder / 'demo_overlay.png')).shape[:2] == size_hw


def wait_until(done, limit_s=30):
    end = time.monotonic() + limit_s
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture(scope='module')
def demos(tmp_path_factory):
    """Run all in parallel: they wait most of the time."""
    commands = {name: Command(tmp_path_factory.mktemp('demo')) for name in SOURCES}
    programs = {}
    for name, command in commands.items():
        make, _, _ = SOURCES[name]
        if name == FIRST:
            command.program = [sys.executable, '-c', SMALL]
        source = [] if make is None else [make(command.folder)]
        arguments = ('demo', *source, '--preset', 'stub', '-o', 'seen')
        programs[name] = command.start(*arguments)
        # By then its domain is in use.
        read_until(programs[name], programs[name].stderr, 'starting the node')
    return {name: (commands[name], commands[name].end(programs[name])) for name in SOURCES}


@pytest.mark.parametrize('name', SOURCES)
def test_a_recording_becomes_a_page(demos, name):
    command, done = demos[name]
    _, size_hw, words = SOURCES[name]
    assert done.returncode == 0, done.stderr
    folder = command.folder / 'seen'
    folders = {'frames', 'world_bag'} if name == FIRST else {'frames'}
    assert {path.name for path in folder.iterdir()} == FILES | folders | {'.robot_perception'}
    check_report(folder, words)
    check_page(folder)
    check_scene(folder, size_hw)
    assert f'wrote {folder / "index.html"}' in done.stdout
    assert 'image to last output' in done.stdout
    # Every topic of the bag is replayed.
    assert 'is not published' not in done.stderr


def test_the_first_run_is_compared_with_ground_truth(demos):
    command, done = demos[FIRST]
    folder = command.folder / 'seen'
    report = json.loads((folder / 'report.json').read_text())
    frames = report['accuracy']['frames']
    # A slow machine drops some; every published frame is compared.
    assert 10 < frames <= report['messages']['scene'] <= report['messages']['image'] == 30
    assert report['accuracy']['objects']['bowl'] == 2 * frames
    for text in (done.stdout, (folder / 'index.html').read_text()):
        assert (
            f'Accuracy on this one scene, over {frames} frames with {8 * frames} objects' in text
        )
        assert 'depth: mean relative error (AbsRel)' in text
    pictures = [path / 'truth_objects.jpg' for path in (folder / 'frames').iterdir()]
    assert len(pictures) == frames
    assert all(picture.is_file() for picture in pictures)
    with open_source(str(folder / 'world_bag')) as source:
        assert source.sample_count == 4 * 30


def test_the_first_run_prints_next_steps(demos):
    command, done = demos[FIRST]
    page = (command.folder / 'seen' / 'index.html').read_text()
    _, _, printed = done.stdout.partition(HEADING)
    _, _, shown = page.partition(HEADING)
    for step in next_steps():
        for words in (step.purpose, step.command.removeprefix('robot-perception ')):
            assert words in printed
            assert words in shown


@pytest.mark.parametrize('name', [name for name in SOURCES if name != FIRST])
def test_a_recording_of_the_user_has_no_ground_truth(demos, name):
    command, done = demos[name]
    folder = command.folder / 'seen'
    assert json.loads((folder / 'report.json').read_text())['accuracy'] is None
    for text in (done.stdout, (folder / 'index.html').read_text()):
        assert HEADING not in text
        assert 'Accuracy' not in text


@pytest.mark.parametrize(
    ('source', 'message'),
    [
        (
            'gone',
            'gone: expected a bag, video, picture, folder of pictures or webcam index, got a',
        ),
        ('', 'source: expected a path or the index of a webcam, got nothing. Name one.'),
        ('notes.txt', "notes.txt: expected a bag, a video or a picture, got a file named '.txt'"),
    ],
)
def test_a_source_that_cannot_be_read(command, source, message):
    (command.folder / 'notes.txt').touch()
    done = command('demo', source, '--preset', 'stub', '-o', 'seen')
    assert done.returncode == 1
    assert done.stderr.startswith('robot-perception demo: ')
    assert message in done.stderr
    assert not (command.folder / 'seen').exists()


@pytest.mark.parametrize('seconds', ['0', '-1', 'nan', 'inf'])
def test_seconds_out_of_range(command, seconds):
    done = command('demo', '--preset', 'stub', '--seconds', seconds)
    assert done.returncode == 2
    assert done.stderr == (
        f'robot-perception demo: --seconds: expected a number above 0, got {seconds}.\n'
    )


def test_an_output_that_cannot_be_written_is_reported_before_the_work(command):
    (command.folder / 'taken').touch()
    source = make_bag(command.folder)
    for words in ((), (source,)):
        done = command('demo', *words, '--preset', 'stub', '-o', 'taken/below')
        assert done.returncode == 1
        assert 'taken/below: cannot be written: Not a directory' in done.stderr
        assert done.stdout == ''
        assert 'starting the node' not in done.stderr
        assert 'recording' not in done.stderr


def test_a_node_that_cannot_start_is_not_waited_for(command):
    arguments = ('--preset', 'stub', '--set', 'depth.model=/no/such/folder', '-o', 'seen')
    done = command('demo', make_bag(command.folder), *arguments)
    assert done.returncode == 1
    assert 'cannot configure: depth.model: expected stub, demo, a folder or' in done.stderr
    assert (
        'robot-perception demo: the node did not start; its messages above state the reason'
        in (done.stderr)
    )


def read_nodes(pid):
    """Return the child processes of a program, except Python's resource tracker."""
    listed = subprocess.run(
        ['ps', '-ww', '--ppid', str(pid), '-o', 'pid=,args='],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line.split(maxsplit=1) for line in listed.stdout.splitlines()]
    return [int(child) for child, words in lines if 'spawn_main' in words]


def press_ctrl_c(program):
    os.killpg(program.pid, signal.SIGINT)


def ask_to_end(program):
    program.terminate()


@pytest.mark.parametrize('end', [press_ctrl_c, ask_to_end])
def test_ending_it_while_it_records_leaves_no_recording(command, end):
    program = command.start('demo', '--preset', 'stub', '-o', 'seen')
    try:
        assert 'recording' in read_until(program, program.stderr, 'recording')
        wait_until(lambda: any(command.folder.glob('.seen.*/seen/.world_bag.*')))
        end(program)
        _, errors = program.communicate(timeout=30)
    finally:
        program.kill()
    assert program.returncode == 130
    assert 'Traceback' not in errors
    assert not list(command.folder.glob('*seen*'))


@pytest.mark.parametrize('end', [press_ctrl_c, ask_to_end])
def test_ending_it_ends_its_nodes(command, end):
    program = command.start('demo', make_bag(command.folder), '--preset', 'stub', '-o', 'seen')
    try:
        assert 'replaying' in read_until(program, program.stderr, 'replaying')
        nodes = read_nodes(program.pid)
        end(program)
        _, errors = program.communicate(timeout=30)
    finally:
        program.kill()
    assert program.returncode == 130
    assert 'Traceback' not in errors
    assert nodes
    for pid in nodes:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
