"""COCO files and depth pictures: read as they are, refused where they make no sense."""

import copy
import json

import cv2
import numpy as np
import pytest
from truths import figures

from robot_perception.core.errors import SourceError
from robot_perception.evaluation import bootstrap, coco_frames, depth_frames, Evaluation

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
FOUND = [
    {'image_id': 5, 'category_id': 1, 'bbox': [40, 10, 10, 20], 'score': 0.3},
    {'image_id': 5, 'category_id': 44, 'bbox': [10, 10, 20, 10], 'score': 0.9},
    {'image_id': 9, 'category_id': 1, 'bbox': [1, 1, 5, 5], 'score': 0.8},
]


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    """Intervals are the matter of test_resampling."""
    monkeypatch.setattr(bootstrap, 'RESAMPLES', 10)


@pytest.fixture
def files(tmp_path):
    """Write both files; give their paths."""

    def write(truth=TRUTH, found=FOUND):
        paths = tmp_path / 'found.json', tmp_path / 'truth.json'
        for path, content in zip(paths, (found, truth), strict=True):
            path.write_text(content if isinstance(content, str) else json.dumps(content))
        return paths

    return write


def report_of(paths, **options):
    evaluation = Evaluation()
    _, frames = coco_frames(*paths, **{'threshold': 0.5, **options})
    for frame in frames:
        evaluation.add(frame.scene, frame.truth, candidates=frame.candidates)
    return evaluation.report()


def boxed(entries):
    """Give each entry a polygon as large as its box."""
    entries = copy.deepcopy(entries)
    for entry in entries:
        x, y, width, height = entry['bbox']
        corners = [x, y, x + width, y, x + width, y + height, x, y + height]
        entry['segmentation'] = [corners]
    return entries


def test_boxes(files):
    report = report_of(files())
    assert (report.frames, report.objects, report.ignored) == (2, {'ball': 1, 'cup': 1}, 1)
    found = figures(report)
    assert found['detector', 'AP'] == pytest.approx(1)
    # That of 0.3 is no object, and that on the crowd is ignored.
    assert (found['detector', 'precision'], found['detector', 'recall']) == (1, 0.5)
    assert found['masks', 'IoU, predicted boxes'] is None
    assert found['depth', 'AbsRel'] is None


def test_masks(files):
    paths = files({**TRUTH, 'annotations': boxed(TRUTH['annotations'])}, boxed(FOUND))
    found = figures(report_of(paths, threshold=0.2))
    assert found['masks', 'IoU, predicted boxes'] == 1
    assert found['panoptic', 'PQ'] == pytest.approx(1)


def test_frames_have_names_sizes_and_pictures(files, tmp_path):
    count, frames = coco_frames(*files(), threshold=0.5)
    first, second = frames
    assert (count, first.name, first.scene.image.size_hw) == (2, 'a.png', (40, 60))
    assert second.truth.counted.tolist() == [False]
    for name, size_hw in (('a.png', (40, 60)), ('b.png', (30, 31))):
        cv2.imwrite(str(tmp_path / name), np.full((*size_hw, 3), (1, 2, 3), np.uint8))
    _, frames = coco_frames(*files(), threshold=0.5, images=tmp_path)
    assert next(frames).scene.image.rgb[0, 0].tolist() == [3, 2, 1]
    with pytest.raises(SourceError, match=r'b.png: expected a picture of the size in the truth'):
        next(frames)
    (tmp_path / 'a.png').unlink()
    with pytest.raises(SourceError, match=r'a.png: expected a picture, got none'):
        next(coco_frames(*files(), threshold=0.5, images=tmp_path)[1])


def test_no_predictions_and_no_objects(files):
    assert figures(report_of(files(found=[])))['detector', 'AP'] == 0
    report = report_of(files({**TRUTH, 'annotations': []}))
    found = figures(report)
    assert (found['detector', 'AP'], found['detector', 'recall']) == (None, None)
    assert found['detector', 'precision'] == 0
    assert 'NaN' not in json.dumps(report.as_json(), allow_nan=False)


@pytest.mark.parametrize('reverse', [False, True])
def test_the_order_of_entries_changes_nothing(files, reverse):
    order = -1 if reverse else 1
    truth = {
        'images': TRUTH['images'][::order],
        'categories': TRUTH['categories'][::order],
        'annotations': TRUTH['annotations'][::order],
    }
    found = figures(report_of(files(truth, FOUND[::order])))
    assert found == figures(report_of(files()))


def changed(part, place, **values):
    content = copy.deepcopy(TRUTH)
    entry = content[part][place]
    for key, value in values.items():
        entry.pop(key)
        if value is not None:
            entry[key] = value
    return content


def without(key):
    return {name: value for name, value in TRUTH.items() if name != key}


@pytest.mark.parametrize(
    ('truth', 'said'),
    [
        ('', r'expected JSON of the COCO format, got a file that is none'),
        ('{"images": [', r'expected JSON of the COCO format'),
        ('[' * 100000, r'expected JSON of the COCO format'),
        (FOUND, r'an object with images, .* got list. Are predictions and truth swapped'),
        (without('images'), r'expected a list images, got none'),
        (without('annotations'), r'expected a list annotations, got none'),
        ({**TRUTH, 'categories': {}}, r'expected a list categories, got dict'),
        ({**TRUTH, 'images': []}, r'annotations|image'),
        ({**TRUTH, 'images': [], 'annotations': []}, r'(expected images, got none)|image_ids'),
        ({**TRUTH, 'images': [7]}, r'images\[0\]: expected id, got int'),
        (changed('images', 1, id=5), r'images\[1\]: expected an id of its own, got 5 again'),
        (changed('images', 0, height=None), r'images\[0\]: expected height, got id, file_name'),
        (changed('images', 0, height=0), r'images\[0\]: expected height and width above 0'),
        (changed('images', 0, width='60'), r'expected width as a whole number, got \'60\''),
        (changed('categories', 1, id=1), r'categories\[1\]: expected an id of its own'),
        (changed('categories', 1, name='cup'), r'categories of different names'),
        (changed('annotations', 0, category_id=2), r'annotations\[0\]: expected category_id'),
        (changed('annotations', 0, image_id=6), r'expected image_ids of the truth, got 1 others'),
        (changed('annotations', 0, bbox=None), r'annotations\[0\]: expected bbox, got id'),
        (changed('annotations', 0, bbox=[1, 2, 3]), r'expected bbox as \[left, top, width'),
        (changed('annotations', 0, bbox=[1, 2, -3, 4]), r'expected bbox as'),
        (changed('annotations', 0, bbox=[1, 2, float('nan'), 4]), r'expected bbox as'),
        (changed('annotations', 0, bbox=[1, 2, 1e300, 4]), r'expected bbox as'),
    ],
)
def test_truth_that_makes_no_sense(files, truth, said):
    paths = files(truth)
    with pytest.raises(SourceError, match=said):
        coco_frames(*paths, threshold=0.5)


def entry(**values):
    content = {**FOUND[0], **values}
    return [{key: value for key, value in content.items() if value is not None}]


@pytest.mark.parametrize(
    ('found', 'said'),
    [
        ('', r'found.json: expected JSON of the COCO format'),
        ('7', r'expected a list of COCO results, got int'),
        ({'images': []}, r'expected a list annotations, got none'),
        (entry(score=None), r'\[0\]: expected score, got image_id, category_id, bbox'),
        (entry(score=1.5), r'\[0\]: expected score in \[0, 1\], got 1.5'),
        (entry(score='high'), r'expected score in \[0, 1\], got high'),
        (
            entry(category_id=2),
            r'expected category_id of the truth, got 2. Those there are: 1, 44',
        ),
        (entry(image_id=6), r'expected image_ids of the truth, got 1 others of 1: 6'),
        (entry(bbox=[0, 0, 0, -1]), r'expected bbox'),
        (boxed(FOUND)[:1] + FOUND[1:], r'\[1\]: expected a segmentation, as others'),
    ],
)
def test_predictions_that_make_no_sense(files, found, said):
    paths = files(found=found)
    with pytest.raises(SourceError, match=said):
        coco_frames(*paths, threshold=0.5)


def test_a_mask_that_makes_no_sense(files):
    found = boxed(FOUND)
    found[1]['segmentation'] = {'size': [40, 61], 'counts': [40 * 61]}
    _, frames = coco_frames(*files(found=found), threshold=0.5)
    with pytest.raises(
        SourceError, match=r'\[1\]: segmentation: expected run lengths of the size'
    ):
        next(frames)


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(SourceError, match=r'cannot be read: No such file'):
        coco_frames(tmp_path / 'a.json', tmp_path / 'b.json', threshold=0.5)


@pytest.fixture
def depths(tmp_path):
    """Write depth pictures; give both folders."""

    def write(found, truth):
        folders = tmp_path / 'found', tmp_path / 'truth'
        for folder, pictures in zip(folders, (found, truth), strict=True):
            folder.mkdir()
            for name, picture in pictures.items():
                assert cv2.imwrite(str(folder / name), picture)
        return folders

    return write


def millimetres(*values):
    return np.array([values], np.uint16)


def test_depth_pictures(depths):
    truth = {'1.png': millimetres(1000, 2000, 0), '2.png': millimetres(4000, 4000, 4000)}
    found = {'1.png': millimetres(1100, 2200, 500), '2.png': millimetres(4400, 4400, 0)}
    count, frames = depth_frames(*depths(found, truth))
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
    ('found', 'said'),
    [
        ({}, 'got 0 and 1, 1 of them on one side, such as 1.png'),
        ({'2.png': millimetres(1, 2)}, 'got 1 and 1, 2 of them on one side'),
        ({'1.png': millimetres(1)}, r'expected the size of its truth \(1, 2\), got \(1, 1\)'),
        ({'1.png': np.ones((1, 2), np.uint8)}, r'16 bit picture of one channel, .* got uint8'),
        ({'1.png': np.ones((1, 2, 3), np.uint16)}, r'one channel, .* got uint16 \(1, 2, 3\)'),
    ],
)
def test_depth_that_makes_no_sense(depths, found, said):
    folders = depths(found, {'1.png': millimetres(1, 2)})
    with pytest.raises(SourceError, match=said):
        list(depth_frames(*folders)[1])


def test_a_picture_that_is_none(depths):
    found, truth = depths({'1.png': millimetres(1)}, {'1.png': millimetres(1)})
    (found / '1.png').write_bytes(b'no picture')
    with pytest.raises(SourceError, match='got none that can be read'):
        list(depth_frames(found, truth)[1])
