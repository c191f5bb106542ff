"""Checkpoints that are written once for all tests of the package."""

import shutil

from checkpoints import write_detector
import pytest
from segmenter_checkpoints import SEGMENTERS
from tiny_checkpoints import write_tiny_checkpoints
import torch


@pytest.fixture(autouse=True, scope='session')
def one_thread():
    """Compute sums in one order, and leave cores to others."""
    torch.set_num_threads(1)


@pytest.fixture(scope='session')
def tiny(tmp_path_factory):
    """Folder of the tiny checkpoint of each task."""
    return write_tiny_checkpoints(tmp_path_factory.mktemp('tiny'))


@pytest.fixture(scope='session')
def detector_folder(tmp_path_factory):
    """Folder of a detector of a family, written on first use."""
    folder, made = tmp_path_factory.mktemp('detectors'), {}

    def find(family):
        if family not in made:
            made[family] = write_detector(folder / family, family)
        return made[family]

    return find


@pytest.fixture(scope='session')
def segmenter_folder(tmp_path_factory):
    """Folder of a segmenter of a family, written on first use."""
    folder, made = tmp_path_factory.mktemp('segmenters'), {}

    def find(family):
        if family not in made:
            made[family] = SEGMENTERS[family](folder / family)
        return made[family]

    return find


@pytest.fixture
def checkpoint_copy(tiny, tmp_path):
    """Makes a copy of the checkpoint of a task, for the test to change."""

    def copy(task='detector'):
        return shutil.copytree(tiny[task], tmp_path / 'copy')

    return copy
