"""The shipped uncertainty of positions, on objects of scenes that nothing was learned from."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom, chi2

from robot_perception.core import DepthSource
from robot_perception.evaluation import squared_errors
from robot_perception.pipeline import LocatedObjects, LocationUncertainty, PerceptionConfig

RECORDED = Path(__file__).parents[1] / 'data' / 'located_objects.npz'


def recorded(source):
    """Return the objects of a source of depth, and where they are."""
    with np.load(RECORDED) as data:
        arrays = {
            item.name: data[f'{source}.{item.name}'].astype(np.float64)
            for item in fields(LocatedObjects)
        }
        truths = data[f'{source}.truths_m'].astype(np.float64)
    return LocatedObjects(**{**arrays, 'focal_px': float(arrays['focal_px'])}), truths


@pytest.mark.parametrize('source', DepthSource)
def test_ellipsoids_of_the_demo_models_hold_95_percent_of_unseen_objects(source):
    uncertainty = LocationUncertainty.from_config(PerceptionConfig.from_preset('demo'))
    assert source in uncertainty.calibrated
    objects, truths = recorded(source)
    count = len(truths)
    assert count > 600
    covariances = uncertainty.errors[source].covariances(objects)
    centroids = objects.centroids_m
    nees, _, _ = squared_errors(centroids - truths, covariances, centroids)
    by_distance = np.argsort(np.linalg.norm(truths, axis=1))
    for part in (by_distance, *np.array_split(by_distance, 3)):
        inside = int(np.sum(nees[part] <= chi2.ppf(0.95, 3)))
        # 93 to 97 %, beyond that what a sample of this size varies by.
        low, high = binom.ppf([0.01, 0.99], len(part), [0.93, 0.97])
        assert low <= inside <= high
