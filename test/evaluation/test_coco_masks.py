"""Masks of COCO files, against pycocotools, and everything that is none."""

import cv2
import numpy as np
import pytest

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
    'segmentation',
    [
        [[1, 2, 3]],
        [[1, 2, 3, 4]],
        [[]],
        [['a'] * 6],
        [[1e9, 1, 2, 2, 3, 3]],
        [[float('nan')] * 6],
        [1, 2, 3, 4, 5, 6],
        'text',
        7,
        {},
        {'size': [10, 10]},
        {'size': [9, 10], 'counts': [90]},
        {'size': 10, 'counts': [100]},
        {'size': [10, 10], 'counts': [50, 49]},
        {'size': [10, 10], 'counts': [50, 500]},
        {'size': [10, 10], 'counts': [-5, 105]},
        {'size': [10, 10], 'counts': [50.5, 49.5]},
        {'size': [10, 10], 'counts': 'zzzz'},
        {'size': [10, 10], 'counts': '\xff\x01'},
        {'size': [10, 10], 'counts': ''},
        {'size': [10, 10], 'counts': 'o' * 100000},
        {'size': [10, 10], 'counts': 7},
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_no_mask(segmentation):
    with pytest.raises(InputError, match='expected'):
        segmentation_mask(segmentation, (10, 10))
