"""Whole evaluations whose outcome is known beforehand."""

from dataclasses import replace
from functools import partial
import json
import sys

import numpy as np
import pytest
from reasons import raises
from truths import example_truth, figures, join_objects, perfect, position, SIDE

from robot_perception import evaluation
from robot_perception.core import Detections, Masks, MetricDepth, RelativeDepth
from robot_perception.core.errors import MissingLibraryError, ShapeError

# Few resamples are fast; intervals are tested in test_bootstrap.
evaluate = partial(evaluation.evaluate, resamples=10)
Evaluation = partial(evaluation.Evaluation, resamples=10)

EVERY_DETECTOR = ('AP', 'AP50', 'AP75', 'AR', 'precision', 'recall')


def evaluate_examples(change=lambda truth: {}, frames=3, **truth):
    truths = [example_truth(seed, **truth) for seed in range(frames)]
    return evaluate((perfect(one, **change(one)), one) for one in truths)


def moved(truth, columns):
    """Detections pushed to the right, as boxes and as objects."""
    scene = perfect(truth)
    boxes = scene.detections.boxes_xyxy + np.array([columns, 0, columns, 0], np.float32)
    predictions = replace(scene.detections, boxes_xyxy=boxes)
    return {
        'detections': predictions,
        'objects': join_objects(predictions, [one.position for one in truth.objects]),
    }


def test_a_perfect_answer_has_perfect_figures():
    metrics = figures(evaluate_examples())
    for name in EVERY_DETECTOR:
        assert metrics['detector', name] == pytest.approx(1)
    assert [metrics['AP by class', name] for name in ('ball', 'book', 'cup')] == pytest.approx(
        [1] * 3
    )
    assert (metrics['depth', 'AbsRel'], metrics['depth', 'delta1']) == (0, 1)
    assert metrics['masks', 'IoU, predicted boxes'] == 1
    assert metrics['masks', 'boundary IoU, predicted boxes'] == 1
    assert metrics['3D', 'located'] == 1
    assert metrics['3D', 'centroid error, 90th percentile'] == 0
    assert metrics['3D', 'box IoU'] == pytest.approx(1)
    assert metrics['features', 'scene type by nearest neighbour'] == 1
    assert metrics['time', 'detector, median'] == pytest.approx(20)
    assert metrics['time', 'frames per second'] == pytest.approx(1 / 0.05)


def test_boxes_pushed_aside():
    # An IoU of 9 / 15 = 0.6, which passes the limits 0.5, 0.55 and 0.6 of ten.
    metrics = figures(evaluate_examples(lambda truth: moved(truth, 3)))
    assert SIDE == 12
    assert metrics['detector', 'AP'] == pytest.approx(0.3)
    assert metrics['detector', 'AR'] == pytest.approx(0.3)
    assert (metrics['detector', 'AP50'], metrics['detector', 'AP75']) == pytest.approx((1, 0))
    assert (metrics['detector', 'precision'], metrics['detector', 'recall']) == (1, 1)


def test_boxes_pushed_too_far():
    # An IoU of 6 / 18: neither box nor mask nor place is that of the object.
    metrics = figures(evaluate_examples(lambda truth: moved(truth, 6)))
    assert [metrics['detector', name] for name in EVERY_DETECTOR] == [0] * 6
    assert metrics['masks', 'IoU, predicted boxes'] is None
    assert metrics['3D', 'centroid error, mean'] is None


def test_places_pushed_aside():
    def change(truth):
        positions = [position(one.position.centroid_m[0] + 0.05, 0, 1) for one in truth.objects]
        return {'objects': join_objects(perfect(truth).detections, positions)}

    metrics = figures(evaluate_examples(change))
    for name in ('median', 'mean', '90th percentile'):
        assert metrics['3D', f'centroid error, {name}'] == pytest.approx(5)
    # Cubes of 20 cm that are 5 cm apart share three quarters of each.
    assert metrics['3D', 'box IoU'] == pytest.approx(0.75 / 1.25)


def test_mean_and_percentiles_of_places():
    def change(truth):
        aside = zip(truth.objects, (0.01, 0.02, 0.03, 0.10), strict=True)
        positions = [position(one.position.centroid_m[0] + x, 0, 1) for one, x in aside]
        return {'objects': join_objects(perfect(truth).detections, positions)}

    metrics = figures(evaluate_examples(change, frames=1))
    assert metrics['3D', 'centroid error, median'] == pytest.approx(2.5)
    assert metrics['3D', 'centroid error, mean'] == pytest.approx(4)
    # Between the third and the fourth of four, at 0.7.
    assert metrics['3D', 'centroid error, 90th percentile'] == pytest.approx(7.9)


def test_positions_by_class_and_visibility():
    def change(truth):
        aside = zip(truth.objects, (0.01, 0.02, 0.03, 0.10), strict=True)
        positions = [position(one.position.centroid_m[0] + x, 0, 1) for one, x in aside]
        return {'objects': join_objects(perfect(truth).detections, positions)}

    # Of a ball, a cup, a book and another ball.
    metrics = figures(evaluate_examples(change, frames=1, shares=[1, 0.25, 0.95, 0.96]))
    away = {name: metrics['centroid error by class', name] for name in ('ball', 'cup', 'book')}
    assert away == pytest.approx({'ball': 5.5, 'cup': 2, 'book': 3})
    # Cubes of 20 cm, x apart, share 1 - x / 20 of each.
    assert metrics['3D box IoU by class', 'cup'] == pytest.approx(0.9 / 1.1)
    balls = (0.95 / 1.05 + 0.5 / 1.5) / 2
    assert metrics['3D box IoU by class', 'ball'] == pytest.approx(balls)
    shares = [
        metrics['centroid error by visible share', name]
        for name in (
            '25 to 50 % visible',
            '50 to 75 % visible',
            '75 to 95 % visible',
            '95 to 100 % visible',
        )
    ]
    assert shares == [pytest.approx(2), None, pytest.approx(3), pytest.approx(5.5)]
    assert metrics['3D', 'box IoU, median'] == pytest.approx((0.85 / 1.15 + 0.9 / 1.1) / 2)


def test_places_that_are_far_or_unknown():
    truth = example_truth(count=3)
    positions = [position(0, 0, 1), position(0, 0, 2.5), position(0, 0, 1.5)]
    truth = replace(truth, objects=join_objects(truth.detections, positions))
    answers = join_objects(perfect(truth).detections, [positions[0], position(0, 0, 9), None])
    metrics = figures(evaluate([(perfect(truth, objects=answers), truth)]))
    assert metrics['3D', 'located'] == 0.5
    assert metrics['3D', 'centroid error, mean'] == 0


def test_hidden_objects_are_neither_right_nor_wrong():
    shares = [1, 0.2, 1, 0.24]
    found_all = evaluate_examples(shares=shares)
    assert (sum(found_all.objects.values()), found_all.ignored) == (6, 6)

    def only_visible(truth):
        scene = perfect(truth)
        kept = truth.counted
        predictions = scene.detections[kept]
        return {
            'detections': predictions,
            'masks': Masks(scene.masks.pixels[kept], scene.masks.scores[kept]),
            'objects': join_objects(predictions, [position(0, 0, 1)] * len(predictions)),
        }

    for report in (found_all, evaluate_examples(only_visible, shares=shares)):
        metrics = figures(report)
        for name in EVERY_DETECTOR:
            assert metrics['detector', name] == pytest.approx(1)


def test_a_class_of_hidden_objects_alone_has_no_precision():
    report = evaluate_examples(frames=1, shares=[1, 0.2, 1, 0.24])
    metrics = figures(report)
    assert report.objects == {'ball': 1, 'book': 1}
    assert ('AP by class', 'cup') not in metrics
    for name in EVERY_DETECTOR:
        assert metrics['detector', name] == pytest.approx(1)


def test_a_quarter_visible_counts():
    assert evaluate_examples(frames=1, count=1, shares=[0.25]).ignored == 0


def nothing(truth):
    return {'detections': Detections.empty(), 'masks': None, 'objects': ()}


def test_nothing_found():
    metrics = figures(evaluate_examples(nothing))
    for name in ('AP', 'AP50', 'AP75', 'AR', 'recall'):
        assert metrics['detector', name] == 0
    assert metrics['detector', 'precision'] is None
    assert metrics['masks', 'IoU, predicted boxes'] is None


def test_no_detector():
    metrics = figures(
        evaluate_examples(lambda truth: {'detections': None, 'masks': None, 'objects': ()})
    )
    assert all(metrics['detector', name] is None for name in EVERY_DETECTOR)
    assert metrics['AP by class', 'cup'] is None
    assert metrics['depth', 'delta1'] == 1


def test_frames_without_objects():
    report = evaluate_examples(count=0)
    metrics = figures(report)
    assert all(metrics['detector', name] is None for name in EVERY_DETECTOR)
    assert report.objects == {}
    # One frame with objects among others that have none, in one of which something is seen.
    truths = [example_truth(0, 4), example_truth(1, 0), example_truth(2, 0)]
    false_positives = perfect(example_truth(2, 4))
    answers = [
        perfect(truths[0]),
        perfect(truths[1]),
        replace(false_positives, image=truths[2].image),
    ]
    metrics = figures(evaluate(zip(answers, truths, strict=True)))
    assert metrics['detector', 'precision'] == 0.5
    assert metrics['detector', 'recall'] == 1
    assert 0.4 < metrics['detector', 'AP'] < 1


def test_no_frames():
    report = evaluate([])
    assert report.frames == 0
    assert all(row.value is None for row in report.rows)


@pytest.mark.parametrize('part', ['truth', 'scene'])
def test_depth_that_is_not_there(part):
    truth = example_truth()
    scene = perfect(truth)
    if part == 'truth':
        truth = replace(truth, depth=None)
    else:
        scene = replace(scene, depth=None)
    report = evaluate([(scene, truth)])
    assert all(row.value is None for row in report.rows if row.group == 'depth')


def test_relative_depth_has_no_meters():
    metrics = figures(
        evaluate_examples(
            lambda truth: {'depth': RelativeDepth(2 / truth.depth.meters + np.float32(1))}
        )
    )
    known = {
        name for (group, name), value in metrics.items() if group == 'depth' and value is not None
    }
    assert known == {'AbsRel, scaled and shifted'}
    assert metrics['depth', 'AbsRel, scaled and shifted'] == pytest.approx(0, abs=1e-5)


def test_each_image_counts_the_same():
    # Known at one pixel only, and twice as far there; at all pixels and right.
    truths = [example_truth(0), example_truth(1)]
    meters = np.full(truths[0].depth.size_hw, np.nan, np.float32)
    meters[0, 0] = 2 * truths[0].depth.meters[0, 0]
    answers = [perfect(truths[0], depth=MetricDepth(meters)), perfect(truths[1])]
    metrics = figures(evaluate(zip(answers, truths, strict=True)))
    assert metrics['depth', 'AbsRel'] == pytest.approx(0.5)
    assert metrics['depth', 'known pixels'] == pytest.approx((1 + 1 / meters.size) / 2)


def test_masks_of_predicted_boxes_go_by_the_boxes():
    def change(truth):
        half = truth.masks.pixels.copy()
        half[:, :, ::2] = False
        return {'masks': Masks(half, truth.masks.scores)}

    assert figures(evaluate_examples(change))['masks', 'IoU, predicted boxes'] == pytest.approx(
        0.5
    )


def test_masks_of_true_boxes_need_no_detector():
    truth = example_truth(shares=[1, 1, 1, 0.1])
    half = truth.masks.pixels.copy()
    half[0, :, ::2] = False
    half[3] = False
    evaluation = Evaluation()
    scene = replace(perfect(truth), detections=None, masks=None, objects=())
    masks = Masks(half, truth.masks.scores)
    evaluation.add(scene, truth, true_box_masks=masks)
    metrics = figures(evaluation.report())
    assert metrics['masks', 'IoU, true boxes'] == pytest.approx((0.5 + 1 + 1) / 3)
    with raises(ShapeError, 'count_mismatch'):
        evaluation.add(scene, truth, true_box_masks=Masks(half[:3], truth.masks.scores[:3]))


def test_unlikely_candidates_change_precision_but_not_what_is_above_the_threshold():
    truth = example_truth()
    scene = perfect(truth)
    kept = replace(
        scene,
        detections=scene.detections[np.arange(2)],
        masks=Masks(scene.masks.pixels[:2], scene.masks.scores[:2]),
        objects=scene.objects[:2],
    )
    evaluation = Evaluation()
    evaluation.add(kept, truth, candidates=scene.detections)
    metrics = figures(evaluation.report())
    assert (metrics['detector', 'AP'], metrics['detector', 'AR']) == pytest.approx((1, 1))
    assert (metrics['detector', 'precision'], metrics['detector', 'recall']) == (1, 0.5)
    assert figures(evaluate([(kept, truth)]))['detector', 'AR'] < 1


def test_scene_types_by_the_nearest_neighbor():
    evaluation = Evaluation()
    for angle, word in ((0, 'table'), (10, 'table'), (80, 'floor'), (95, 'table'), (200, None)):
        truth = replace(example_truth(count=1), scene_type=word)
        scene = perfect(truth)
        vector = 3 * np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))], np.float32)
        evaluation.add(replace(scene, features=replace(scene.features, vector=vector)), truth)
    metrics = figures(evaluation.report())
    assert metrics['features', 'scene type by nearest neighbour'] == 0.5


def test_errors_name_false_negatives_and_false_positives():
    truth = example_truth(0, 3)
    scene = perfect(truth)
    predictions = replace(scene.detections, class_names=('ball', 'dog', 'book'))
    scene = replace(scene, detections=predictions, objects=join_objects(predictions, [None] * 3))
    errors = Evaluation().add(scene, truth)
    assert (errors.false_negatives, errors.false_positives) == (('cup',), ('dog',))
    assert errors.error_score == 2


def test_scene_and_truth_belong_together():
    truth = example_truth()
    small = replace(
        perfect(truth),
        image=replace(truth.image, rgb=truth.image.rgb[:30]),
        camera=None,
        depth=None,
        masks=None,
    )
    with raises(ShapeError, 'size_mismatch'):
        evaluate([(small, truth)])
    with raises(ShapeError, 'count_mismatch'):
        replace(truth, masks=Masks(truth.masks.pixels[:3], truth.masks.scores[:3]))


def test_a_missing_library_is_named_with_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, 'faster_coco_eval', None)
    with raises(MissingLibraryError, 'missing_library', match='pip install'):
        Evaluation()


def test_the_report_as_json_and_as_text():
    report = evaluate_examples(nothing)
    described = json.loads(json.dumps(report.as_json(), allow_nan=False))
    assert described['frames'] == 3
    assert described['objects'] == {'ball': 4, 'book': 4, 'cup': 4}
    rows = {(row['group'], row['name']): row for row in described['rows']}
    assert rows['detector', 'precision']['value'] is None
    assert rows['detector', 'recall'] == {
        'group': 'detector',
        'name': 'recall',
        'value': 0.0,
        'low': 0.0,
        'high': 0.0,
        'unit': '',
        'higher_is_better': True,
        'target': None,
    }
    assert rows['depth', 'RMSE']['higher_is_better'] is False
    lines = report.as_text().splitlines()
    (precision,) = (line.split() for line in lines if line.startswith('  precision'))
    assert precision == ['precision', '-', '-', 'higher']
    (rate,) = (line.split() for line in lines if line.startswith('  frames per second'))
    assert rate == ['frames', 'per', 'second', '20.00', '20.00', 'to', '20.00', '1/s', 'higher']
    assert len({line.index('higher') for line in lines if line.endswith('higher')}) == 1
