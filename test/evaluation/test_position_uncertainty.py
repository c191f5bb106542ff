"""NEES and coverage against samples of known Gaussians and the distributions of SciPy."""

from dataclasses import replace
from functools import partial
import math

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis
from scipy.stats import chi2, kstest
from truths import example_truth, figures, perfect

from robot_perception import evaluation
from robot_perception.core import DepthSource
from robot_perception.evaluation import squared_errors
from robot_perception.evaluation.position_uncertainty import chi_square_3, ELLIPSOIDS, MEDIANS
from robot_perception.evaluation.uncertainty_rows import group_name

Evaluation = partial(evaluation.Evaluation, resamples=50)
MODEL = group_name('model')


def gaussians(count, seed=0):
    """Errors of random covariances, and centroids in front of a camera."""
    rng = np.random.default_rng(seed)
    roots = rng.normal(size=(count, 3, 3)) * rng.uniform(0.001, 0.1, (count, 1, 1))
    covariances = roots @ roots.transpose(0, 2, 1) + 1e-8 * np.eye(3)
    errors = np.einsum('nij,nj->ni', np.linalg.cholesky(covariances), rng.normal(size=(count, 3)))
    return errors, covariances, rng.uniform((-1, -1, 0.5), (1, 1, 4), (count, 3))


def test_constants_are_those_of_chi_square():
    for percent, limit in ELLIPSOIDS.items():
        assert limit == pytest.approx(chi2.ppf(percent / 100, 3), rel=1e-12)
    assert pytest.approx([chi2.median(freedom) for freedom in (1, 2, 3)]) == MEDIANS
    for value in (0, 0.01, 1, 5, 40, math.inf):
        assert chi_square_3(value) == pytest.approx(chi2.cdf(value, 3), abs=1e-12)


def test_squares_of_gaussian_errors_are_chi_square():
    errors, covariances, centroids = gaussians(4000)
    for squares, freedom in zip(
        squared_errors(errors, covariances, centroids), (3, 1, 2), strict=True
    ):
        assert kstest(squares, chi2(freedom).cdf).pvalue > 0.01


def test_nees_is_the_squared_mahalanobis_distance():
    errors, covariances, centroids = gaussians(20, seed=1)
    nees, _, _ = squared_errors(errors, covariances, centroids)
    expected = [
        mahalanobis(error, np.zeros(3), np.linalg.inv(covariance)) ** 2
        for error, covariance in zip(errors, covariances, strict=True)
    ]
    np.testing.assert_allclose(nees, expected, rtol=1e-6)


def test_parts_along_and_across_the_ray():
    """On the ray x = y = 0 they are those of z and of x and y; they add up without correlation."""
    covariance = np.diag([0.01, 0.04, 0.09])
    nees, along, across = squared_errors(
        np.array([[0.1, 0.4, 0.9]]), covariance[None], np.array([[0.0, 0.0, 2.0]])
    )
    assert along == pytest.approx(0.9**2 / 0.09)
    assert across == pytest.approx(0.1**2 / 0.01 + 0.4**2 / 0.04)
    assert nees == pytest.approx(along + across)


def sampled(frames, stated=1.0, seed=0, source=DepthSource.MODEL, distance=1.0):
    """Scenes whose positions err with a covariance; they state it multiplied by a factor."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(3, 3)) * 0.02
    for number in range(frames):
        truth = example_truth(number)
        true = [
            replace(item.position, centroid_m=(0.1 * item.index, 0.0, distance + 0.2 * item.index))
            for item in truth.objects
        ]
        predicted = [
            replace(
                one,
                centroid_m=tuple((one.centroid_m + root @ rng.normal(size=3)).tolist()),
                covariance_m2=stated * root @ root.T,
                covariance_calibrated=True,
            )
            for one in true
        ]
        truth = replace(truth, objects=with_positions(truth.objects, true))
        scene = perfect(truth)
        objects = with_positions(scene.objects, predicted)
        yield replace(scene, objects=objects, depth_source=source), truth


def with_positions(objects, positions):
    return tuple(replace(item, position=one) for item, one in zip(objects, positions, strict=True))


def evaluate(pairs):
    found = Evaluation()
    for scene, truth in pairs:
        found.add(scene, truth)
    return found.report()


def test_a_true_covariance_meets_its_targets():
    report = evaluate(sampled(150))
    rows = {row.name: row for row in report.rows if row.group == MODEL}
    assert rows['objects'].value == 600
    targets = {name: row.target for name, row in rows.items() if row.target is not None}
    assert len(targets) == 7
    for name, target in targets.items():
        row = rows[name]
        assert row.low <= row.value <= row.high
        assert row.value == pytest.approx(target, rel=0.13), name
    thirds = [row for row in report.rows if row.group.startswith(f'{MODEL}, ')]
    assert sum(row.value for row in thirds if row.name == 'objects') == 600
    assert len({row.group for row in thirds}) == 3


def test_a_covariance_of_a_quarter_gives_four_times_the_nees():
    whole, quarter = (figures(evaluate(sampled(20, stated))) for stated in (1.0, 0.25))
    for name, factor in (
        ('NEES, median', 4),
        ('NEES, mean', 4),
        ('normalized error along the ray', 2),
        ('normalized error across the ray', 2),
    ):
        assert quarter[MODEL, name] == pytest.approx(factor * whole[MODEL, name])
    name = 'inside the 95 % ellipsoid'
    assert quarter[MODEL, name] < whole[MODEL, name]


def test_the_covariance_of_the_truth_is_added():
    def with_uncertain_truth():
        for scene, truth in sampled(5, stated=0.25):
            three_quarters = [
                replace(item.position, covariance_m2=3 * own.position.covariance_m2)
                for item, own in zip(truth.objects, scene.objects, strict=True)
            ]
            yield scene, replace(truth, objects=with_positions(truth.objects, three_quarters))

    both, whole = figures(evaluate(with_uncertain_truth())), figures(evaluate(sampled(5)))
    assert both[MODEL, 'NEES, mean'] == pytest.approx(whole[MODEL, 'NEES, mean'])


@pytest.mark.parametrize(
    'covariance', [None, np.zeros((3, 3)), np.diag([1.0, 1, -1]), np.full((3, 3), np.nan)]
)
def test_unknown_covariances_are_counted_and_not_scored(covariance):
    def unknown():
        for scene, truth in sampled(5):
            first, *others = scene.objects
            position = replace(first.position, covariance_m2=covariance)
            uncalibrated = replace(others[0].position, covariance_calibrated=False)
            changed = (
                replace(first, position=position),
                replace(others[0], position=uncalibrated),
                *others[1:],
            )
            yield replace(scene, objects=changed), truth

    rows = figures(evaluate(unknown()))
    counts = [
        rows['uncertainty of positions', name]
        for name in (
            'objects with a covariance',
            'of these marked uncalibrated',
            'objects without a covariance',
        )
    ]
    assert counts == [15, 5, 5]
    assert rows[MODEL, 'objects'] == 15


def test_sources_of_depth_are_separate():
    pairs = [*sampled(4), *sampled(3, source=DepthSource.SENSOR), *sampled(2, source=None)]
    report = evaluate(pairs)
    rows = figures(report)
    for name, frames in (('model', 4), ('sensor', 3), ('unknown', 2)):
        assert rows[group_name(name), 'objects'] == 4 * frames
    assert [one.source for one in report.nees] == ['model', 'sensor', 'unknown']
    for one, frames in zip(report.nees, (4, 3, 2), strict=True):
        assert sum(one.counts) == 4 * frames
        steps = np.diff(chi2.cdf(one.limits, 3))
        np.testing.assert_allclose(one.expected, 4 * frames * steps, atol=1e-9)


def test_without_positions_there_are_no_rows():
    truth = example_truth()
    bare = with_positions(truth.objects, [None] * 4)
    report = evaluate([(perfect(truth, objects=bare), truth)])
    assert not [row for row in report.rows if row.group.startswith('uncertainty')]
    assert report.nees == ()
