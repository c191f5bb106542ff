"""The JSON of COCO, as pycocotools reads it."""

import json

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
import pytest
from scenes import example_scene

from robot_perception.core import Image, Scene
from robot_perception.viewer.coco import CocoFile

# Of pycocotools with NumPy 2.
pytestmark = pytest.mark.filterwarnings('ignore:__array__ implementation:DeprecationWarning')


@pytest.fixture
def exported(tmp_path):
    """Two frames with objects, one without, one where no detector ran."""
    scenes = [
        example_scene(0),
        example_scene(1, (60, 40), 5),
        example_scene(2, count=0),
        Scene(image=Image(np.zeros((8, 9, 3), np.uint8))),
    ]
    file = CocoFile()
    for frame, scene in enumerate(scenes):
        file.add(scene, frame, f'{frame:06d}.png')
    return scenes, *file.write(tmp_path)


def test_the_data_set_holds_images_categories_and_exact_masks(exported):
    scenes, dataset, _ = exported
    coco = COCO(dataset)
    assert [(one['width'], one['height']) for one in coco.loadImgs(range(4))] == [
        scene.image.size_hw[::-1] for scene in scenes
    ]
    assert coco.loadImgs(1)[0]['file_name'] == '000001.png'
    assert {one['id']: one['name'] for one in coco.loadCats(coco.getCatIds())} == {
        0: 'cup', 1: 'chair', 2: 'person', 3: 'book', 4: 'bottle',
    }  # fmt: skip
    for frame, scene in enumerate(scenes):
        found = coco.loadAnns(coco.getAnnIds(imgIds=frame))
        assert len(found) == len(scene.objects)
        for annotation, item in zip(found, scene.objects, strict=True):
            mask = scene.masks.pixels[item.index]
            np.testing.assert_array_equal(coco.annToMask(annotation).astype(bool), mask)
            assert annotation['area'] == mask.sum()
            assert annotation['category_id'] == item.class_id
            left, top, width, height = annotation['bbox']
            box = np.array(item.box_xyxy).reshape(2, 2).clip(0, scene.image.size_hw[::-1])
            np.testing.assert_allclose(
                [left, top, left + width, top + height], box.ravel(), atol=0.02
            )
    assert min(coco.getAnnIds()) == 1


def test_results_load_and_score_full_marks_against_themselves(exported, capsys):
    _, dataset, results = exported
    truth = COCO(dataset)
    for kind in ('bbox', 'segm'):
        evaluation = COCOeval(truth, truth.loadRes(str(results)), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        assert evaluation.stats[0] == pytest.approx(1.0)


def test_scores_and_tracks_are_written(exported):
    scenes, dataset, results = exported
    annotations = json.loads(dataset.read_text())['annotations']
    objects = [item for scene in scenes for item in scene.objects]
    scores = [annotation['score'] for annotation in annotations]
    assert scores == pytest.approx([item.score for item in objects], abs=1e-4)
    assert [one.get('track_id') for one in annotations] == [item.track_id for item in objects]
    assert all(set(one) == {'image_id', 'category_id', 'bbox', 'score', 'segmentation'}
               for one in json.loads(results.read_text()))  # fmt: skip


def test_without_masks_there_are_boxes_and_their_area(tmp_path):
    scene = example_scene(0)
    file = CocoFile()
    file.add(Scene(image=scene.image, detections=scene.detections, objects=scene.objects), 0, 'a')
    (dataset, _) = file.write(tmp_path)
    annotations = json.loads(dataset.read_text())['annotations']
    assert all('segmentation' not in one for one in annotations)
    for one in annotations:
        assert one['area'] == pytest.approx(one['bbox'][2] * one['bbox'][3], rel=0.01)


def test_categories_are_all_classes_of_the_detector(tmp_path):
    file = CocoFile()
    file.add(example_scene(0), 0, 'a.png')
    found = {item.class_id: item.class_name for item in example_scene(0).objects}
    classes = {**found, 70: 'N/A', 71: 'N/A', 72: 'fork'}
    (path, _) = file.write(tmp_path, classes)
    coco = COCO(path)
    names = {one['id']: one['name'] for one in coco.loadCats(coco.getCatIds())}
    assert names == {**found, 72: 'fork'}


def test_no_frames_are_a_valid_empty_data_set(tmp_path):
    dataset, results = CocoFile().write(tmp_path)
    assert COCO(dataset).getImgIds() == []
    assert json.loads(results.read_text()) == []
