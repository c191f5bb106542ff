"""Masks of COCO files, against pycocotools, and everything that is none."""

import cv2
import numpy as np
import pytest
from reasons import raises

from robot_perception.core.errors import InputError
from robot_perception.evaluation.coco_masks import segmentation_mask

codec = pytest.importorskip('pycocotools.mask')


@pytest.mark.parametrize('seed', range(12))
def test_run_lengths_are_those_of_pycocotools(seed):
    rng = np.random.default_rng(seed)
    size_hw = tuple(int(side) for side in rng.integers(1, 300, 2))
    mask = cv2.blur((rng.random(size_hw) < rng.random()).astype(np.float32), (7, 7)) > 0.5
    coded = codec.encode(np.asfortranarray(mask.astype(np.uint8)))
    text = {'size': list(size_hw), 'counts': coded['counts'].decode()}
    assert np.array_equal(segmentation_mask(text, size_hw), mask)
    changes = np.flatnonzero(np.diff(mask.T.ravel(), prepend=False))
    counts = np.diff([0, *changes, mask.size]).tolist()
    plain = {'size': list(size_hw), 'counts': counts}
    assert np.array_equal(segmentation_mask(plain, size_hw), mask)


@pytest.mark.filterwarnings('ignore:__array__:DeprecationWarning')
def test_polygons_are_those_of_pycocotools():
    polygons = [[2.5, 3, 30, 4.2, 25, 28], [-3, 20, 8, 20, 8, 50, -3, 50]]
    merged = codec.merge(codec.frPyObjects(polygons, 40, 60))
    expected = codec.decode(merged).astype(bool)
    assert 100 < expected.sum() < 1000
    assert np.array_equal(segmentation_mask(polygons, (40, 60)), expected)


@pytest.mark.parametrize(
    ('segmentation', 'reason'),
    [
        ([[1, 2, 3]], 'wrong_format'),
        ([[1, 2, 3, 4]], 'wrong_format'),
        ([[]], 'wrong_format'),
        ([['a'] * 6], 'wrong_format'),
        ([[1e9, 1, 2, 2, 3, 3]], 'wrong_format'),
        ([[float('nan')] * 6], 'wrong_format'),
        ([1, 2, 3, 4, 5, 6], 'wrong_format'),
        ('text', 'wrong_format'),
        (7, 'wrong_format'),
        ({}, 'wrong_format'),
        ({'size': [10, 10]}, 'wrong_format'),
        ({'size': [9, 10], 'counts': [90]}, 'size_mismatch'),
        ({'size': 10, 'counts': [100]}, 'size_mismatch'),
        ({'size': [10, 10], 'counts': [50, 49]}, 'wrong_size'),
        ({'size': [10, 10], 'counts': [50, 500]}, 'wrong_size'),
        ({'size': [10, 10], 'counts': [-5, 105]}, 'wrong_size'),
        ({'size': [10, 10], 'counts': [50.5, 49.5]}, 'wrong_type'),
        ({'size': [10, 10], 'counts': 'zzzz'}, 'broken_rle'),
        ({'size': [10, 10], 'counts': '\xff\x01'}, 'broken_rle'),
        ({'size': [10, 10], 'counts': ''}, 'wrong_size'),
        ({'size': [10, 10], 'counts': 'o' * 100000}, 'broken_rle'),
        ({'size': [10, 10], 'counts': 7}, 'wrong_type'),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_no_mask(segmentation, reason):
    with raises(InputError, reason):
        segmentation_mask(segmentation, (10, 10))
