"""Datasets of rendered scenes on disk."""

from contextlib import suppress
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from reasons import raises

from robot_perception.core.errors import InputError, OutputError
from robot_perception.world import render, SCENE_TYPES
from robot_perception.world.color_names import COLOR_NAMES
from robot_perception.world.training import render_dataset
from robot_perception.world.training.dataset import open_dataset, SIZE_HW

pytestmark = pytest.mark.slow

SEEDS = range(40, 43)
# The worker processes import this program too: they render without torch.
RENDER = """
import sys
from pathlib import Path
sys.modules.update(dict.fromkeys(['torch', 'transformers']))
from robot_perception.world.training import render_dataset
if __name__ == '__main__':
    render_dataset(Path(sys.argv[1]), range(2000), processes=1)
"""


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('scenes') / 'data'
    render_dataset(folder, SEEDS, processes=1)
    return folder


def test_dataset_equals_rendered_frames(folder):
    dataset = open_dataset(folder)
    for index in (0, 2):
        frame = render(SEEDS[index], SIZE_HW)
        found = frame.detections
        np.testing.assert_array_equal(dataset.images[index], frame.image.rgb)
        np.testing.assert_array_equal(dataset.instances[index], frame.instances)
        np.testing.assert_allclose(dataset.depth_m[index], frame.depth.meters, rtol=1e-3)
        np.testing.assert_array_equal(dataset.objects[index, : len(found), 2:], found.boxes_xyxy)
        np.testing.assert_array_equal(dataset.objects[index, : len(found), 0], found.class_ids)
        assert np.all(dataset.objects[index, len(found) :, 0] == -1)
        names = [None if color < 0 else COLOR_NAMES[color] for color in dataset.colors[index]]
        assert names == [*frame.colors, *[None] * (len(names) - len(found))]
        assert SCENE_TYPES[dataset.scene_types[index]] == frame.scene_type


def test_only_missing_scenes_are_rendered_again(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / 'copy')
    half = open_dataset(copy)
    half.images[1] = 0
    half.rendered[1] = False
    half.images[2] = 1
    counts = []
    again = render_dataset(copy, SEEDS, processes=1, on_scenes=counts.append)
    assert counts == [len(SEEDS) - 1, 1]
    np.testing.assert_array_equal(again.images[1], open_dataset(folder).images[1])
    assert np.all(again.images[2] == 1)


def test_worker_processes_exit_when_their_parent_is_killed(tmp_path):
    program, folder = tmp_path / 'render.py', tmp_path / 'data'
    program.write_text(RENDER)
    parent = subprocess.Popen([sys.executable, program, folder], start_new_session=True)
    try:
        _wait_for(lambda: parent.poll() is not None or _has_scene(folder))
        assert parent.poll() is None
        parent.kill()
        parent.wait()
        # A process group is gone when none of its processes is left.
        _wait_for(lambda: not _is_alive(parent.pid))
    finally:
        with suppress(ProcessLookupError):
            os.killpg(parent.pid, signal.SIGKILL)


def _has_scene(folder):
    return (folder / 'about.json').exists() and open_dataset(folder).rendered[0]


def _wait_for(condition, limit_s=300):
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def _is_alive(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ('seeds', 'reason'),
    [
        (range(5, 5), 'out_of_range'),
        (range(899_990, 900_001), 'reserved_for_tests'),
    ],
)
def test_seeds_outside_the_training_range_are_rejected(tmp_path, seeds, reason):
    with raises(InputError, reason):
        render_dataset(tmp_path / 'data', seeds, processes=1)
    assert not (tmp_path / 'data').exists()


def test_a_folder_with_other_seeds_is_rejected(folder):
    with raises(OutputError, 'other_content'):
        render_dataset(folder, range(2), processes=1)


@pytest.mark.parametrize(
    ('about', 'reason'),
    [('', 'other_content'), ('{"version": 0, "seeds": [40, 43]}', 'other_version')],
)
def test_a_folder_with_other_content_is_rejected(folder, tmp_path, about, reason):
    copy = shutil.copytree(folder, tmp_path / 'copy')
    (copy / 'about.json').write_text(about)
    with raises(OutputError, reason):
        render_dataset(copy, SEEDS, processes=1)
