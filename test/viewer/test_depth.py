import numpy as np
import pytest
from reasons import raises

from robot_perception.core import MetricDepth, RelativeDepth
from robot_perception.core.errors import InputError
from robot_perception.viewer import draw_depth, draw_depth_with_scale
from robot_perception.viewer.depth import depth_range
from robot_perception.viewer.scale import _ticks, depth_table, hatch


def ramp(near, far, size_hw=(60, 80)):
    """Return meters that grow from left to right."""
    return np.tile(np.linspace(near, far, size_hw[1], dtype=np.float32), (size_hw[0], 1))


def index_in_table(pixel):
    return int(np.abs(depth_table().astype(int) - pixel.astype(int)).sum(axis=-1).argmin())


def test_colors_follow_the_formula():
    meters = ramp(0.5, 4.5)
    picture = draw_depth(MetricDepth(meters), range_m=(1.0, 4.0))
    share = np.clip((meters.astype(np.float64) - 1.0) / 3.0, 0, 1)
    expected = depth_table()[np.rint(share * 255).astype(int)]
    # Float32 may round to the color beside.
    assert np.abs(picture.astype(int) - expected).max() <= 12
    assert (picture == expected).all(axis=-1).mean() > 0.95


@pytest.mark.parametrize('depth', [MetricDepth(ramp(1, 3)), RelativeDepth(ramp(0, 9)[:, ::-1])])
def test_near_is_cold_and_far_is_warm(depth):
    picture = draw_depth(depth)
    assert picture.shape == (60, 80, 3)
    assert picture.dtype == np.uint8
    near, far = picture[0, 0], picture[0, -1]
    assert near.argmax() == 2
    assert far.argmax() == 0
    indices = [index_in_table(pixel) for pixel in picture[0]]
    assert indices == sorted(indices)


def test_unknown_pixels_are_hatched_and_only_they():
    meters = ramp(1, 3)
    meters[10:20, 30:50] = np.nan
    picture = draw_depth(MetricDepth(meters))
    pattern = hatch((60, 80))
    unknown = np.isnan(meters)
    np.testing.assert_array_equal(picture[unknown], pattern[unknown])
    assert (picture[~unknown] != pattern[~unknown]).any(axis=-1).all()


@pytest.mark.parametrize('draw', [draw_depth, draw_depth_with_scale])
def test_nothing_known_is_hatched_all_over(draw):
    picture = draw(MetricDepth(np.full((200, 90), np.nan, np.float32)))
    np.testing.assert_array_equal(picture[:, :90], hatch((200, 90)))


def test_a_few_wild_pixels_do_not_take_all_the_colors():
    meters = ramp(1, 3)
    calm = draw_depth(MetricDepth(meters.copy()))
    meters[0, :8] = 500
    wild = draw_depth(MetricDepth(meters))
    assert np.abs(wild[1:].astype(int) - calm[1:]).mean() < 8


@pytest.mark.parametrize(
    ('depth_type', 'value'),
    [
        *((MetricDepth, value) for value in (1e-4, 1.0, 1e4)),
        *((RelativeDepth, value) for value in (1e-6, 1.0, 3e4)),
    ],
)
def test_one_depth_everywhere_is_the_middle_color(depth_type, value):
    picture = draw_depth_with_scale(depth_type(np.full((300, 300), value, np.float32)))
    assert abs(index_in_table(picture[5, 5]) - 127) <= 2


def test_relative_find_depth_zeros_works():
    assert draw_depth(RelativeDepth(np.zeros((4, 5), np.float32))).shape == (4, 5, 3)


@pytest.mark.parametrize('size_hw', [(1, 1), (1, 50), (50, 1), (33, 47), (480, 640)])
@pytest.mark.parametrize('relative', [False, True])
def test_the_legend_stands_beside_the_untouched_picture(size_hw, relative):
    values = ramp(1, 3, size_hw)
    depth = RelativeDepth(values) if relative else MetricDepth(values)
    plain, legend = draw_depth(depth), draw_depth_with_scale(depth)
    assert legend.shape[0] == size_hw[0]
    assert legend.shape[1] > size_hw[1]
    np.testing.assert_array_equal(legend[:, : size_hw[1]], plain)


def test_the_legend_has_the_colors_far_at_the_top():
    depth = MetricDepth(ramp(1, 3, (480, 640)))
    legend = draw_depth_with_scale(depth)[:, 640:].astype(int)
    colorful = legend.max(axis=-1) - legend.min(axis=-1) > 60
    column = np.argmax(colorful.sum(axis=0))
    bar = legend[colorful[:, column], column]
    assert len(bar) > 300
    assert index_in_table(bar[0]) > 245
    assert index_in_table(bar[-1]) < 10


def test_the_legend_explains_holes_only_where_there_are_some():
    whole = ramp(1, 3, (480, 640))
    holed = whole.copy()
    holed[100:200, 100:200] = np.nan
    legends = [draw_depth_with_scale(MetricDepth(meters))[-24:, 640:] for meters in (whole, holed)]
    assert len(np.unique(legends[0])) < len(np.unique(legends[1]))


@pytest.mark.parametrize(
    ('near', 'far', 'texts'),
    [
        (1.04, 3.11, ['1.5', '2.0', '2.5', '3.0']),
        (0.5, 0.52, ['0.500', '0.505', '0.510', '0.515', '0.520']),
        (0.0, 80.0, ['0', '20', '40', '60', '80']),
    ],
)
def test_ticks_are_round_numbers_at_their_places(near, far, texts):
    ticks = _ticks((near, far), 5)
    assert [text for _, text in ticks] == texts
    for share, text in ticks:
        assert far - share * (far - near) == pytest.approx(float(text), abs=1e-6)


def test_relative_depth_has_words_instead_of_numbers():
    assert {text: share for share, text in _ticks(None, 5)} == {'near': 1.0, 'far': 0.0}


@pytest.mark.parametrize('range_m', [(2, 1), (1, 1), (-1, 2), (0, np.inf), (np.nan, 1)])
def test_a_bad_range_is_refused(range_m):
    with raises(InputError, 'out_of_range'):
        draw_depth(MetricDepth(ramp(1, 3)), range_m=range_m)


def test_a_range_in_meters_is_refused_for_relative_depth():
    with raises(InputError, 'no_unit'):
        draw_depth_with_scale(RelativeDepth(ramp(0, 1)), range_m=(1, 2))


@pytest.mark.parametrize('hole_share', [0.0, 0.3, 1.0])
def test_large_pictures_are_drawn_in_bands(monkeypatch, hole_share):
    rng = np.random.default_rng(2)
    meters = rng.uniform(0.5, 9, (61, 47)).astype(np.float32)
    meters[rng.random(meters.shape) < hole_share] = np.nan
    depth = MetricDepth(meters)
    monkeypatch.setattr('robot_perception.viewer.depth._MAX_SAMPLES', 100)
    whole, range_m = draw_depth_with_scale(depth), depth_range(depth)
    monkeypatch.setattr('robot_perception.viewer.depth._BAND_PIXELS', 200)
    assert depth_range(depth) == range_m
    np.testing.assert_array_equal(draw_depth_with_scale(depth), whole)
    known = meters[~np.isnan(meters)]
    if known.size:
        sample = known[:: -(-known.size // 100)]
        assert range_m == pytest.approx(tuple(np.percentile(sample, (1, 99))))
