"""Checkpoints made once for all tests of the room."""

import shutil

from checkpoints import write_detector
import pytest
from tiny_checkpoints import write_tiny_checkpoints
import torch


@pytest.fixture(autouse=True, scope='session')
def one_thread():
    """Keep sums in one order, and the machine usable."""
    torch.set_num_threads(1)


@pytest.fixture(scope='session')
def tiny(tmp_path_factory):
    """Folder of the tiny checkpoint of each task."""
    return write_tiny_checkpoints(tmp_path_factory.mktemp('tiny'))


@pytest.fixture(scope='session')
def detector_folder(tmp_path_factory):
    """Folder of a detector of a family, made on first use."""
    folder, made = tmp_path_factory.mktemp('detectors'), {}

    def find(family):
        if family not in made:
            made[family] = write_detector(folder / family, family)
        return made[family]

    return find


@pytest.fixture
def spoilt(tiny, tmp_path):
    """Copy of the checkpoint of a task, to be spoilt."""

    def copy(task='detector'):
        return shutil.copytree(tiny[task], tmp_path / 'spoilt')

    return copy
