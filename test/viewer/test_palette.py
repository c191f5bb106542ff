import subprocess
import sys

import cv2
import numpy as np
import pytest

from robot_perception.core.colors import class_color, instance_color
from robot_perception.viewer.scale import depth_table, hatch

NAMES = [f'class {number}' for number in range(500)]


def luminance(rgb):
    """Relative luminance as WCAG 2 defines it."""
    share = np.asarray(rgb) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def test_a_name_has_one_color_in_every_process():
    code = 'from robot_perception.viewer import class_color; print(class_color("dining table"))'
    for seed in ('1', '2'):
        printed = subprocess.run(
            [sys.executable, '-c', code],
            capture_output=True,
            text=True,
            check=True,
            env={'PYTHONHASHSEED': seed, 'PYTHONPATH': ':'.join(sys.path)},
        ).stdout
        assert printed.strip() == str(class_color('dining table'))


@pytest.mark.parametrize('color_of', [class_color, lambda name: instance_color(len(name))])
def test_colors_are_bytes(color_of):
    assert all(0 <= channel <= 255 for name in ('', 'cup', '杯') for channel in color_of(name))


def test_colors_stand_out_on_black_and_on_white():
    for name in NAMES:
        bright = luminance(class_color(name))
        assert (1.05 / (bright + 0.05)) >= 3
        assert ((bright + 0.05) / 0.05) >= 3


def test_many_names_get_many_colors():
    assert len({class_color(name) for name in NAMES}) > 300


def test_frequent_names_do_not_look_alike():
    names = ['person', 'chair', 'cup', 'bottle', 'book', 'dining table', 'laptop', 'bowl']
    colors = np.array([[class_color(name) for name in names]], np.float32) / 255
    lab = cv2.cvtColor(colors, cv2.COLOR_RGB2LAB)[0]
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=-1) + 1000 * np.eye(len(names))
    # One just noticeable difference is 2.3.
    assert apart.min() > 15


def test_neighboring_instances_differ():
    colors = np.array([instance_color(index) for index in range(50)], np.int64)
    for reach in (1, 2, 3):
        assert np.abs(colors[reach:] - colors[:-reach]).sum(axis=-1).min() > 60


def test_depth_colors_go_from_blue_to_red_and_never_look_unknown():
    table = depth_table().astype(np.int64)
    assert table[0].argmax() == 2
    assert table[-1].argmax() == 0
    assert len(np.unique(table, axis=0)) > 200
    grays = np.unique(hatch((64, 64)).reshape(-1, 3), axis=0).astype(np.int64)
    assert len(grays) == 2
    assert np.abs(table[:, None] - grays[None]).sum(axis=-1).min() > 90


def test_depth_colors_cannot_be_changed():
    with pytest.raises(ValueError, match='read-only'):
        depth_table()[0] = 0
