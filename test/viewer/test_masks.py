from dataclasses import replace

import numpy as np
import pytest
from scenes import example_scene

from robot_perception.core import Masks, object_color
from robot_perception.viewer import draw_instances, instance_color


def test_each_mask_has_its_color_and_the_first_wins():
    scene = example_scene(0, (60, 80), 6)
    picture = draw_instances(scene.masks)
    labels = scene.masks.instance_map()
    for index in range(6):
        assert (picture[labels == index + 1] == instance_color(index)).all()
    assert (picture[labels == 0] == picture[labels == 0][0]).all()
    assert tuple(picture[labels == 0][0]) not in {instance_color(index) for index in range(6)}


def test_masks_of_tracks_have_the_colors_of_the_overlay():
    scene = example_scene(0, (60, 80), 3)
    objects = tuple(replace(item, track_id=9 - item.index) for item in scene.objects)
    picture = draw_instances(scene.masks, objects)
    labels = scene.masks.instance_map()
    for item in objects:
        assert (picture[labels == item.index + 1] == object_color(item)).all()
    assert object_color(objects[0]) == instance_color(9)


@pytest.mark.parametrize('size_hw', [(1, 1), (5, 7)])
def test_no_masks_are_background(size_hw):
    picture = draw_instances(Masks.empty(size_hw))
    assert picture.shape == (*size_hw, 3)
    assert picture.dtype == np.uint8
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 1


def test_more_masks_than_a_byte_counts():
    pixels = np.zeros((300, 1, 300), np.bool_)
    pixels[np.arange(300), 0, np.arange(300)] = True
    picture = draw_instances(Masks(pixels, np.ones(300, np.float32)))
    assert tuple(picture[0, 299]) == instance_color(299)
