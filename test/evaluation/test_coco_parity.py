"""Average precision of COCO files, equal to that of pycocotools, ties included."""

from collections import Counter
import contextlib
import io
import json

import numpy as np
import pytest
from truths import figures

from robot_perception import evaluation
from robot_perception.evaluation import coco_frames

coco = pytest.importorskip('pycocotools.coco')
cocoeval = pytest.importorskip('pycocotools.cocoeval')
codec = pytest.importorskip('pycocotools.mask')

pytestmark = pytest.mark.filterwarnings('ignore:__array__:DeprecationWarning')

# Indices of the statistics of pycocotools.
STATISTICS = {'AP': 0, 'AP50': 1, 'AP75': 2, 'AR': 8}
SIDE = 40


def blob(rng, near=None):
    """Return a box with two decimals, close to another one."""
    if near is None:
        corner, sides = rng.integers(0, 25, 2), rng.integers(3, 15, 2)
    else:
        corner, sides = np.array(near[:2]), np.array(near[2:])
        corner = np.maximum(corner + rng.integers(-2, 3, 2) * 0.37, 0)
        sides = np.maximum(sides + rng.integers(-2, 3, 2) * 0.73, 1)
    return [round(float(value), 2) for value in (*corner, *sides)]


def mask(box):
    """Return the pixels of a box as compressed run lengths."""
    pixels = np.zeros((SIDE, SIDE), np.uint8, order='F')
    left, top, width, height = (round(value) for value in box)
    pixels[top : top + height, left : left + width] = 1
    coded = codec.encode(pixels)
    return {'size': coded['size'], 'counts': coded['counts'].decode()}


def random_files(seed, *, ids=int, boxes=True):
    """Return ground truth and results with crowds, ties of scores, and ids in any order."""
    rng = np.random.default_rng(seed)
    numbers = [ids(number) for number in rng.choice(1000, 12, replace=False).tolist()]
    truth = {
        'images': [{'id': one, 'height': SIDE, 'width': SIDE} for one in numbers],
        'categories': [{'id': one, 'name': f'class {one}'} for one in (7, 3, 90)],
        'annotations': [],
    }
    results = []
    for number in numbers:
        for _ in range(rng.integers(0, 7)):
            box = blob(rng)
            common = {'image_id': number, 'category_id': int(rng.choice([7, 3, 90]))}
            coded = mask(box)
            truth['annotations'].append(
                {
                    **common,
                    # pycocotools takes an id of 0 for no match.
                    'id': len(truth['annotations']) + 1,
                    'bbox': box,
                    'area': box[2] * box[3],
                    'iscrowd': int(rng.random() < 0.15),
                    'segmentation': coded,
                }
            )
            for _ in range(rng.integers(0, 4)):
                near = blob(rng, box)
                score = round(float(rng.random()), 1)
                found = {**common, 'segmentation': mask(near), 'score': score}
                results.append({**found, 'bbox': near} if boxes else found)
    rng.shuffle(results)
    return truth, results


def by_pycocotools(truth, results, kind):
    """Return the statistics and the average precision of each class."""
    with contextlib.redirect_stdout(io.StringIO()):
        true = coco.COCO()
        true.dataset = json.loads(json.dumps(truth))
        true.createIndex()
        run = cocoeval.COCOeval(true, true.loadRes(json.loads(json.dumps(results))), kind)
        run.evaluate()
        run.accumulate()
        run.summarize()
    return {name: run.stats[index] for name, index in STATISTICS.items()}


def by_us(tmp_path, truth, results):
    """Return the metrics of both files."""
    paths = tmp_path / 'results.json', tmp_path / 'truth.json'
    for path, content in zip(paths, (results, truth), strict=True):
        path.write_text(json.dumps(content))
    measured = evaluation.Evaluation(resamples=0)
    for frame in coco_frames(*paths, threshold=0.5)[1]:
        measured.add(
            frame.scene,
            frame.truth,
            candidates=frame.candidates,
            box_matches=frame.box_matches,
            mask_matches=frame.mask_matches,
        )
    return figures(measured.report())


@pytest.mark.parametrize('seed', range(8))
@pytest.mark.parametrize('ids', [int, str])
def test_boxes_and_masks_in_every_digit(tmp_path, seed, ids):
    truth, results = random_files(seed, ids=ids)
    metrics = by_us(tmp_path, truth, results)
    for group, kind in (('detector', 'bbox'), ('masks', 'segm')):
        expected = by_pycocotools(truth, results, kind)
        assert 0.1 < expected['AP'] < 0.9
        for name, value in expected.items():
            assert metrics[group, name] == pytest.approx(value, abs=1e-13)


def test_results_without_boxes(tmp_path):
    truth, results = random_files(3, boxes=False)
    metrics = by_us(tmp_path, truth, results)
    for group, kind in (('detector', 'bbox'), ('masks', 'segm')):
        for name, value in by_pycocotools(truth, results, kind).items():
            assert metrics[group, name] == pytest.approx(value, abs=1e-13)


def test_a_hundred_predictions_of_each_class_count(tmp_path):
    truth, results = random_files(4)
    results = [*results, *40 * [one for one in results if one['category_id'] == 3]]
    most = Counter((one['image_id'], one['category_id']) for one in results)
    assert most.most_common(1)[0][1] > 200
    metrics = by_us(tmp_path, truth, results)
    expected = by_pycocotools(truth, results, 'bbox')
    for name, value in expected.items():
        assert metrics['detector', name] == pytest.approx(value, abs=1e-13)


def test_an_annotation_of_id_0_can_be_matched(tmp_path):
    """Pycocotools counts a prediction on it as false; here the id changes nothing."""
    truth, results = random_files(5)
    expected = by_pycocotools(truth, results, 'bbox')
    for annotation in truth['annotations']:
        annotation['id'] -= 1
    assert by_pycocotools(truth, results, 'bbox')['AP'] < expected['AP']
    assert by_us(tmp_path, truth, results)['detector', 'AP'] == pytest.approx(
        expected['AP'], abs=1e-13
    )
