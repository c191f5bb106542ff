"""Kinds of scenes by their features."""

import numpy as np

from robot_perception.evaluation.summary import nearest_agrees


def vectors(*degrees):
    angles = np.radians(degrees)
    return list(np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32))


def test_the_nearest_other_picture_decides():
    assert nearest_agrees(vectors(0, 10, 80, 95), ['a', 'a', 'b', 'a']) == [
        True,
        True,
        False,
        False,
    ]


def test_only_the_angle_counts():
    short, long_, other = vectors(0, 5, 20)
    assert nearest_agrees([short, 100 * long_, other], ['a', 'a', 'b']) == [True, True, False]


def test_an_image_is_not_its_own_neighbor():
    assert nearest_agrees(vectors(0, 90), ['a', 'b']) == [False, False]


def test_vectors_without_length_are_like_no_other():
    zero = np.zeros(2, np.float32)
    answers = nearest_agrees([zero, *vectors(0, 1)], ['a', 'b', 'b'])
    assert answers == [False, True, True]


def test_one_image_has_no_neighbor():
    assert nearest_agrees([], []) == []
    assert nearest_agrees(vectors(0), ['a']) == []
