"""COCO files: read as they are, refused where they make no sense."""

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
from robot_perception.evaluation import coco_frames

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
        evaluation.add(
            frame.scene,
            frame.truth,
            candidates=frame.candidates,
            box_matches=frame.box_matches,
            mask_matches=frame.mask_matches,
        )
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
        (changed('images', 0, width=60.5), 'wrong_type'),
        (changed('images', 0, width=10**6, height=10**6), 'too_large'),
        (changed('images', 1, id='5'), 'duplicate_id'),
        (changed('images', 1, id=5.0), 'duplicate_id'),
        (changed('images', 1, id=None), 'missing_key'),
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
        (entry(score=87), 'out_of_range'),
        (entry(category_id=1.5), 'wrong_type'),
        (entry(image_id=True), 'wrong_type'),
        (entry(image_id='05'), 'unknown_image'),
        (entry(bbox=None), 'missing_key'),
        (entry(bbox=[]), 'wrong_format'),
        (entry(bbox=None, segmentation=[[1, 2, 3]]), 'damaged'),
        (entry(bbox=None, segmentation={'size': [1e6, 1e6], 'counts': [1e12]}), 'damaged'),
        (entry(bbox=None, segmentation={'size': [3, 3], 'counts': [10**400]}), 'damaged'),
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
    truth = {**TRUTH, 'annotations': boxed(TRUTH['annotations'])}
    _, frames = coco_frames(*files(truth, predictions), threshold=0.5)
    with raises(SourceError, 'damaged', match=r'\[1\]: segmentation: '):
        next(frames)


def test_files_that_are_not_there(tmp_path):
    with raises(SourceError, 'cannot_read'):
        coco_frames(tmp_path / 'a.json', tmp_path / 'b.json', threshold=0.5)


def test_repeated_names_are_refused_with_their_places(files):
    paths = files(changed('categories', 1, name='cup'))
    with raises(SourceError, 'duplicate_name', match=r'categories\[1\]: .*cup of categories\[0\]'):
        coco_frames(*paths, threshold=0.5)


def test_scores_in_percent_are_refused_with_their_place(files):
    with raises(SourceError, 'out_of_range', match=r'\[0\]: .* got 87\. Divide .* by 100'):
        coco_frames(*files(predictions=entry(score=87)), threshold=0.5)


def swap(entries, key, values):
    """Replace the values of a key, by a function or a mapping."""
    change = values if callable(values) else values.__getitem__
    return [{**one, key: change(one[key])} for one in copy.deepcopy(entries)]


def identified(convert):
    """Return ground truth and predictions whose ids are converted."""
    truth = {part: swap(TRUTH[part], 'id', convert) for part in ('images', 'categories')}
    lists = [TRUTH['annotations'], PREDICTIONS]
    annotations, predictions = (
        swap(swap(one, 'image_id', convert), 'category_id', convert) for one in lists
    )
    return {**truth, 'annotations': annotations}, predictions


@pytest.mark.parametrize('convert', [float, str, 'id {}'.format])
def test_ids_are_integers_floats_or_text(files, convert):
    expected = figures(evaluate_files(files()))
    truth, predictions = identified(convert)
    assert figures(evaluate_files(files(truth, predictions))) == expected
    if convert != 'id {}'.format:
        assert figures(evaluate_files(files(truth, PREDICTIONS))) == expected
        assert figures(evaluate_files(files(TRUTH, predictions))) == expected


def own(**parts):
    """Return predictions as an object that numbers images and categories itself."""
    content = {
        'images': [
            {'id': 9, 'file_name': 'a.png', 'height': 40, 'width': 60},
            {'id': 5, 'file_name': 'b.png', 'height': 30, 'width': 30},
        ],
        'categories': [{'id': 44, 'name': 'cup'}, {'id': 1, 'name': 'ball'}],
        'annotations': swap(
            swap(PREDICTIONS, 'image_id', {5: 9, 9: 5}), 'category_id', {1: 44, 44: 1}
        ),
    }
    return {**content, **parts}


def test_own_images_and_categories_are_mapped_by_name(files):
    expected = figures(evaluate_files(files()))
    assert expected['detector', 'AP'] == pytest.approx(1)
    assert figures(evaluate_files(files(predictions=own()))) == expected
    folders = swap(own()['images'], 'file_name', 'val/{}'.format)
    assert figures(evaluate_files(files(predictions=own(images=folders)))) == expected
    # Without own categories or images, the ids are those of the ground truth.
    numbered = own(categories=[], annotations=swap(PREDICTIONS, 'image_id', {5: 9, 9: 5}))
    assert figures(evaluate_files(files(predictions=numbered))) == expected
    nameless = [{'id': 5}, {'id': 9}]
    numbered = own(images=nameless, annotations=swap(PREDICTIONS, 'category_id', {1: 44, 44: 1}))
    assert figures(evaluate_files(files(predictions=numbered))) == expected


def test_same_names_in_several_folders_are_mapped_by_path(files):
    truth = {
        **TRUTH,
        'images': swap(TRUTH['images'], 'file_name', {'a.png': 'a/1.png', 'b.png': 'b/1.png'}.get),
    }
    images = swap(own()['images'], 'file_name', {'a.png': './a/1.png', 'b.png': r'b\1.png'}.get)
    report = evaluate_files(files(truth, own(images=images)))
    assert figures(report)['detector', 'AP'] == pytest.approx(1)


@pytest.mark.parametrize(
    ('parts', 'reason', 'position'),
    [
        ({'categories': [{'id': 1, 'name': 'ball'}]}, 'unknown_class', r'annotations\[0\]'),
        (
            {'categories': [{'id': 1, 'name': 'Ball'}, {'id': 44, 'name': 'Cup'}]},
            'unknown_class',
            'Cup, Ball',
        ),
        (
            {'categories': [{'id': 1, 'name': 'cup'}, {'id': 44, 'name': 'cup'}]},
            'duplicate_name',
            r'categories\[1\]',
        ),
        ({'images': own()['images'][:1]}, 'unknown_image', 'own images, got 5'),
        (
            {'images': swap(own()['images'], 'file_name', {'a.png': 'a.png', 'b.png': 'c.png'})},
            'unknown_image',
            r'images\[1\]: .*c.png',
        ),
        (
            {'images': swap(own()['images'], 'file_name', {'a.png': 'a.png', 'b.png': 'a.png'})},
            'duplicate_name',
            r'images\[1\]',
        ),
        (
            {'images': swap(own()['images'], 'height', {40: 80, 30: 30})},
            'size_mismatch',
            r'images\[0\]',
        ),
        (
            {'images': [{'id': 9, 'file_name': 'a.png'}, {'id': 5}]},
            'name_mismatch',
            r'images\[0\]',
        ),
    ],
)
def test_contradictions_are_refused_with_their_place(files, parts, reason, position):
    with raises(SourceError, reason, match=position):
        coco_frames(*files(predictions=own(**parts)), threshold=0.5)


def test_classes_that_the_ground_truth_lacks_are_noted(files):
    categories = [*own()['categories'], {'id': 3, 'name': 'fork'}]
    extra = {'image_id': 9, 'category_id': 3, 'bbox': [0, 0, 5, 5], 'score': 0.9}
    predictions = own(categories=categories, annotations=[*own()['annotations'], extra])
    notes = []
    metrics = figures(evaluate_files(files(predictions=predictions), note=notes.append))
    assert (metrics['detector', 'AP'], metrics['detector', 'precision']) == (
        pytest.approx(1),
        0.5,
    )
    assert len(notes) == 1
    assert '1 predictions' in notes[0]
    assert 'fork' in notes[0]


def without_keys(entries, *keys):
    return [{key: value for key, value in one.items() if key not in keys} for one in entries]


def test_a_result_without_a_box_has_that_of_its_mask(files):
    truth = {**TRUTH, 'annotations': boxed(TRUTH['annotations'])}
    results = without_keys(boxed(PREDICTIONS), 'bbox')
    metrics = figures(evaluate_files(files(truth, results), threshold=0.2))
    assert metrics['detector', 'AP'] == pytest.approx(1)
    assert metrics['masks', 'AP'] == pytest.approx(1)


@pytest.mark.parametrize('nothing', [[], [[]], None])
def test_masks_of_some_objects_are_left_out_with_a_note(files, nothing):
    annotations = boxed(TRUTH['annotations'])
    annotations[1]['segmentation'] = nothing
    notes = []
    paths = files({**TRUTH, 'annotations': annotations}, boxed(PREDICTIONS))
    metrics = figures(evaluate_files(paths, note=notes.append))
    assert metrics['detector', 'AP'] == pytest.approx(1)
    assert metrics['masks', 'AP'] is None
    assert len(notes) == 1
    assert 'annotations[1]: 1 of 3 objects' in notes[0]


def test_sizes_that_are_missing_are_those_of_masks_or_boxes(files):
    truth = {**TRUTH, 'images': without_keys(TRUTH['images'], 'height', 'width')}
    _, frames = coco_frames(*files(truth), threshold=0.5)
    assert [frame.scene.image.size_hw for frame in frames] == [(30, 50), (10, 30)]
    coded = {'size': [40, 60], 'counts': [0, 5, 40 * 60 - 5]}
    predictions = [{**PREDICTIONS[0], 'segmentation': coded}]
    _, frames = coco_frames(*files(truth, predictions), threshold=0.5)
    assert next(frames).scene.image.size_hw == (40, 60)
    assert figures(evaluate_files(files(truth))) == figures(evaluate_files(files()))


def test_tiny_files_cannot_claim_much_memory(files):
    huge = changed('images', 0, width=8000, height=8000)
    coded = {'size': [8000, 8000], 'counts': [64_000_000]}
    huge['annotations'] = [{**one, 'segmentation': coded} for one in huge['annotations'][:2] * 5]
    predictions = [{**PREDICTIONS[0], 'segmentation': coded}]
    with raises(SourceError, 'too_large', match=r'images\[0\]'):
        coco_frames(*files(huge, predictions), threshold=0.5)
    far = {**TRUTH, 'images': without_keys(TRUTH['images'], 'height', 'width')}
    far['annotations'] = swap(far['annotations'], 'bbox', lambda _: [10**7, 10**7, 1, 1])
    with raises(SourceError, 'too_large', match=r'images\[0\]'):
        next(coco_frames(*files(far), threshold=0.5)[1])


@pytest.mark.parametrize('name', ['../a.png', '/etc/a.png', 'x/../../a.png', ''])
def test_images_are_inside_their_folder(files, tmp_path, name):
    folder = tmp_path / 'images'
    folder.mkdir()
    truth = changed('images', 0, file_name=name)
    with raises(SourceError, 'wrong_path', match=r'images\[0\]'):
        coco_frames(*files(truth), threshold=0.5, images=folder)


def test_control_characters_and_lone_surrogates_are_replaced(files):
    truth = changed('categories', 0, name='\x1b[31mcup\ud800')
    report = evaluate_files(files(truth))
    assert list(report.objects) == ['ball', '\ufffd[31mcup\ufffd']
    with raises(SourceError, 'unknown_class', match=r"got '\\x1b\[31m'"):
        coco_frames(*files(predictions=entry(category_id='\x1b[31m')), threshold=0.5)
