"""Classes of pixels and of whole images."""

import numpy as np
import pytest
from reasons import raises

from robot_perception.core import (
    Image,
    InputError,
    NO_CLASS,
    Scene,
    SceneClasses,
    Semantics,
    ShapeError,
)

CLASSES = np.array([[0, 1, 1], [1, NO_CLASS, 2]], np.uint16)
NAMES = ('floor', 'wall', 'person')


def test_areas_are_ordered_and_leave_out_what_has_no_class():
    assert list(Semantics('m', CLASSES, NAMES).areas().items()) == [
        ('wall', 3),
        ('floor', 1),
        ('person', 1),
    ]
    assert Semantics('m', np.full((2, 2), NO_CLASS, np.uint16), ()).areas() == {}


def test_a_class_without_a_name_is_refused():
    with raises(InputError, 'out_of_range', 'ids below 2, .* got 2'):
        Semantics('m', CLASSES, NAMES[:2])


def test_instances_have_the_size_of_the_classes():
    with raises(ShapeError, 'size_mismatch'):
        Semantics('m', CLASSES, NAMES, np.zeros((3, 2), np.uint16))


def test_a_scene_refuses_classes_of_another_size():
    image = Image(np.zeros((4, 4, 3), np.uint8))
    with raises(ShapeError, 'size_mismatch', 'semantics'):
        Scene(image, semantics=Semantics('m', CLASSES, NAMES))


def test_scene_classes_are_sorted():
    scores = np.array([0.25, 0.5, 0.25], np.float32)
    classes = SceneClasses.sorted('m', ('a', 'b', 'c'), scores)
    assert classes.names == ('b', 'a', 'c')
    assert classes.scores.tolist() == [0.5, 0.25, 0.25]
    with raises(InputError, 'out_of_order'):
        SceneClasses('m', ('a', 'b', 'c'), scores)


@pytest.mark.parametrize('score', [-0.1, 1.1, np.nan])
def test_scores_are_between_0_and_1(score):
    with raises(InputError, 'out_of_range'):
        SceneClasses('m', ('a',), np.array([score], np.float32))


def test_a_saved_scene_keeps_both(tmp_path):
    scene = Scene(
        Image(np.zeros((2, 3, 3), np.uint8)),
        semantics=Semantics('m', CLASSES, NAMES, np.ones((2, 3), np.uint16)),
        scene_classes=SceneClasses('m', ('a',), np.array([0.5], np.float32)),
    )
    scene.save(tmp_path)
    assert Scene.load(tmp_path) == scene
