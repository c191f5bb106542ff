"""Errors of positions in units of their stated uncertainty."""

from __future__ import annotations

from dataclasses import dataclass, field
import math

import numpy as np

from robot_perception.core import DepthSource, Float64Array, Int64Array, Scene
from robot_perception.evaluation.ground_truth import GroundTruth

# Squared error of a Gaussian in three dimensions that the ellipsoid of a probability holds.
ELLIPSOIDS = {50: 2.3659738843753377, 90: 6.251388631170325, 95: 7.814727903251179}
# Median of the squared error of a Gaussian in one, two and three dimensions.
MEDIANS = (0.454936423119572, 2 * math.log(2), ELLIPSOIDS[50])


def _no_values() -> Float64Array:
    return np.zeros(0)


@dataclass(frozen=True, slots=True, eq=False)
class PositionUncertainty:
    """Squared normalized errors of the positions of N detected objects in one frame.

    For a true covariance they are chi-square variables.

    Attributes:
        source: where the depth of the frame comes from, None = unknown.
        distance_m: (N,) float64, distance of the true centroids from the camera, meters.
        nees: (N,) float64, normalized estimation error squared, of 3 degrees of freedom.
        along: (N,) float64, the part along the ray of the centroid, of 1.
        across: (N,) float64, the part across the ray, of 2.
        unknown: count of further objects whose position has no usable covariance.
        uncalibrated: how many of the N have a covariance that is marked uncalibrated.
    """

    source: DepthSource | None = None
    distance_m: Float64Array = field(default_factory=_no_values)
    nees: Float64Array = field(default_factory=_no_values)
    along: Float64Array = field(default_factory=_no_values)
    across: Float64Array = field(default_factory=_no_values)
    unknown: int = 0
    uncalibrated: int = 0


def position_uncertainty(
    scene: Scene, truth: GroundTruth, pairs: Int64Array
) -> PositionUncertainty:
    """Compare the errors of positions with their covariances.

    ``pairs`` (P, 2) has the indices of predictions and of their true objects. The covariance of
    the truth, where it is known, is added to that of the prediction. Objects without a position
    on both sides are left out.
    """
    errors, covariances, centroids, distances = [], [], [], []
    unknown = uncalibrated = 0
    for own, other in pairs:
        predicted, true = scene.objects[own].position, truth.objects[other].position
        if predicted is None or true is None:
            continue
        covariance = predicted.covariance_m2
        if covariance is None or not _is_positive_definite(covariance):
            unknown += 1
            continue
        known = true.covariance_m2
        covariances.append(covariance if known is None else covariance + known)
        errors.append(np.subtract(predicted.centroid_m, true.centroid_m))
        centroids.append(predicted.centroid_m)
        distances.append(math.hypot(*true.centroid_m))
        uncalibrated += not predicted.covariance_calibrated
    nees, along, across = squared_errors(
        np.array(errors, np.float64).reshape(-1, 3),
        np.array(covariances, np.float64).reshape(-1, 3, 3),
        np.array(centroids, np.float64).reshape(-1, 3),
    )
    return PositionUncertainty(
        source=scene.depth_source,
        distance_m=np.array(distances, np.float64),
        nees=nees,
        along=along,
        across=across,
        unknown=unknown,
        uncalibrated=uncalibrated,
    )


def squared_errors(
    errors_m: Float64Array, covariances_m2: Float64Array, centroids_m: Float64Array
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Divide squared errors by their variances: whole, along the ray and across it.

    Args:
        errors_m: (N, 3) float64, predicted minus true centroid, meters.
        covariances_m2: (N, 3, 3) float64, positive definite, square meters.
        centroids_m: (N, 3) float64, meters from the camera; they define the rays.

    Returns:
        Three arrays (N,) float64, of 3, 1 and 2 degrees of freedom.
    """
    rays = centroids_m / np.linalg.norm(centroids_m, axis=1, keepdims=True)
    # Two directions across each ray: the rows of an SVD that follow the ray itself.
    across = np.linalg.svd(rays[:, None, :])[2][:, 1:]
    return (
        _squares(errors_m, covariances_m2),
        _squares(*_projected(errors_m, covariances_m2, rays[:, None, :])),
        _squares(*_projected(errors_m, covariances_m2, across)),
    )


def _projected(
    errors: Float64Array, covariances: Float64Array, axes: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Return errors and covariances along unit vectors, the rows of ``axes``, (N, K, 3)."""
    return (
        np.einsum('nij,nj->ni', axes, errors),
        np.einsum('nij,njk,nlk->nil', axes, covariances, axes),
    )


def _squares(errors: Float64Array, covariances: Float64Array) -> Float64Array:
    solved = np.linalg.solve(covariances, errors[..., None])[..., 0]
    squares: Float64Array = (errors * solved).sum(axis=1)
    return squares


def _is_positive_definite(covariance: Float64Array) -> bool:
    if not np.isfinite(covariance).all():
        return False
    try:
        np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        return False
    return True


def chi_square_3(value: float) -> float:
    """Return the probability that a chi-square variable of 3 degrees of freedom is below a value.

    >>> round(chi_square_3(7.814727903251179), 12)
    0.95
    """
    if math.isinf(value):
        return 1.0
    root = math.sqrt(value / 2)
    return math.erf(root) - 2 * root * math.exp(-value / 2) / math.sqrt(math.pi)
