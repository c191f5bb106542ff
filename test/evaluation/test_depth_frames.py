"""Folders of depth pictures: read as they are, refused where they make no sense."""

from functools import partial
import re

import cv2
import numpy as np
import pytest
from reasons import raises
from truths import figures

from robot_perception import evaluation
from robot_perception.core.errors import ConfigError, SourceError
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


def evaluated(folders, **units):
    evaluation = Evaluation()
    for frame in depth_frames(*folders, **units)[1]:
        evaluation.add(frame.scene, frame.truth)
    return evaluation.report()


@pytest.mark.parametrize('unit_m', [1 / 5000, 1 / 256, 0.01])
def test_a_wrong_unit_is_named_and_the_advice_removes_its_error(depths, unit_m):
    rng = np.random.default_rng(0)
    meters = rng.uniform(0.5, 10, (3, 20, 20))
    truth = {f'{i}.png': np.round(one / unit_m).astype(np.uint16) for i, one in enumerate(meters)}
    noisy = meters * rng.normal(1, 0.02, meters.shape)
    found = {f'{i}.png': np.round(one * 1000).astype(np.uint16) for i, one in enumerate(noisy)}
    folders = depths(found, truth)
    (note,) = evaluated(folders).notes
    factor = float(re.search(r'true depth is (\S+) times', note)[1])
    assert factor == pytest.approx(0.001 / unit_m, rel=0.02)
    assert '--truth-unit-m' in note
    report = evaluated(folders, truth_unit_m=unit_m)
    assert report.notes == ()
    assert figures(report)['depth', 'AbsRel'] == pytest.approx(0.016, abs=0.002)


def test_a_unit_of_nothing_is_refused(depths):
    folders = depths({'1.png': millimeters(1)}, {'1.png': millimeters(1)})
    for unit_m in (0.0, -1.0, float('nan'), float('inf')):
        with raises(ConfigError, 'out_of_range', 'truth_unit_m: expected meters above 0'):
            depth_frames(*folders, truth_unit_m=unit_m)


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
