import numpy as np
import pytest
from scenes import example_scene

from robot_perception.core import PointCloud
from robot_perception.viewer import draw_cloud
from robot_perception.viewer.cloud import _background, _shading, _splat


def build_cloud(points, colors):
    xyz = np.array(points, np.float32).reshape(1, -1, 3)
    return PointCloud(xyz, np.array(colors, np.uint8).reshape(1, -1, 3))


def pixels_of_color(picture, color):
    """Where the color, at any shade, is the strongest: (rows, columns)."""
    return np.nonzero((picture[..., color] > 60) & (picture.argmax(axis=-1) == color))


def test_the_picture_is_the_same_each_time():
    cloud = example_scene(0, (60, 80)).cloud()
    first, second = draw_cloud(cloud, (120, 160)), draw_cloud(cloud, (120, 160))
    assert first.shape == (120, 160, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, second)


def test_right_is_right_and_up_is_up():
    red, green, blue = np.eye(3, dtype=int) * 255
    cloud = build_cloud([(-1, 0, 3), (1, 0, 3), (0, -1, 3)], [red, green, blue])
    picture = draw_cloud(cloud, (200, 200))
    (left_rows, left), (right_rows, right), (top_rows, _) = (
        pixels_of_color(picture, c) for c in range(3)
    )
    assert left.max() < right.min()
    assert top_rows.max() < min(left_rows.min(), right_rows.min())


def test_the_viewer_stands_above():
    near, far = (255, 0, 0), (0, 255, 0)
    floor = [(x, 1, z) for z in (2, 4) for x in np.linspace(-1, 1, 20)]
    picture = draw_cloud(build_cloud(floor, [near] * 20 + [far] * 20), (200, 200))
    assert pixels_of_color(picture, 1)[0].max() < pixels_of_color(picture, 0)[0].min()


def test_near_points_hide_those_behind_them_whatever_their_order():
    side = np.linspace(-1, 1, 60)
    wall = np.stack(np.meshgrid(side, side, [0.0]), axis=-1).reshape(-1, 3)
    far, near = 2.5 * wall + np.array([0, 0, 5]), wall + np.array([0, 0, 4.5])
    colors = [(255, 0, 0)] * len(near) + [(0, 255, 0)] * len(far)
    forward = draw_cloud(build_cloud([*near, *far], colors), (150, 150))
    backward = draw_cloud(build_cloud([*far, *near], colors[::-1]), (150, 150))
    rows, columns = pixels_of_color(forward, 0)
    inner = forward[
        int(np.percentile(rows, 20)) : int(np.percentile(rows, 80)),
        int(np.percentile(columns, 20)) : int(np.percentile(columns, 80)),
    ]
    assert (inner[..., 1] <= inner[..., 0]).mean() > 0.99
    assert (forward != backward).any(axis=-1).mean() < 0.02


def test_a_splat_is_a_square_and_later_points_win():
    cells = np.array([0, 11, 0])
    assert _splat(cells, (3, 10), 2).tolist() == [
        [2, 2, -1, -1, -1, -1, -1, -1, -1, -1],
        [2, 2, 1, -1, -1, -1, -1, -1, -1, -1],
        [-1, 1, 1, -1, -1, -1, -1, -1, -1, -1],
    ]
    assert (_splat(cells[:1], (3, 10), 1) == -1).sum() == 29


def test_what_stands_behind_an_edge_is_darkened():
    depth = np.full((5, 9), 2.0, np.float32)
    depth[:, :4] = 1.0
    depth[:, 8] = np.inf
    shades = _shading(depth)
    assert (shades[:, [0, 1, 2, 3, 5, 6, 7]] == 1).all()
    assert ((shades[:, 4] > 0) & (shades[:, 4] < 0.5)).all()


@pytest.mark.parametrize('size_hw', [(1, 1), (8, 300), (240, 320)])
def test_a_cloud_without_points_is_background(size_hw):
    empty = PointCloud(np.full((4, 5, 3), np.nan, np.float32), np.zeros((4, 5, 3), np.uint8))
    picture = draw_cloud(empty, size_hw)
    assert picture.shape == (*size_hw, 3)
    border = np.zeros(size_hw, np.bool_)
    border[0] = border[-1] = True
    np.testing.assert_array_equal(picture[border], _background(size_hw)[border])
    if size_hw == (240, 320):
        assert picture.max() > 150, 'the note is missing'


@pytest.mark.parametrize(
    'points',
    [
        [(0, 0, 1)],
        [(0, 0, 1)] * 50,
        [(0, 0, 1)] * 200 + [(0, 0, 1e6)],
        [(1e30, 1e30, 1e30), (0, 0, 1e-20)],
    ],
    ids=['one', 'all equal', 'one far away', 'extreme'],
)
@pytest.mark.parametrize('size_hw', [(1, 1), (40, 60)])
def test_odd_clouds_are_drawn(points, size_hw):
    picture = draw_cloud(build_cloud(points, [(255, 255, 255)] * len(points)), size_hw)
    assert picture.shape == (*size_hw, 3)


def test_clouds_much_larger_than_the_picture_are_thinned_and_stay_visible():
    scene = example_scene(0, (400, 500))
    picture = draw_cloud(scene.cloud(), (40, 50))
    assert (picture != _background((40, 50))).any(axis=-1).mean() > 0.3
