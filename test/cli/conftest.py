"""Fixtures of the command line."""

from commands import Command
import cv2
import numpy as np
import pytest


@pytest.fixture
def command(tmp_path):
    """The program, in an empty folder."""
    return Command(tmp_path)


@pytest.fixture
def picture(tmp_path):
    """Write an image of noise and return its path; the suffix selects the format."""

    def write(name, size_hw=(48, 64), seed=0):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        bgr = np.random.default_rng(seed).integers(0, 256, (*size_hw, 3), np.uint8)
        assert cv2.imwrite(str(path), bgr)
        return path

    return write
