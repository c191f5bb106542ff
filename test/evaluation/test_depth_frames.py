"""Folders of depth pictures: read as they are, refused where they make no sense."""

from functools import partial

import cv2
import numpy as np
import pytest
from reasons import raises
from truths import figures

from robot_perception import evaluation
from robot_perception.core.errors import SourceError
from robot_perception.evaluation import depth_frames

# Few resamples are fast; intervals are tested in test_bootstrap.
Evaluation = partial(evaluation.Evaluation, resamples=10)


@pytest.fixture
def depths(tmp_path):
    """Write depth pictures; give both folders."""

    def write(predictions, truth):
        folders = tmp_path / 'found', tmp_path / 'truth'
        for folder, pictures in zip(folders, (predictions, truth), strict=True):
            folder.mkdir()
            for name, picture in pictures.items():
                assert cv2.imwrite(str(folder / name), picture)
        return folders

    return write


def millimeters(*values):
    return np.array([values], np.uint16)


def test_depth_pictures(depths):
    truth = {'1.png': millimeters(1000, 2000, 0), '2.png': millimeters(4000, 4000, 4000)}
    predictions = {'1.png': millimeters(1100, 2200, 500), '2.png': millimeters(4400, 4400, 0)}
    count, frames = depth_frames(*depths(predictions, truth))
    evaluation = Evaluation()
    for frame in frames:
        evaluation.add(frame.scene, frame.truth, candidates=frame.candidates)
    rows = figures(evaluation.report())
    assert count == 2
    assert rows['depth', 'AbsRel'] == pytest.approx(0.1, rel=1e-5)
    assert rows['depth', 'known pixels'] == pytest.approx((1 + 2 / 3) / 2)
    assert rows['AbsRel by distance', '4 to 6 m'] == pytest.approx(0.1, rel=1e-5)
    assert rows['detector', 'AP'] is None


@pytest.mark.parametrize(
    ('predictions', 'reason'),
    [
        ({}, 'name_mismatch'),
        ({'2.png': millimeters(1, 2)}, 'name_mismatch'),
        ({'1.png': millimeters(1)}, 'size_mismatch'),
        ({'1.png': np.ones((1, 2), np.uint8)}, 'wrong_format'),
        ({'1.png': np.ones((1, 2, 3), np.uint16)}, 'wrong_format'),
    ],
)
def test_depth_that_makes_no_sense(depths, predictions, reason):
    folders = depths(predictions, {'1.png': millimeters(1, 2)})
    with raises(SourceError, reason):
        list(depth_frames(*folders)[1])


def test_a_picture_that_is_none(depths):
    predictions, truth = depths({'1.png': millimeters(1)}, {'1.png': millimeters(1)})
    (predictions / '1.png').write_bytes(b'no picture')
    with raises(SourceError, 'not_an_image'):
        list(depth_frames(predictions, truth)[1])
