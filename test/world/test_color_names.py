"""Names of colors of surfaces."""

import numpy as np
import pytest

from robot_perception.world.color_names import dominant_color


def surface(*colors, count=100):
    """Return linear light of display colors in [0, 255], each on its share of the points."""
    display = np.concatenate([np.tile(color, (count, 1)) for color in colors]) / 255
    return np.square(display).T.astype(np.float32)


@pytest.mark.parametrize(
    ('color', 'name'),
    [
        ((220, 30, 30), 'red'),
        ((235, 130, 20), 'orange'),
        ((240, 220, 40), 'yellow'),
        ((30, 160, 60), 'green'),
        ((40, 70, 210), 'blue'),
        ((130, 40, 170), 'purple'),
        ((240, 110, 180), 'pink'),
        ((110, 65, 30), 'brown'),
        ((20, 20, 22), 'black'),
        ((128, 128, 128), 'gray'),
        ((245, 245, 240), 'white'),
    ],
)
def test_clear_colors(color, name):
    assert dominant_color(surface(color)) == name


def test_what_has_no_clear_name():
    red, blue, green = (220, 30, 30), (40, 70, 210), (30, 160, 60)
    assert dominant_color(surface(red, blue)) is None
    assert dominant_color(surface(red, red, blue)) == 'red'
    assert dominant_color(surface(red, blue, green)) is None
    # Between red and orange.
    assert dominant_color(surface((225, 75, 25))) is None
