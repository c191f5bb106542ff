"""Charts are drawings whose points lie at their values."""

import re
from xml.etree import ElementTree as ET

import pytest

from robot_perception.viewer.chart import Bar, bar_chart, Line, line_chart


def parsed(svg):
    return ET.fromstring(svg)  # noqa: S314 - made here


def points(path):
    return [tuple(map(float, pair)) for pair in re.findall(r'([\d.]+) ([\d.]+)', path.get('d'))]


def test_points_lie_on_the_axes():
    root = parsed(line_chart([Line('one', (0, 1, 2), (0, 0.5, 1))], 'x', 'y', y_top=1))
    (line,) = (path for path in root.iter('path') if path.get('class').startswith('line'))
    (x0, y0), (x1, y1), (x2, y2) = points(line)
    assert x1 - x0 == pytest.approx(x2 - x1)
    assert y0 - y1 == pytest.approx(y1 - y2)
    ticks = {text.text: float(text.get('x')) for text in root.iter('text') if text.text}
    assert ticks['2'] == pytest.approx(x2)


def test_a_band_goes_there_and_back():
    line = Line('one', (0, 1), (1, 2), (0.5, 1), (2, 4))
    root = parsed(line_chart([line], 'x', 'y'))
    (band,) = (path for path in root.iter('path') if path.get('class') == 'band')
    ys = [y for _, y in points(band)]
    # High ends first, low ends back: half of the axis's end is 2.
    assert len(ys) == 4
    assert ys[3] > ys[0] > ys[1]


def test_bars_are_as_long_as_their_values():
    root = parsed(bar_chart([Bar('a & b', 0.2), Bar('c', 0.4, 0.3, 0.5, 'note')], 'title'))
    first, second = (float(one.get('width')) for one in root.iter('rect'))
    assert second == pytest.approx(2 * first)
    assert 'a & b' in {text.text for text in root.iter('text')}


@pytest.mark.parametrize('largest', [0.0, 1e-6, 0.033, 0.7, 1, 9.99, 12345])
def test_axes_end_at_round_numbers_just_above(largest):
    root = parsed(bar_chart([Bar('a', largest)], 'title'))
    ticks = [
        float(text.text)
        for text in root.iter('text')
        if re.fullmatch(r'[\d.e+-]+', text.text or '')
    ]
    assert max(ticks) >= largest * 0.99
    assert largest == 0 or max(ticks) <= 2.1 * largest
    assert 3 <= len(ticks) <= 8
