"""Fit of the calibrations of scores and of positions to ground truth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np

from robot_perception.core import (
    BoolArray,
    ConfigError,
    DepthSource,
    Detections,
    Float64Array,
    MetricDepth,
    Scene,
)
from robot_perception.evaluation.ground_truth import GroundTruth
from robot_perception.evaluation.matching import match
from robot_perception.evaluation.position_uncertainty import ELLIPSOIDS, MEDIANS, squared_errors
from robot_perception.evaluation.precision import FrameBoxes
from robot_perception.evaluation.score_reliability import BOX_IOU, JudgedScores, pooled
from robot_perception.pipeline import (
    CALIBRATION_SCHEMA,
    CALIBRATION_VERSION,
    LocationError,
    LocationUncertainty,
    ScoreCalibration,
)
from robot_perception.viewer import JsonValue

# Fewer objects give figures that are off by a fifth and more.
LEAST_POSITIONS = 100
LEAST_DETECTIONS = 100
# Of right and of wrong detections.
_LEAST_OF_EACH = 10
# Candidates below are too many and too unlike those that are used.
_MIN_SCORE = 0.1
_STEPS = 1000
_UPDATES = 300
# Degrees of freedom of the t distribution, whose tails are heavy: masks that miss a part.
_FREEDOM = 4.0
# Terms of the covariance that are fitted; each is proportional to the square of its parameter.
_TERMS = ('range_share', 'pixels', 'filled_share', 'spread_share')
# Terms that `LocationError.tail_scale` widens.
_TAILED = frozenset(_TERMS) - {'range_share'}
_MAX_TAIL, _TAIL_STEP = 20.0, 1e-4
_UNIT = 1e-3
_SMALLEST = 1e-12


@dataclass(frozen=True, slots=True)
class FittedCalibration:
    """Calibrations that were fitted; parts without data are missing.

    Attributes:
        scores: of the detector, None without detections.
        detections: count that they were fitted on.
        positions: errors of positions by source of depth.
        objects: count that each was fitted on.
    """

    scores: ScoreCalibration | None
    detections: int
    positions: Mapping[DepthSource, LocationError]
    objects: Mapping[DepthSource, int]

    def as_json(self) -> dict[str, JsonValue]:
        """Return the content of a file for ``detector.calibration`` and ``depth.calibration``."""
        content: dict[str, JsonValue] = {
            'schema': CALIBRATION_SCHEMA,
            'version': CALIBRATION_VERSION,
        }
        if self.scores is not None:
            content['score_calibration'] = {
                **_rounded(asdict(self.scores)),
                'detections': self.detections,
            }
        if self.positions:
            content['depth_calibration'] = {
                'sources': {
                    str(source): _rounded(asdict(error))
                    for source, error in self.positions.items()
                },
                'objects': {str(source): count for source, count in self.objects.items()},
            }
        return content

    def __str__(self) -> str:
        """Return what was fitted on how many objects, such as 'scores on 812 detections'."""
        parts = [] if self.scores is None else [f'scores on {self.detections} detections']
        parts += [
            f'positions of {source} depth on {self.objects[source]} objects'
            for source in self.positions
        ]
        return ', '.join(parts)


class CalibrationFit:
    """Collects frames with their ground truth, then fits."""

    def __init__(
        self, scores: ScoreCalibration, errors: Mapping[DepthSource, LocationError]
    ) -> None:
        """Start without frames, from the calibrations that the frames are made with."""
        self._current = scores
        self._errors = errors
        self._scores: list[JudgedScores] = []
        self._samples: dict[DepthSource, list[_Sample]] = defaultdict(list)

    def add(
        self,
        scene: Scene,
        truth: GroundTruth,
        *,
        candidates: Detections | None = None,
        sensor_depth: MetricDepth | None = None,
    ) -> None:
        """Add a frame.

        Args:
            scene: the predictions.
            truth: their ground truth.
            candidates: predictions of any score; by default those of the scene.
            sensor_depth: what the sensor measured, where depth is fused.
        """
        predictions = scene.detections if candidates is None else candidates
        if predictions is not None:
            boxes = FrameBoxes.of(predictions, truth.detections, truth.counted)
            self._scores.append(JudgedScores.of(boxes).above(_MIN_SCORE))
        source = scene.depth_source
        if scene.detections is None or source is None:
            return
        matches = match(scene.detections, truth.detections, truth.counted, [BOX_IOU])
        terms = [
            LocationUncertainty({source: error}, frozenset()).add(
                scene.objects, scene.masks, source, scene.camera, sensor_depth
            )
            for error in _unit_errors(self._errors[source])
        ]
        for own in np.flatnonzero(matches.true_positives[0]):
            predicted = scene.objects[own].position
            true = truth.objects[matches.truth[0, own]].position
            if predicted is None or true is None or scene.camera is None:
                continue
            covariances = np.zeros((len(_TERMS), 3, 3))
            for covariance, objects in zip(covariances, terms, strict=True):
                position = objects[own].position
                if position is not None and position.covariance_m2 is not None:
                    covariance[...] = position.covariance_m2 / _UNIT**2
            if sensor_depth is None:
                # All pixels come from the network: the share of the range has it all.
                covariances[_TERMS.index('filled_share')] = 0
            self._samples[source].append(
                _Sample(
                    np.subtract(predicted.centroid_m, true.centroid_m),
                    covariances,
                    np.array(predicted.centroid_m, np.float64),
                )
            )

    def result(self) -> FittedCalibration:
        """Fit what there is data for.

        Raises:
            ConfigError: ``'too_few_objects'``, or scores that do not rise with precision
                (``'out_of_range'``).
        """
        judged = pooled(self._scores)
        positions = {
            source: fit_location_error(
                self._errors[source],
                np.array([one.error_m for one in samples]),
                np.array([one.terms for one in samples]),
                np.array([one.centroid_m for one in samples]),
            )
            for source, samples in self._samples.items()
        }
        if not positions and not len(judged.scores):
            raise _too_few('detections', LEAST_DETECTIONS, 0)
        return FittedCalibration(
            scores=_compose(fit_scores(judged.scores, judged.true_positives), self._current)
            if len(judged.scores)
            else None,
            detections=len(judged.scores),
            positions=positions,
            objects={source: len(samples) for source, samples in self._samples.items()},
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Sample:
    """One object: error (3,), covariance of each term (4, 3, 3) and centroid (3,)."""

    error_m: Float64Array
    terms: Float64Array
    centroid_m: Float64Array


def fit_scores(scores: Float64Array, true_positives: BoolArray) -> ScoreCalibration:
    """Fit slope and offset of the log odds by logistic regression (Platt 1999).

    Args:
        scores: (N,) float64 in [0, 1].
        true_positives: (N,) bool, which of them are right.

    Raises:
        ConfigError: ``'too_few_objects'``; ``'out_of_range'``, scores do not rise with precision.
    """
    positives = int(np.count_nonzero(true_positives))
    negatives = len(scores) - positives
    if len(scores) < LEAST_DETECTIONS or min(positives, negatives) < _LEAST_OF_EACH:
        raise _too_few(
            f'detections, {_LEAST_OF_EACH} right and {_LEAST_OF_EACH} wrong ones among them',
            LEAST_DETECTIONS,
            len(scores),
            f', {positives} of them right',
        )
    inside = np.clip(scores, 1e-9, 1 - 1e-9)
    inputs = np.stack([np.log(inside / (1 - inside)), np.ones(len(scores))], axis=1)
    # Smoothed targets (Platt 1999) keep the slope finite where right and wrong are separable.
    targets = np.where(true_positives, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    weights = np.zeros(2)
    # An upper bound of the curvature (Boehning and Lindsay 1988): no step can go too far.
    step = np.linalg.inv(inputs.T @ inputs / 4 + _SMALLEST * np.eye(2)) @ inputs.T
    for _ in range(_STEPS):
        weights = weights + step @ (targets - 1 / (1 + np.exp(-inputs @ weights)))
    slope, offset = weights.tolist()
    if not slope > 0:
        raise ConfigError(
            'out_of_range',
            f'--fit-calibration: expected scores that rise with precision, got a slope of '
            f'{slope:.3g}. Evaluate scenes of the kind that the detector was trained on.',
        )
    return ScoreCalibration(slope, offset)


def fit_location_error(
    start: LocationError, errors_m: Float64Array, terms: Float64Array, centroids_m: Float64Array
) -> LocationError:
    """Fit the shares and pixels of a `LocationError`, and keep its powers.

    The likelihood is that of a t distribution, so that few large errors do not count for much.
    Variance components are updated as by Zhou et al. 2019, MM Algorithms for Variance Components
    Models; then all are scaled so that the median of NEES is that of a true covariance, and
    ``tail_scale`` is chosen such that the 95 % ellipsoid holds 95 % of the sample.

    Args:
        start: the powers, which are kept.
        errors_m: (N, 3) float64, predicted minus true centroid, meters.
        terms: (N, 4, 3, 3) float64, covariances with the range share, the pixels, the filled share
            and the spread share of 1 alone.
        centroids_m: (N, 3) float64, meters.

    Raises:
        ConfigError: ``'too_few_objects'``; ``'out_of_range'``, there are too many outliers.
    """
    if len(errors_m) < LEAST_POSITIONS:
        raise _too_few('right detections with a position', LEAST_POSITIONS, len(errors_m))
    occurs = terms.any(axis=(0, 2, 3))
    variances = np.where(occurs, 1e-3, 0.0)
    for _ in range(_UPDATES):
        inverse = np.linalg.inv(_total(variances, terms))
        solved = np.einsum('nij,nj->ni', inverse, errors_m)
        weights = (_FREEDOM + 3) / (_FREEDOM + (errors_m * solved).sum(axis=1))
        observed = np.einsum('n,ni,nkij,nj->k', weights, solved, terms, solved)
        expected = np.einsum('nij,nkji->k', inverse, terms)
        ratio = np.divide(observed, expected, out=np.zeros(len(variances)), where=expected > 0)
        variances = variances * np.sqrt(ratio)
    nees, _, _ = squared_errors(errors_m, _total(variances, terms), centroids_m)
    variances = variances * (np.median(nees) / MEDIANS[2])
    return replace(
        start,
        **dict(zip(_TERMS, np.sqrt(variances).tolist(), strict=True)),
        tail_scale=_fit_tail(variances, errors_m, terms, centroids_m),
    )


def _fit_tail(
    variances: Float64Array, errors_m: Float64Array, terms: Float64Array, centroids_m: Float64Array
) -> float:
    """Return the least `LocationError.tail_scale`, from 1, that holds 95 % of the errors."""

    def holds(scale: float) -> bool:
        widened = np.where([term in _TAILED for term in _TERMS], scale**2, 1.0) * variances
        nees, _, _ = squared_errors(errors_m, _total(widened, terms), centroids_m)
        return bool(np.quantile(nees, 0.95) <= ELLIPSOIDS[95])

    low, high = 1.0, _MAX_TAIL
    if holds(low):
        return low
    if not holds(high):
        raise ConfigError(
            'out_of_range',
            '--fit-calibration: expected errors of positions whose 95 % ellipsoid can be widened '
            f'to hold 95 % of them, got too many outliers for a factor of {high:g}. Look at the '
            'frames with the largest errors, or set depth.calibration by hand.',
        )
    while high - low > _TAIL_STEP:
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _total(variances: Float64Array, terms: Float64Array) -> Float64Array:
    total: Float64Array = np.einsum('k,nkij->nij', variances, terms) + _SMALLEST * np.eye(3)
    return total


def _unit_errors(error: LocationError) -> list[LocationError]:
    """Return errors that have one term each, too small for any limit."""
    none = {**dict.fromkeys(_TERMS, 0.0), 'tail_scale': 1.0}
    return [replace(error, **{**none, term: _UNIT}) for term in _TERMS]


def _compose(later: ScoreCalibration, earlier: ScoreCalibration) -> ScoreCalibration:
    """Return the calibration of scores of the network that equals both after each other."""
    return ScoreCalibration(
        later.slope * earlier.slope, later.slope * earlier.offset + later.offset
    )


def _rounded(values: Mapping[str, float]) -> dict[str, JsonValue]:
    return {name: float(f'{value:.5g}') for name, value in values.items()}


def _too_few(objects: str, least: int, count: int, further: str = '') -> ConfigError:
    return ConfigError(
        'too_few_objects',
        f'--fit-calibration: expected at least {least} {objects}, got {count}{further}. '
        'Evaluate more scenes.',
    )
