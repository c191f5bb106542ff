import numpy as np
import pytest

from robot_perception.core import SceneFeatures
from robot_perception.viewer import draw_features
from robot_perception.viewer.features import principal_components


def build_features(patches):
    return SceneFeatures('stub', patches.mean(axis=(0, 1)), patches.astype(np.float32))


def spread_patches(rows=9, columns=7, length=40, seed=0):
    """Return patches with well separated directions."""
    rng = np.random.default_rng(seed)
    strength = np.concatenate([[9, 5, 3], np.full(length - 3, 0.3)])
    return (rng.normal(size=(rows, columns, length)) * strength).astype(np.float32)


@pytest.mark.parametrize(('rows', 'columns', 'length'), [(9, 7, 40), (4, 5, 200), (16, 16, 3)])
def test_components_equal_the_singular_value_decomposition(rows, columns, length):
    flat = spread_patches(rows, columns, max(length, 4))[..., :length].reshape(-1, length)
    centered = flat.astype(np.float64) - flat.mean(axis=0, dtype=np.float64)
    left, strengths, _ = np.linalg.svd(centered, full_matrices=False)
    expected = left[:, :3] * strengths[:3]
    actual = principal_components(flat)
    signs = np.sign((actual * expected).sum(axis=0))
    np.testing.assert_allclose(actual * signs, expected, atol=1e-6 * strengths[0])


def test_components_equal_the_eigenvectors_of_the_covariance_up_to_sign():
    flat = spread_patches().reshape(-1, 40)
    values, vectors = np.linalg.eigh(np.cov(flat.T.astype(np.float64)))
    actual = principal_components(flat)
    np.testing.assert_allclose(actual.var(axis=0, ddof=1), values[::-1][:3], rtol=1e-6)
    centered = flat - flat.mean(axis=0, dtype=np.float64)
    for index in range(3):
        expected = centered @ vectors[:, -1 - index]
        assert abs(np.corrcoef(actual[:, index], expected)[0, 1]) == pytest.approx(1, abs=1e-9)


def test_signs_do_not_depend_on_the_order_of_the_patches():
    flat = spread_patches().reshape(-1, 40)
    order = np.random.default_rng(1).permutation(len(flat))
    np.testing.assert_allclose(
        principal_components(flat)[order], principal_components(flat[order]), atol=1e-6
    )


def test_the_largest_entry_of_a_direction_is_positive():
    direction = np.array([0.1, -0.9, 0.2, 0.3])
    flat = (np.linspace(-1, 1, 10)[:, None] * direction).astype(np.float32)
    first = principal_components(flat)[:, 0]
    # Along +direction the largest entry falls, so the component must fall along the list.
    assert (np.diff(first) < 0).all()


@pytest.mark.parametrize('size_hw', [(1, 1), (48, 64), (480, 640)])
def test_the_picture_has_the_size_asked_for_and_uses_the_colors(size_hw):
    picture = draw_features(build_features(spread_patches()), size_hw)
    assert picture.shape == (*size_hw, 3)
    assert picture.dtype == np.uint8
    if size_hw[0] > 1:
        assert picture.min() < 10
        assert picture.max() > 245


def test_two_kinds_of_patches_get_two_colors_where_they_lie():
    patches = np.zeros((8, 8, 16), np.float32)
    patches[:, :4, 0], patches[:, 4:, 1] = 5, 5
    picture = draw_features(build_features(patches), (80, 80)).astype(int)
    assert np.abs(picture[40, 10] - picture[40, 70]).max() == 255
    assert np.abs(picture[5, 10] - picture[75, 10]).max() == 0


@pytest.mark.parametrize(
    'patches',
    [
        np.ones((1, 1, 8)),
        np.full((3, 4, 8), 1e4 / 3),
        np.zeros((3, 4, 8)),
        np.zeros((0, 0, 8)),
        np.zeros((2, 2, 0)),
    ],
    ids=['one patch', 'constant', 'zeros', 'no patch', 'no channel'],
)
def test_grids_without_differences_are_gray(patches):
    features = SceneFeatures(
        's', np.zeros(patches.shape[2], np.float32), patches.astype('float32')
    )
    assert (draw_features(features, (20, 30)) == 128).all()


def test_directions_that_are_only_noise_stay_gray():
    direction = np.random.default_rng(0).normal(size=8)
    patches = (np.arange(36).reshape(6, 6, 1) * direction).astype(np.float32)
    picture = draw_features(build_features(patches), (60, 60))
    assert np.ptp(picture[..., 0]) > 200
    assert (picture[..., 1:] == 128).all()


def test_rounding_of_a_constant_grid_stays_gray():
    patches = np.full((6, 6, 8), 1000, np.float32)
    patches += np.random.default_rng(0).choice([-6e-5, 0, 6e-5], (6, 6, 8)).astype(np.float32)
    assert np.ptp(patches) > 0
    assert (draw_features(build_features(patches), (20, 20)) == 128).all()


def test_drawing_twice_gives_one_picture():
    features = build_features(spread_patches())
    np.testing.assert_array_equal(
        draw_features(features, (30, 40)), draw_features(features, (30, 40))
    )
