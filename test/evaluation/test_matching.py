"""Which prediction is which object."""

import numpy as np

from robot_perception.core import Detections
from robot_perception.evaluation.matching import match

BOX = (0, 0, 10, 10)


def of(*items):
    """Detections of (box, score, name)."""
    boxes, scores, names = zip(*items, strict=True) if items else ((), (), ())
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores, np.float32),
        np.zeros(len(items), np.int32),
        tuple(names),
    )


def counts(*values):
    return np.array(values, np.bool_)


def test_the_better_score_chooses_first():
    found = of((BOX, 0.3, 'cup'), ((0, 0, 10, 8), 0.9, 'cup'))
    matches = match(found, of((BOX, 1, 'cup')), counts(1), [0.5, 0.85])
    assert matches.truth.tolist() == [[-1, 0], [0, -1]]
    assert matches.false_positives.tolist() == [[True, False], [False, True]]


def test_the_largest_overlap_is_taken():
    truth = of(((0, 0, 10, 6), 1, 'cup'), (BOX, 1, 'cup'))
    assert match(of((BOX, 0.5, 'cup')), truth, counts(1, 1), [0.5]).truth.tolist() == [[1]]


def test_another_class_is_another_thing():
    matches = match(of((BOX, 0.5, 'can')), of((BOX, 1, 'cup')), counts(1), [0.5])
    assert matches.false_positives.tolist() == [[True]]


def test_what_does_not_count_excuses_any_number_of_predictions():
    found = of((BOX, 0.9, 'cup'), ((1, 0, 10, 10), 0.8, 'cup'), ((50, 0, 60, 9), 0.7, 'cup'))
    matches = match(found, of((BOX, 0.1, 'cup')), counts(0), [0.5])
    assert matches.ignored.tolist() == [[True, True, False]]
    assert matches.true_positives.sum() == 0
    assert matches.false_positives.tolist() == [[False, False, True]]


def test_the_share_on_what_does_not_count_decides():
    small = of(((0, 0, 3, 3), 0.9, 'cup'))
    large = of((BOX, 1, 'cup'))
    assert match(small, large, counts(0), [0.9]).ignored.tolist() == [[True]]
    assert match(small, large, counts(1), [0.5]).false_positives.tolist() == [[True]]


def test_an_object_that_counts_comes_first():
    truth = of((BOX, 0.1, 'cup'), ((0, 0, 10, 8), 1, 'cup'))
    matches = match(of((BOX, 0.9, 'cup')), truth, counts(0, 1), [0.5])
    assert (matches.truth.tolist(), matches.true_positives.tolist()) == ([[1]], [[True]])


def test_nothing_on_either_side():
    assert match(of(), of((BOX, 1, 'cup')), counts(1), [0.5]).truth.shape == (1, 0)
    assert match(of((BOX, 1, 'cup')), of(), counts(), [0.5]).false_positives.tolist() == [[True]]
