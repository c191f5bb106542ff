"""Panoptic quality in closed form, by torchmetrics, and by its definition pixel by pixel."""

import numpy as np
import pytest
from truths import example_truth, perfect

from robot_perception.core import Detections, Masks
from robot_perception.evaluation.panoptic import panoptic_counts, panoptic_estimate, Segments

ONCE = np.ones(1, np.int64)
NAMES = ('ball', 'cup', 'book')
# PQ, SQ and RQ of random_maps(seed) by torchmetrics 1.9.0, which counts in float32.
BY_TORCHMETRICS = [
    (0.470171740678, 0.709509541591, 0.655555566152),
    (0.509686622312, 0.786752144496, 0.655555566152),
    (0.562794576673, 0.683718482653, 0.822222232819),
    (0.479285722290, 0.534523814917, 0.600000003974),
]


def segments(names, pixels):
    count = len(names)
    boxes = np.tile(np.array([0, 0, 1, 1], np.float32), (count, 1))
    objects = Detections(boxes, np.ones(count, 'f'), np.zeros(count, np.int32), tuple(names))
    return Segments(objects, Masks(np.asarray(pixels, np.bool_), np.ones(count, 'f')))


def strips(*ranges, width=100):
    pixels = np.zeros((len(ranges), 1, width), np.bool_)
    for row, (low, high) in zip(pixels, ranges, strict=True):
        row[:, low:high] = True
    return pixels


def quality(predictions, truth, counted=None):
    counted = np.ones(len(truth.masks), np.bool_) if counted is None else np.array(counted)
    return panoptic_estimate([panoptic_counts(predictions, truth, counted)])(ONCE)


def test_a_perfect_answer():
    truth = example_truth()
    scene = perfect(truth)
    predictions = Segments(scene.detections, scene.masks)
    assert quality(predictions, Segments(truth.detections, truth.masks)) == pytest.approx(
        [1, 1, 1]
    )


def test_one_true_positive_one_false_negative_one_false_positive():
    truth = segments(['cup', 'cup'], strips((0, 20), (30, 50)))
    predictions = segments(['cup', 'cup'], strips((5, 20), (70, 90)))
    # One overlap of 15 / 20 over 1 + 1 / 2 + 1 / 2.
    assert quality(predictions, truth) == pytest.approx([0.375, 0.75, 0.5])


def test_half_an_overlap_is_none():
    truth = segments(['cup'], strips((0, 20)))
    assert quality(segments(['cup'], strips((10, 20))), truth) == pytest.approx([0, 0, 0])
    assert quality(segments(['cup'], strips((9, 20))), truth)[2] == 1


def test_another_class_is_wrong_twice():
    metrics = quality(segments(['dog'], strips((0, 20))), segments(['cup'], strips((0, 20))))
    assert metrics == pytest.approx([0, 0, 0])


def test_the_better_score_has_the_pixels():
    truth = segments(['cup', 'cup'], strips((0, 20), (20, 40)))
    predictions = segments(['cup', 'cup'], strips((0, 20), (0, 40)))
    assert quality(predictions, truth) == pytest.approx([1, 1, 1])


def test_what_does_not_count_is_neither_right_nor_wrong():
    truth = segments(['cup', 'cup'], strips((0, 20), (20, 60)))
    on_it = segments(['cup', 'dog'], strips((0, 30), (30, 60)))
    # Ten pixels of the cup lie on what does not count; the dog lies there altogether.
    assert quality(on_it, truth, [True, False]) == pytest.approx([1, 1, 1])


def test_nothing_at_all_is_unknown():
    nothing = segments([], np.zeros((0, 1, 100)))
    assert np.isnan(quality(nothing, nothing)).all()
    assert np.isnan(panoptic_estimate([None])(ONCE)).all()


def random_maps(seed):
    """Draw what was found and what is true: names, and pixels of each."""
    rng = np.random.default_rng(seed)
    size = (12, 15)
    labels = rng.integers(0, 7, (4, 5)).repeat(3, axis=0).repeat(3, axis=1)
    other = np.where(rng.random(size) < 0.2, rng.integers(0, 7, size), labels)
    sides = []
    for picture in (labels, other):
        indices = np.unique(picture[picture > 0])
        names = [
            NAMES[int(rng.integers(0, 3))] if rng.random() < 0.2 else NAMES[p % 3] for p in indices
        ]
        sides.append((names, [picture == index for index in indices]))
    return sides


@pytest.mark.parametrize('seed', range(4))
def test_it_is_that_of_torchmetrics(seed):
    predictions, truth = (segments(names, pixels) for names, pixels in random_maps(seed))
    assert quality(predictions, truth) == pytest.approx(BY_TORCHMETRICS[seed], abs=1e-7)


@pytest.mark.parametrize('seed', range(20))
def test_it_follows_the_definition(seed):
    sides = random_maps(seed)
    predictions, truth = (segments(names, pixels) for names, pixels in sides)
    sets = [
        [({*map(tuple, np.argwhere(one))}, name) for one, name in zip(pixels, names, strict=True)]
        for names, pixels in sides
    ]
    expected = []
    for name in NAMES:
        mine, theirs = ([one for one, label in side if label == name] for side in sets)
        ious = [len(one & two) / len(one | two) for one in mine for two in theirs]
        if mine or theirs:
            total = sum(iou for iou in ious if iou > 0.5)
            expected.append(total / ((len(mine) + len(theirs)) / 2))
    assert quality(predictions, truth)[0] == pytest.approx(np.mean(expected))
