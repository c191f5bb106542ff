import math

import pytest
from reasons import raises

from robot_perception.core.errors import SourceError
from robot_perception.sources import open_source


@pytest.mark.parametrize(
    ('spec', 'message'),
    [
        ('', 'expected a path or the index of a webcam, got nothing'),
        ('gone', 'gone: expected a bag, video, .* got a path that does not exist. Check the sp'),
        ('old.bag', 'expected a rosbag2, got a ROS 1 bag. Convert it with `rosbags-convert --src'),
        ('a.txt', r"got a file named '\.txt'\. Pass one of: \.mcap, \.db3, \.mp4"),
        ('nothing', r"got a file named ''\."),
    ],
)
def test_refusals(tmp_path, monkeypatch, spec, message):
    monkeypatch.chdir(tmp_path)
    for name in ('old.bag', 'a.txt', 'nothing'):
        (tmp_path / name).write_text('hello')
    with pytest.raises(SourceError, match=message):
        open_source(spec)


@pytest.mark.parametrize('fps', [0.0, -1.0, math.nan, math.inf])
def test_bad_fps(tmp_path, fps):
    with raises(SourceError, 'out_of_range', match='Leave it out'):
        open_source(str(tmp_path), fps=fps)


@pytest.mark.parametrize('hfov_deg', [0.0, 180.0, math.nan])
def test_bad_field_of_view(tmp_path, hfov_deg):
    with raises(SourceError, 'hfov', match='your camera'):
        open_source(str(tmp_path), hfov_deg=hfov_deg)


def test_number_with_a_path_is_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / '0').mkdir()
    with raises(SourceError, 'no_images'):
        open_source('./0')
