"""`robot-perception view`: HTML pages, .rrd files, and bad arguments."""

from dataclasses import replace
import importlib.util
import json
import os
import shutil
import signal
import socket
import urllib.request

from bags import generated_frames, write_rgbd_bag
import cv2
import numpy as np
import pytest
from result_bags import write_result_bag
from scenes import example_scene

from robot_perception.core import CameraModel
from robot_perception.sources.bag_writer import BagWriter
from robot_perception.sources.messages import camera_info, color_image, depth_image

SIZE_HW = (48, 64)
STUB = ('--preset', 'stub')
needs_rerun = pytest.mark.skipif(
    importlib.util.find_spec('rerun') is None, reason='needs the extra view'
)
needs_foxglove = pytest.mark.skipif(
    importlib.util.find_spec('foxglove') is None, reason='needs the extra foxglove'
)


def scenes(count=3):
    scenes = [example_scene(seed, SIZE_HW) for seed in range(count)]
    return [
        replace(scene, image=replace(scene.image, stamp_ns=1_000_000_000 * (number + 1)))
        for number, scene in enumerate(scenes)
    ]


@pytest.fixture
def results(tmp_path):
    """A result bag of three frames, with their images."""
    made = scenes()
    return write_result_bag(
        tmp_path / 'results', made, topics=('scene', 'features'), pictures=made
    )


@pytest.fixture
def camera_bag(tmp_path):
    """A camera bag of four frames whose depth is recorded after its image."""
    path = tmp_path / 'camera'
    camera = CameraModel.nominal(SIZE_HW, 70)
    with BagWriter(path) as bag:
        for frame in range(4):
            stamp_ns = 1_000_000_000 + frame * 100_000_000
            bgr = np.full((*SIZE_HW, 3), 40 * frame, np.uint8)
            depth = np.full(SIZE_HW, 1000 + frame, np.uint16)
            for delay_ns, topic, kind, data in (
                (0, '/camera/image_raw', 'Image', color_image(bgr, stamp_ns, 'eye')),
                (1, '/camera/camera_info', 'CameraInfo', camera_info(camera, stamp_ns, 'eye')),
                (30_000_000, '/camera/depth', 'Image', depth_image(depth, stamp_ns, 'eye')),
            ):
                bag.write(topic, f'sensor_msgs/msg/{kind}', data, stamp_ns + delay_ns)
    return path


def test_pages_of_recorded_results_need_no_rerun_and_no_networks(command, results):
    done = command('view', results, '--html', 'pages', '--preset', 'robot')
    assert done.returncode == 0, done.stderr
    pages = command.folder / 'pages'
    assert 'wrote 3 frames: ' in done.stdout
    frames = sorted(path.name for path in (pages / 'frames').iterdir())
    assert frames == ['000000_1000000000', '000001_2000000000', '000002_3000000000']
    for frame in frames:
        names = {path.name for path in (pages / 'frames' / frame).iterdir()}
        assert names == {'objects.jpg', 'depth.jpg', 'image.jpg', 'frame.js'}
        assert f'"frames/{frame}"' in (pages / 'index.html').read_text()


def test_images_videos_and_cameras_are_processed_by_the_networks(command, picture, camera_bag):
    picture('photo.jpg')
    writer = cv2.VideoWriter(
        str(command.folder / 'film.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 10, SIZE_HW[::-1]
    )
    for gray in (0, 100, 200):
        writer.write(np.full((*SIZE_HW, 3), gray, np.uint8))
    writer.release()
    done = command('view', 'photo.jpg', 'film.avi', camera_bag, '--html', 'pages', *STUB)
    assert done.returncode == 0, done.stderr
    assert 'wrote 8 frames' in done.stdout
    pages = sorted(path.name for path in (command.folder / 'pages/frames').iterdir())
    assert pages[0] == '000001_1000000000'
    assert pages[-2:] == ['000007_1300000000', 'photo']
    assert '"photo.jpg"' in (command.folder / 'pages' / 'index.html').read_text()


def test_late_sensor_depth_is_used(command, camera_bag):
    """Each image gets its own depth, though it was recorded after the image."""
    done = command(
        'export', camera_bag, '-o', 'out', *STUB, '--set', 'depth.source=sensor',
        '--only', 'depth_npy', 'clouds',
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    files = sorted((command.folder / 'out/depth_npy').iterdir())
    depths = [np.load(file) for file in files]
    assert [float(np.unique(one).item()) for one in depths] == pytest.approx(
        [1.0, 1.001, 1.002, 1.003]
    )
    # The first image precedes the first calibration and has 3D results too.
    assert len(list((command.folder / 'out/clouds').iterdir())) == 4


@needs_rerun
def test_save_writes_every_frame(command, results):
    chunk = pytest.importorskip('rerun.chunk')
    done = command('view', results, '--save', 'seen.rrd')
    assert done.returncode == 0, done.stderr
    frames = set()
    for one in chunk.RrdReader(command.folder / 'seen.rrd').stream():
        if one.entity_path == '/camera/boxes':
            frames |= set(one.to_record_batch().column('frame').to_pylist())
    assert frames == {0, 1, 2}
    again = command('view', results, '--save', 'seen.rrd')
    assert again.returncode == 1
    assert 'expected a new name, got seen.rrd, which exists' in again.stderr


@needs_rerun
def test_serve_offers_page_and_data_until_interrupted(command, results):
    page, data = free_ports()
    program = command.start('view', results, '--serve', '--port', page)
    try:
        address = program.stdout.readline().strip()
        assert program.stdout.readline() == 'serving 3 frames until Ctrl-C\n'
        assert f'127.0.0.1%3A{data}' in address
        with urllib.request.urlopen(f'http://127.0.0.1:{page}/') as answer:
            assert b'html' in answer.read().lower()
        socket.create_connection(('127.0.0.1', data), timeout=5).close()
        taken = command('view', results, '--serve', '--port', page)
        assert taken.returncode == 1
        assert f'expected free ports {page} and {data}, got' in taken.stderr
        program.send_signal(signal.SIGINT)
        assert command.end(program).returncode == 0
    finally:
        program.kill()


@pytest.mark.parametrize(
    'flag',
    [
        pytest.param('--serve', marks=needs_rerun),
        pytest.param('--foxglove', marks=needs_foxglove),
    ],
)
def test_one_interrupt_while_frames_are_shown_is_enough(command, flag):
    write_rgbd_bag(command.folder / 'long', generated_frames(3000, (24, 32)))
    page, _ = free_ports()
    program = command.start('view', 'long', '--preset', 'stub', flag, '--port', page)
    assert str(page) in program.stdout.readline()
    # To all programs of the terminal, as Ctrl-C does.
    os.killpg(program.pid, signal.SIGINT)
    done = command.end(program)
    assert done.returncode == 130
    assert 'until Ctrl-C' not in done.stdout


@needs_rerun
@pytest.mark.parametrize('flags', [(), ('--serve', '--port', '1')])
def test_what_cannot_be_shown_is_not_computed(command, camera_bag, flags):
    """Neither without a screen nor without a port are the missing networks of the preset named."""
    done = command('view', camera_bag, '--preset', 'robot', '--host', '192.0.2.1', *flags,
                   DISPLAY='', WAYLAND_DISPLAY='')  # fmt: skip
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert ('expected free ports 1 and 2' if flags else 'expected a screen, got none') in line


@needs_rerun
def test_serve_listens_on_loopback_unless_a_host_is_named(command, results):
    page, data = free_ports()
    program = command.start('view', results, '--serve', '--port', page)
    try:
        program.stdout.readline()
        assert program.stdout.readline() == 'serving 3 frames until Ctrl-C\n'
        for port in (page, data):
            socket.create_connection(('127.0.0.1', port), timeout=5).close()
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(('127.0.0.2', port), timeout=5)
        program.send_signal(signal.SIGINT)
        assert command.end(program).returncode == 0
    finally:
        program.kill()


def free_ports():
    """Return two consecutive free ports."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(('127.0.0.1', 0))
            port = first.getsockname()[1]
            try:
                second.bind(('127.0.0.1', port + 1))
            except OSError:
                continue
            return port, port + 1


def test_without_rerun_the_remedy_is_named(command, results):
    blocked = command.folder / 'blocked'
    blocked.mkdir()
    (blocked / 'sitecustomize.py').write_text(
        'import importlib.util, sys\n'
        'find = importlib.util.find_spec\n'
        'importlib.util.find_spec = '
        "lambda name, *rest: None if name == 'rerun' else find(name, *rest)\n"
    )
    path = os.pathsep.join([str(blocked), os.environ.get('PYTHONPATH', '')])
    done = command('view', results, '--save', 'seen.rrd', PYTHONPATH=path)
    assert done.returncode == 1
    assert 'expected the library Rerun, got a Python without it' in done.stderr
    assert 'pip install rerun-sdk' in done.stderr
    assert '--html' in done.stderr
    assert not (command.folder / 'seen.rrd').exists()


@pytest.mark.skipif(importlib.util.find_spec('foxglove') is not None, reason='it is installed')
def test_without_foxglove_the_remedy_is_named(command, results):
    done = command('view', results, '--foxglove')
    assert done.returncode == 1
    assert 'pip install foxglove-sdk' in done.stderr


@pytest.mark.parametrize('target', [('view', '--html', 'out'), ('export', '-o', 'out')])
def test_unreadable_input_is_reported_and_nothing_is_written(command, target, tmp_path):
    bag = tmp_path / 'other'
    with BagWriter(bag) as writer:
        writer.write('/imu', 'sensor_msgs/msg/CameraInfo',
                     camera_info(CameraModel.nominal(SIZE_HW, 60), 1, 'eye'), 1)  # fmt: skip
    (tmp_path / 'no.jpg').write_bytes(b'no picture')
    for name, message in (
        ('missing', 'missing: expected a bag, video, picture, folder of pictures or webcam'),
        ('no.jpg', 'no.jpg: expected a jpeg, png, tiff, webp, bmp or pnm file'),
        ('other', 'other: expected results on /perception/scene, or images of a camera'),
    ):
        done = command(target[0], name, *target[1:], *STUB)
        assert done.returncode == 1
        assert message in done.stderr
        assert not (command.folder / 'out').exists()


def test_results_of_another_node_are_named(command, tmp_path):
    bag = write_result_bag(tmp_path / 'bag', scenes(), node='/left/eye')
    done = command('view', bag, '--html', 'out')
    assert done.returncode == 1
    assert 'The bag holds results of /left/eye: name that node.' in done.stderr
    done = command('view', bag, '--html', 'out', '--node', '/left/eye')
    assert done.returncode == 0, done.stderr
    assert 'note: the bag lacks the input image, which is gray here (3 frames)' in done.stderr


def test_categories_of_exports_are_those_of_the_detector(command, tmp_path):
    classes = ['cup', 'chair', 'person', 'book', 'bottle', 'fork', 'spoon']
    bag = write_result_bag(tmp_path / 'labeled', scenes(), classes=classes)
    assert command('export', bag, '-o', 'out', '--only', 'coco', 'classes').returncode == 0
    dataset = json.loads((command.folder / 'out/coco/annotations.json').read_text())
    assert [one['name'] for one in dataset['categories']] == classes
    values = json.loads((command.folder / 'out/classes/classes.json').read_text())
    assert values == dict(zip(map(str, range(8)), ['background', *classes], strict=True))


def test_one_bad_input_among_good_ones_sets_the_exit_code(command, results):
    done = command('view', results, 'missing', '--html', 'out')
    assert done.returncode == 3
    assert 'wrote 3 frames' in done.stdout
    assert (command.folder / 'out/index.html').exists()


def test_the_readable_part_of_a_truncated_bag_is_used(command, results):
    (file,) = results.glob('*.mcap')
    cut = command.folder / 'cut.mcap'
    shutil.copy(file, cut)
    os.truncate(cut, int(file.stat().st_size * 0.75))
    done = command('export', cut, '-o', 'out', '--only', 'images', 'coco')
    assert done.returncode == 3
    assert 1 <= len(list((command.folder / 'out/images').iterdir())) < 3
    assert (command.folder / 'out/coco/annotations.json').exists()


@pytest.mark.parametrize(
    ('flags', 'message'),
    [
        (('--hfov', '180'), '--hfov: expected above 0 and below 180 degrees, got 180.0.'),
        (('--save', 'seen.bag'), '--save: expected a name ending in .rrd, got seen.bag.'),
        (('--serve', '--port', '70000'), '--port: expected 1 to 65534, got 70000.'),
    ],
)
def test_bad_flags(command, flags, message):
    done = command('view', 'missing', *flags)
    assert done.returncode == 2
    assert message in done.stderr


def test_a_folder_with_files_is_left_alone(command, results):
    (command.folder / 'out').mkdir()
    (command.folder / 'out/mine').touch()
    for verb, flag in (('view', '--html'), ('export', '-o')):
        done = command(verb, results, flag, 'out')
        assert done.returncode == 1
        assert 'out: expected no folder or an empty one, got one with files in it' in done.stderr
    assert [path.name for path in (command.folder / 'out').iterdir()] == ['mine']
