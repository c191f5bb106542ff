"""Fits of samples whose calibration is known, and round trips through a file."""

from dataclasses import replace
import json

import numpy as np
import pytest
from reasons import raises
from scipy.stats import chi2
from truths import example_truth, perfect

from robot_perception.core import ConfigError, DepthSource, Detections
from robot_perception.evaluation import (
    CalibrationFit,
    expected_calibration_error,
    fit_location_error,
    fit_scores,
    squared_errors,
)
from robot_perception.pipeline import (
    LocationError,
    LocationUncertainty,
    PerceptionConfig,
    ScoreCalibration,
)

START = LocationError(0.02, 1.0, 0.05, 0.1)
TERMS = ('range_share', 'pixels', 'filled_share', 'spread_share')
TRUE = {'range_share': 0.05, 'pixels': 2.0, 'filled_share': 0.0, 'spread_share': 0.4}


def judged(count, slope, offset, seed):
    """Scores whose log odds, times the slope plus the offset, are those of being right."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(0.5, 1.5, count)
    true_positives = rng.random(count) < 1 / (1 + np.exp(-(slope * odds + offset)))
    return 1 / (1 + np.exp(-odds)), true_positives


def test_scores_of_a_known_calibration():
    scores, true_positives = judged(20_000, 2.0, -0.5, 0)
    fitted = fit_scores(scores, true_positives)
    assert (fitted.slope, fitted.offset) == pytest.approx((2.0, -0.5), abs=0.08)
    # Of other detections.
    scores, true_positives = judged(20_000, 2.0, -0.5, 1)
    odds = np.log(scores / (1 - scores))
    calibrated = 1 / (1 + np.exp(-(fitted.slope * odds + fitted.offset)))
    assert expected_calibration_error(scores, true_positives) > 0.06
    assert expected_calibration_error(calibrated, true_positives) < 0.015


def samples(count, seed, true=TRUE):
    """Errors, covariances of each term at a value of 1, and centroids."""
    rng = np.random.default_rng(seed)
    centroids = rng.uniform((-0.5, -0.5, 0.5), (0.5, 0.5, 2.5), (count, 3))
    range_term = np.einsum('ni,nj->nij', centroids, centroids)
    pixel_term = (centroids[:, 2] / 500)[:, None, None] ** 2 * np.eye(3)
    roots = rng.normal(size=(count, 3, 3)) * 0.03
    spread_term = roots @ roots.transpose(0, 2, 1)
    terms = np.stack([range_term, pixel_term, 0 * range_term, spread_term], axis=1)
    squares = np.square([true[name] for name in TERMS])
    covariances = np.einsum('k,nkij->nij', squares, terms)
    errors = np.einsum('nij,nj->ni', np.linalg.cholesky(covariances), rng.normal(size=(count, 3)))
    return errors, terms, centroids


def test_positions_of_a_known_covariance():
    fitted = fit_location_error(replace(START, mask_power=0.3), *samples(4000, 0))
    assert fitted.mask_power == 0.3
    assert fitted.filled_share == 0
    for name in ('range_share', 'spread_share'):
        assert getattr(fitted, name) == pytest.approx(TRUE[name], rel=0.08), name
    errors, terms, centroids = samples(4000, 1)
    squares = np.square([getattr(fitted, name) for name in TERMS])
    nees, _, _ = squared_errors(errors, np.einsum('k,nkij->nij', squares, terms), centroids)
    assert np.median(nees) == pytest.approx(2.366, rel=0.06)
    assert np.mean(nees <= 7.815) == pytest.approx(0.95, abs=0.015)


def test_a_few_large_errors_do_not_count_for_much():
    errors, terms, centroids = samples(4000, 2)
    errors[::20] *= 20
    fitted = fit_location_error(START, errors, terms, centroids)
    assert fitted.range_share == pytest.approx(TRUE['range_share'], rel=0.15)


def test_tails_are_widened_until_the_95_percent_ellipsoid_holds_95_percent():
    errors, terms, centroids = samples(4000, 3)
    errors[::10] *= 4
    fitted = fit_location_error(START, errors, terms, centroids)
    assert fitted.tail_scale > 1.3
    widths = np.array([getattr(fitted, name) for name in TERMS])
    widths[1:] *= fitted.tail_scale
    covariances = np.einsum('k,nkij->nij', widths**2, terms)
    nees, _, _ = squared_errors(errors, covariances, centroids)
    assert np.mean(nees <= chi2.ppf(0.95, 3)) == pytest.approx(0.95, abs=0.001)


def test_too_few_objects_are_refused():
    with raises(ConfigError, 'too_few_objects', match='at least 100 .*got 99'):
        fit_location_error(START, *samples(99, 0))
    scores, true_positives = judged(99, 1, 0, 0)
    with raises(ConfigError, 'too_few_objects', match='got 99'):
        fit_scores(scores, true_positives)
    with raises(ConfigError, 'too_few_objects', match='10 wrong ones .*got 200, 195 of them'):
        fit_scores(np.full(200, 0.9), np.arange(200) < 195)
    with raises(ConfigError, 'too_few_objects', match='got 0'):
        CalibrationFit(ScoreCalibration(), {}).result()


def test_scores_that_fall_with_precision_are_refused():
    scores, true_positives = judged(2000, -1, 0, 0)
    with raises(ConfigError, 'out_of_range', match='rise with precision'):
        fit_scores(scores, true_positives)


def away(centroid_m, camera, rng):
    pixels = 2 * centroid_m[2] / camera.fx * rng.normal(size=3)
    return tuple((np.multiply(centroid_m, 1 + 0.1 * rng.normal()) + pixels).tolist())


def frames(uncertainty, calibration, seed, count=80):
    """Scenes of which every third detection is of another class, at a sensor's depth.

    Positions err along the ray by 10 % of the distance, and by 2 pixels in every direction.
    """
    rng = np.random.default_rng(seed)
    for number in range(count):
        truth = example_truth(number + 1000 * seed)
        scene = perfect(truth, depth_source=DepthSource.SENSOR)
        is_right = rng.random(4) < 0.7
        names = tuple(
            name if right else 'other'
            for name, right in zip(truth.detections.class_names, is_right, strict=True)
        )
        odds = np.where(is_right, 1.0, 0.2) + rng.normal(size=4)
        scores = (1 / (1 + np.exp(-odds))).astype(np.float32)
        found = Detections(scene.detections.boxes_xyxy, scores, scene.detections.class_ids, names)
        found = calibration.apply(found)
        objects = tuple(
            replace(
                item,
                class_name=names[item.index],
                score=float(found.scores[item.index]),
                position=replace(
                    item.position,
                    centroid_m=away(item.position.centroid_m, scene.camera, rng),
                    points_covariance_m2=1e-6 * np.eye(3),
                ),
            )
            for item in scene.objects
        )
        objects = uncertainty.add(
            objects, scene.masks, DepthSource.SENSOR, scene.camera, truth.depth
        )
        yield replace(scene, detections=found, objects=objects), truth


def test_both_parameters_read_the_file(tmp_path):
    """Frames made with the file are calibrated; a fit of them changes it little."""
    config = PerceptionConfig.from_preset('stub')
    path = tmp_path / 'calibration.json'
    fits = []
    for seed in (0, 1):
        uncertainty = LocationUncertainty.from_config(config)
        scores = ScoreCalibration.from_config(config)
        fit = CalibrationFit(scores, uncertainty.errors)
        for scene, truth in frames(uncertainty, scores, seed):
            fit.add(scene, truth, sensor_depth=truth.depth)
        fits.append(fit.result())
        path.write_text(json.dumps(fits[-1].as_json()))
        names = ('detector.calibration', 'depth.calibration')
        config = PerceptionConfig.from_preset('stub', dict.fromkeys(names, str(path)))
    first, second = fits
    assert str(first).startswith('scores on 3')
    assert 'positions of sensor depth on 2' in str(first)
    range_share = first.positions[DepthSource.SENSOR].range_share
    assert range_share == pytest.approx(0.1, rel=0.15)
    assert second.positions[DepthSource.SENSOR].range_share == pytest.approx(range_share, rel=0.2)
    # Scores of the network, so that the earlier calibration is not lost.
    assert second.scores.slope == pytest.approx(first.scores.slope, rel=0.5)
    uncertainty = LocationUncertainty.from_config(config)
    assert uncertainty.calibrated == {DepthSource.SENSOR}
    for scene, _ in frames(uncertainty, ScoreCalibration(), 2, 1):
        assert all(item.position.covariance_calibrated for item in scene.objects)
