"""Average precision, against COCO's own code."""

import contextlib
from dataclasses import replace
import io

from coco_reference import coco_metrics
import numpy as np
import pytest
from random_boxes import detections, NAMES, random_frame

from robot_perception.core import Detections
from robot_perception.evaluation.frame_matches import FrameMatches, IOU_LIMITS
from robot_perception.evaluation.precision import FrameBoxes, PrecisionCurves

ONCE = np.ones(1, np.int64)


def curves(frames):
    """Match the boxes of frames."""
    matches = [FrameMatches.of_boxes(one.predictions, one.truth, one.counted) for one in frames]
    return PrecisionCurves(matches, NAMES)


def by_pycocotools(frames):
    """AP, AP50, AP75, AR and AP of each class by the original implementation."""
    coco = pytest.importorskip('pycocotools.coco')
    cocoeval = pytest.importorskip('pycocotools.cocoeval')
    truth, predictions = coco.COCO(), []
    truth.dataset = {
        'images': [{'id': i} for i in range(len(frames))],
        'categories': [{'id': i, 'name': name} for i, name in enumerate(NAMES)],
        'annotations': [],
    }
    for image, frame in enumerate(frames):
        for own, list_ in (
            (frame.truth, truth.dataset['annotations']),
            (frame.predictions, predictions),
        ):
            for i, box in enumerate(own.boxes_xyxy.astype(float)):
                left, top, right, bottom = box
                list_.append(
                    {
                        'id': len(list_) + 1,
                        'image_id': image,
                        'category_id': NAMES.index(own.class_names[i]),
                        'bbox': [left, top, right - left, bottom - top],
                        'area': (right - left) * (bottom - top),
                        'iscrowd': int(own is frame.truth and not frame.counted[i]),
                        'score': float(own.scores[i]),
                    }
                )
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        run = cocoeval.COCOeval(truth, truth.loadRes(predictions), 'bbox')
        run.evaluate()
        run.accumulate()
        run.summarize()
    precision = run.eval['precision'][..., 0, -1]
    per_class = [values[values > -1].mean() for values in np.moveaxis(precision, -1, 0)]
    return np.array([run.stats[0], run.stats[1], run.stats[2], run.stats[8], *per_class])


@pytest.mark.parametrize('seed', range(5))
def test_both_equal_the_original(seed):
    rng = np.random.default_rng(seed)
    frames = [random_frame(rng, objects=int(rng.integers(0, 9))) for _ in range(12)]
    expected = by_pycocotools(frames)
    assert 0.05 < expected[0] < 0.95
    np.testing.assert_allclose(coco_metrics(frames, NAMES).as_array(), expected, atol=1e-6)
    ours = curves(frames).metrics(np.ones(len(frames), np.int64))
    np.testing.assert_allclose(ours.as_array(), expected, atol=1e-12)


def test_a_mixture_is_that_many_frames():
    rng = np.random.default_rng(7)
    frames = [random_frame(rng) for _ in range(6)]
    weights = np.array([0, 3, 1, 0, 2, 1])
    repeated = [frame for frame, count in zip(frames, weights, strict=True) for _ in range(count)]
    mixed = curves(frames).metrics(weights).as_array()
    np.testing.assert_allclose(mixed, coco_metrics(repeated, NAMES).as_array(), atol=1e-6)
    once = curves(frames).metrics(np.ones(6, np.int64)).as_array()
    assert np.abs(mixed - once).max() > 1e-3


def test_limits_are_those_of_coco():
    np.testing.assert_allclose(IOU_LIMITS, np.arange(0.5, 1, 0.05))


def test_nothing_found_is_zero_and_no_object_is_unknown():
    rng = np.random.default_rng(0)
    nothing = FrameBoxes.of(Detections.empty(), random_frame(rng).truth, np.ones(8, np.bool_))
    for metrics in (
        coco_metrics([nothing], NAMES),
        curves([nothing]).metrics(ONCE),
    ):
        assert (metrics.ap, metrics.ap50, metrics.ar) == (0, 0, 0)
    empty = FrameBoxes.of(random_frame(rng).predictions, Detections.empty(), np.zeros(0, np.bool_))
    for metrics in (coco_metrics([empty], NAMES), curves([empty]).metrics(ONCE)):
        assert np.isnan(metrics.as_array()).all()


def test_of_many_predictions_the_best_hundred_count():
    boxes = np.tile([0.0, 0, 5, 5], (150, 1))
    predictions = detections(boxes, np.linspace(0, 1, 150), np.zeros(150, int))
    frame = FrameBoxes.of(predictions, Detections.empty(), np.zeros(0, np.bool_))
    assert len(frame.predictions) == 100
    assert frame.predictions.scores[0] == 1
    assert frame.predictions.scores.min() == pytest.approx(50 / 149)


def average(frames):
    return curves(frames).metrics(np.ones(len(frames), np.int64)).as_array()


@pytest.mark.parametrize('seed', range(3))
def test_what_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    frames = [random_frame(rng) for _ in range(6)]
    before = average(frames)
    assert average(frames[::-1]) == pytest.approx(before)
    assert average(frames * 2) == pytest.approx(before)
    # Scores are only compared.
    halved = [
        FrameBoxes(
            replace(one.predictions, scores=one.predictions.scores / 2), one.truth, one.counted
        )
        for one in frames
    ]
    assert average(halved) == pytest.approx(before)


@pytest.mark.parametrize('seed', range(3))
def test_what_never_makes_it_better(seed):
    rng = np.random.default_rng(seed)
    frames = [random_frame(rng, predictions=10) for _ in range(4)]
    before = average(frames)
    first = frames[0]
    worse = detections(
        np.concatenate([first.predictions.boxes_xyxy, [[200, 200, 210, 210]]]),
        [*first.predictions.scores, 0],
        [*first.predictions.class_ids, 0],
    )
    false_positives = [FrameBoxes(worse, first.truth, first.counted), *frames[1:]]
    assert (average(false_positives) <= before + 1e-12).all()
    for index in range(len(first.predictions)):
        fewer = first.predictions[np.arange(len(first.predictions)) != index]
        dropped = [FrameBoxes(fewer, first.truth, first.counted), *frames[1:]]
        # A dropped prediction never raises the recall, whatever it was.
        assert average(dropped)[3] <= before[3] + 1e-12
