"""Drawings and files of the class of every pixel."""

from dataclasses import replace
import json

import cv2
import numpy as np
from scenes import example_scene

from robot_perception.core import class_color, NO_CLASS, Semantics
from robot_perception.viewer import draw_overlay, Exporter, Kind, scene_to_dict
from robot_perception.viewer.semantics import draw_semantics

SIZE_HW = (120, 160)
NAMES = ('wall', 'floor', 'never there')


def scene_with_classes(*, masks=True):
    scene = example_scene(size_hw=SIZE_HW)
    classes = np.zeros(SIZE_HW, np.uint16)
    classes[90:] = 1
    classes[:6] = NO_CLASS
    semantics = Semantics('m', classes, NAMES)
    if not masks:
        scene = replace(scene, masks=None, objects=(), detections=None)
    return replace(scene, semantics=semantics)


def tinted(rgb, name, opacity):
    return rgb * (1 - opacity) + np.array(class_color(name)) * opacity


def test_the_overlay_is_tinted_by_class():
    scene = scene_with_classes(masks=False)
    rgb, drawn = scene.image.rgb, draw_overlay(scene)
    np.testing.assert_array_equal(drawn[:6], rgb[:6])
    np.testing.assert_allclose(drawn[6:90], tinted(rgb[6:90], 'wall', 0.38), atol=1)
    np.testing.assert_allclose(drawn[90:], tinted(rgb[90:], 'floor', 0.38), atol=1)


def test_the_tint_is_paler_below_masks():
    scene = scene_with_classes()
    is_background = scene.masks.instance_map() == 0
    is_background[:6] = False
    plain, drawn = draw_overlay(replace(scene, semantics=None)), draw_overlay(scene)
    # Where nothing else is drawn.
    rows, columns = np.nonzero(is_background & (plain == scene.image.rgb).all(axis=-1))
    expected = tinted(scene.image.rgb, 'floor', 0.2)
    expected[:90] = tinted(scene.image.rgb, 'wall', 0.2)[:90]
    assert len(rows) > 1000
    np.testing.assert_allclose(drawn[rows, columns], expected[rows, columns], atol=1)


def test_the_legend_has_the_classes_of_the_image():
    scene = scene_with_classes()
    drawn = draw_semantics(scene, scene.semantics)
    height, width = SIZE_HW
    assert drawn.shape[0] == height
    legend = {tuple(color) for color in drawn[:, width:].reshape(-1, 3).tolist()}
    assert {class_color('wall'), class_color('floor')} <= legend
    assert class_color('never there') not in legend


def test_scene_json_has_the_share_of_each_class():
    found = scene_to_dict(scene_with_classes())['semantics']
    assert found == {
        'model': 'm',
        'classes': [
            {'class_name': 'wall', 'share': 0.7},
            {'class_name': 'floor', 'share': 0.25},
        ],
    }


def test_exported_classes_are_named(tmp_path):
    exporter, scene = Exporter(tmp_path / 'out', [Kind.SEMANTICS]), scene_with_classes()
    exporter.add(scene, 0)
    exporter.add(replace(scene, semantics=None), 1)
    exporter.finish()
    assert (exporter.written[Kind.SEMANTICS], exporter.lacking[Kind.SEMANTICS]) == (1, 1)
    folder = tmp_path / 'out' / 'semantics'
    (file,) = folder.glob('*.png')
    classes = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(classes, scene.semantics.classes)
    names = json.loads((folder / 'classes.json').read_text())
    assert names == {'0': 'wall', '1': 'floor', '2': 'never there'}
