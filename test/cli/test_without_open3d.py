"""Where Open3D cannot be imported, only what casts rays fails, and names it."""

import subprocess
import sys

import numpy as np
import pytest

from robot_perception.sources import BagWriter, open_source
from robot_perception.viewer import write_picture

pytestmark = pytest.mark.slow

BLOCKED = 'import sys; sys.modules["open3d"] = None; '
MAIN = BLOCKED + 'from robot_perception.cli.main import main; sys.exit(main())'


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / 'photo.png'
    write_picture(np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8), path)
    return path


@pytest.fixture
def recording(photo):
    path = photo.with_name('recording')
    topics = {'image': '/camera/image_raw', 'camera_info': '/camera/camera_info'}
    with BagWriter(path) as bag, open_source(str(photo), start_ns=10**9) as source:
        for sample in source:
            bag.write(topics[sample.role.value], sample.type_name, sample.cdr, sample.stamp_ns)
    return path


def run(*arguments):
    command = [sys.executable, '-c', MAIN, *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_image_writes_its_cloud(photo, tmp_path):
    run('image', photo, '--preset', 'stub', '-o', tmp_path / 'out')
    assert list((tmp_path / 'out').rglob('*.ply'))


def test_bag_processes_a_recording(recording, tmp_path):
    run('bag', recording, '--preset', 'stub', '-o', tmp_path / 'out')
    assert (tmp_path / 'out' / 'metadata.yaml').exists()


def test_view_writes_pages(recording, tmp_path):
    run('view', recording, '--preset', 'stub', '--html', tmp_path / 'out')
    assert (tmp_path / 'out' / 'index.html').exists()


def test_export_writes_clouds(recording, tmp_path):
    run('export', recording, '--preset', 'stub', '-o', tmp_path / 'out')
    assert list((tmp_path / 'out' / 'clouds').glob('*.ply'))


def test_recording_the_demo_world_names_the_library(tmp_path):
    command = [sys.executable, '-c', MAIN, 'world', 'record', tmp_path / 'out', '--frames', '1']
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.endswith('Install it: pip install open3d')
    assert not list(tmp_path.iterdir())


def test_the_node_is_imported(tmp_path):
    pytest.importorskip('rclpy')
    code = f'{BLOCKED}import robot_perception.nodes.node'
    subprocess.run([sys.executable, '-c', code], check=True, cwd=tmp_path)
