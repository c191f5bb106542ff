"""COCO files and depth pictures: read as they are, refused where they make no sense."""

import copy
from functools import partial
import json

import cv2
import numpy as np
import pytest
from reasons import raises
from truths import figures

from robot_perception import evaluation
from robot_perception.core.errors import SourceError
from robot_perception.evaluation import coco_frames, depth_frames

# Few resamples are fast; intervals are tested in test_bootstrap.
Evaluation = partial(evaluation.Evaluation, resamples=10)

TRUTH = {
    'images': [
        {'id': 5, 'file_name': 'a.png', 'height': 40, 'width': 60},
        {'id': 9, 'file_name': 'b.png', 'height': 30, 'width': 30},
    ],
    'categories': [{'id': 1, 'name': 'cup'}, {'id': 44, 'name': 'ball'}],
    'annotations': [
        {'id': 1, 'image_id': 5, 'category_id': 44, 'bbox': [10, 10, 20, 10], 'iscrowd': 0},
        {'id': 2, 'image_id': 5, 'category_id': 1, 'bbox': [40, 10, 10, 20], 'iscrowd': 0},
        {'id': 3, 'image_id': 9, 'category_id': 1, 'bbox': [0, 0, 30, 10], 'iscrowd': 1},
    ],
}
PREDICTIONS = [
    {'image_id': 5, 'category_id': 1, 'bbox': [40, 10, 10, 20], 'score': 0.3},
    {'image_id': 5, 'category_id': 44, 'bbox': [10, 10, 20, 10], 'score': 0.9},
    {'image_id': 9, 'category_id': 1, 'bbox': [1, 1, 5, 5], 'score': 0.8},
]


@pytest.fixture
def files(tmp_path):
    """Write both files; give their paths."""

    def write(truth=TRUTH, predictions=PREDICTIONS):
        paths = tmp_path / 'found.json', tmp_path / 'truth.json'
        for path, content in zip(paths, (predictions, truth), strict=True):
            path.write_text(content if isinstance(content, str) else json.dumps(content))
        return paths

    return write


def evaluate_files(paths, **options):
    evaluation = Evaluation()
    _, frames = coco_frames(*paths, **{'threshold': 0.5, **options})
    for frame in frames:
        evaluation.add(frame.scene, frame.truth, candidates=frame.candidates)
    return evaluation.report()


def boxed(entries):
    """Return each entry a polygon as large as its box."""
    entries = copy.deepcopy(entries)
    for entry in entries:
        x, y, width, height = entry['bbox']
        corners = [x, y, x + width, y, x + width, y + height, x, y + height]
        entry['segmentation'] = [corners]
    return entries


def test_boxes(files):
    report = evaluate_files(files())
    assert (report.frames, report.objects, report.ignored) == (2, {'ball': 1, 'cup': 1}, 1)
    metrics = figures(report)
    assert metrics['detector', 'AP'] == pytest.approx(1)
    # That of 0.3 is no object, and that on the crowd is ignored.
    assert (metrics['detector', 'precision'], metrics['detector', 'recall']) == (1, 0.5)
    assert metrics['masks', 'IoU, predicted boxes'] is None
    assert metrics['depth', 'AbsRel'] is None


def test_masks(files):
    paths = files({**TRUTH, 'annotations': boxed(TRUTH['annotations'])}, boxed(PREDICTIONS))
    metrics = figures(evaluate_files(paths, threshold=0.2))
    assert metrics['masks', 'IoU, predicted boxes'] == 1
    assert metrics['panoptic', 'PQ'] == pytest.approx(1)


def test_frames_have_names_sizes_and_pictures(files, tmp_path):
    count, frames = coco_frames(*files(), threshold=0.5)
    first, second = frames
    assert (count, first.name, first.scene.image.size_hw) == (2, 'a.png', (40, 60))
    assert second.truth.counted.tolist() == [False]
    for name, size_hw in (('a.png', (40, 60)), ('b.png', (30, 31))):
        cv2.imwrite(str(tmp_path / name), np.full((*size_hw, 3), (1, 2, 3), np.uint8))
    _, frames = coco_frames(*files(), threshold=0.5, images=tmp_path)
    assert next(frames).scene.image.rgb[0, 0].tolist() == [3, 2, 1]
    with raises(SourceError, 'size_mismatch'):
        next(frames)
    (tmp_path / 'a.png').unlink()
    with raises(SourceError, 'missing_file', 'a.png'):
        next(coco_frames(*files(), threshold=0.5, images=tmp_path)[1])


def test_no_predictions_and_no_objects(files):
    assert figures(evaluate_files(files(predictions=[])))['detector', 'AP'] == 0
    report = evaluate_files(files({**TRUTH, 'annotations': []}))
    metrics = figures(report)
    assert (metrics['detector', 'AP'], metrics['detector', 'recall']) == (None, None)
    assert metrics['detector', 'precision'] == 0
    assert 'NaN' not in json.dumps(report.as_json(), allow_nan=False)


@pytest.mark.parametrize('reverse', [False, True])
def test_the_order_of_entries_changes_nothing(files, reverse):
    order = -1 if reverse else 1
    truth = {
        'images': TRUTH['images'][::order],
        'categories': TRUTH['categories'][::order],
        'annotations': TRUTH['annotations'][::order],
    }
    metrics = figures(evaluate_files(files(truth, PREDICTIONS[::order])))
    assert metrics == figures(evaluate_files(files()))


def changed(part, index, **values):
    content = copy.deepcopy(TRUTH)
    entry = content[part][index]
    for key, value in values.items():
        entry.pop(key)
        if value is not None:
            entry[key] = value
    return content


def without(key):
    return {name: value for name, value in TRUTH.items() if name != key}


@pytest.mark.parametrize(
    ('truth', 'reason'),
    [
        ('', 'not_json'),
        ('{"images": [', 'not_json'),
        ('[' * 100000, 'not_json'),
        (PREDICTIONS, 'wrong_format'),
        (without('images'), 'missing_list'),
        (without('annotations'), 'missing_list'),
        ({**TRUTH, 'categories': {}}, 'missing_list'),
        ({**TRUTH, 'images': []}, 'unknown_image'),
        ({**TRUTH, 'images': [], 'annotations': []}, 'unknown_image'),
        ({**TRUTH, 'images': [7]}, 'missing_key'),
        (changed('images', 1, id=5), 'duplicate_id'),
        (changed('images', 0, height=None), 'missing_key'),
        (changed('images', 0, height=0), 'out_of_range'),
        (changed('images', 0, width='60'), 'wrong_type'),
        (changed('categories', 1, id=1), 'duplicate_id'),
        (changed('categories', 1, name='cup'), 'duplicate_name'),
        (changed('annotations', 0, category_id=2), 'unknown_class'),
        (changed('annotations', 0, image_id=6), 'unknown_image'),
        (changed('annotations', 0, bbox=None), 'missing_key'),
        (changed('annotations', 0, bbox=[1, 2, 3]), 'wrong_format'),
        (changed('annotations', 0, bbox=[1, 2, -3, 4]), 'wrong_format'),
        (changed('annotations', 0, bbox=[1, 2, float('nan'), 4]), 'wrong_format'),
        (changed('annotations', 0, bbox=[1, 2, 1e300, 4]), 'wrong_format'),
    ],
)
def test_truth_that_makes_no_sense(files, truth, reason):
    paths = files(truth)
    with raises(SourceError, reason):
        coco_frames(*paths, threshold=0.5)


def test_truth_without_images(files):
    paths = files({**TRUTH, 'images': [], 'annotations': []}, [])
    with raises(SourceError, 'empty'):
        coco_frames(*paths, threshold=0.5)


def entry(**values):
    content = {**PREDICTIONS[0], **values}
    return [{key: value for key, value in content.items() if value is not None}]


@pytest.mark.parametrize(
    ('predictions', 'reason'),
    [
        ('', 'not_json'),
        ('7', 'wrong_format'),
        ({'images': []}, 'missing_list'),
        (entry(score=None), 'missing_key'),
        (entry(score=1.5), 'out_of_range'),
        (entry(score='high'), 'out_of_range'),
        (entry(category_id=2), 'unknown_class'),
        (entry(image_id=6), 'unknown_image'),
        (entry(bbox=[0, 0, 0, -1]), 'wrong_format'),
        (boxed(PREDICTIONS)[:1] + PREDICTIONS[1:], 'missing_segmentation'),
    ],
)
def test_predictions_that_make_no_sense(files, predictions, reason):
    paths = files(predictions=predictions)
    with raises(SourceError, reason):
        coco_frames(*paths, threshold=0.5)


def test_the_message_locates_the_entry_and_lists_the_classes(files):
    paths = files(predictions=entry(category_id=2))
    with raises(SourceError, 'unknown_class', match=r'found.json: \[0\]: .* are: 1, 44'):
        coco_frames(*paths, threshold=0.5)


def test_a_mask_that_makes_no_sense(files):
    predictions = boxed(PREDICTIONS)
    predictions[1]['segmentation'] = {'size': [40, 61], 'counts': [40 * 61]}
    _, frames = coco_frames(*files(predictions=predictions), threshold=0.5)
    with raises(SourceError, 'damaged'):
        next(frames)


def test_files_that_are_not_there(tmp_path):
    with raises(SourceError, 'cannot_read'):
        coco_frames(tmp_path / 'a.json', tmp_path / 'b.json', threshold=0.5)


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
