"""Uncertainty of the centroids of objects, by source of depth.

A centroid is the mean of the visible surface of an object. Its covariance is the sum of three
independent errors: of the range, along the ray and proportional to it; of the pixels of the mask,
in every direction; and of the choice of pixels, which moves the centroid by a share of the spread
of the object's points. The last two have heavier tails than a normal distribution, and are widened
until the 95 % ellipsoid holds 95 % of the objects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from robot_perception.core import (
    CameraModel,
    ConfigError,
    DepthSource,
    Float64Array,
    Masks,
    MetricDepth,
    SceneObject,
)
from robot_perception.models import DEMO, DEMO_FOLDER
from robot_perception.pipeline.calibration_file import read_calibration, read_numbers
from robot_perception.pipeline.config import PerceptionConfig

SCHEMA = 'robot_perception/depth_calibration'
# Smaller doubts in mask and score are not measurable.
_MIN_MASK_DOUBT, _MIN_SCORE_DOUBT = 0.02, 0.001
# Mask score of an object without a mask.
_NO_MASK_SCORE = 0.5
_TYPICAL_AREA_PX = 5000.0
_MAX_SPREAD_SHARE = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class LocatedObjects:
    """What the covariances of N objects depend on, all float64.

    Attributes:
        centroids_m: (N, 3) in the optical frame, meters.
        depths_m: (N,) median depths, meters.
        points_covariances_m2: (N, 3, 3) spread of the points, square meters.
        scores: (N,) of the detections, in [0, 1].
        mask_scores: (N,) in [0, 1], 0.5 without masks.
        areas_px: (N,) pixel counts, of the boxes without masks.
        filled: (N,) shares of the pixels that the sensor does not measure, in [0, 1].
        focal_px: the smaller focal length, pixels.
    """

    centroids_m: Float64Array
    depths_m: Float64Array
    points_covariances_m2: Float64Array
    scores: Float64Array
    mask_scores: Float64Array
    areas_px: Float64Array
    filled: Float64Array
    focal_px: float

    @classmethod
    def measure(
        cls,
        objects: Sequence[SceneObject],
        masks: Masks | None,
        camera: CameraModel,
        measured: MetricDepth | None,
    ) -> LocatedObjects:
        """Measure objects, all with positions, of one frame; ``measured`` is sensor depth."""
        positions = [item.position for item in objects if item.position is not None]
        pixels = [_pixels(item, masks, measured) for item in objects]
        mask_scores, areas, filled = np.array(pixels, np.float64).reshape(-1, 3).T
        spreads = [position.points_covariance_m2 for position in positions]
        return cls(
            np.array([position.centroid_m for position in positions]).reshape(-1, 3),
            np.array([position.depth_m for position in positions]),
            np.array(spreads).reshape(-1, 3, 3),
            np.array([item.score for item in objects], np.float64),
            mask_scores,
            areas,
            filled,
            min(camera.fx, camera.fy),
        )


@dataclass(frozen=True, slots=True)
class LocationError:
    """Standard deviations of the errors of a centroid, for one source of depth.

    Attributes:
        range_share: error along the ray as a share of the distance.
        pixels: error of the mask, pixels.
        filled_share: further error along the ray, as a share of the distance, of an object whose
            pixels were all filled by the network.
        spread_share: error as a share of the spread of the points, at 5000 pixels and powers of 0.
        mask_power: exponent of 1 - mask score in the share of the spread.
        score_power: exponent of 1 - score.
        area_power: exponent of the pixel count / 5000.
        tail_scale: factor on the others but ``range_share``, which are those of most objects, with
            which the 95 % ellipsoid holds 95 % of all.
    """

    range_share: float
    pixels: float
    filled_share: float
    spread_share: float
    mask_power: float = 0.0
    score_power: float = 0.0
    area_power: float = 0.0
    tail_scale: float = 1.0

    def covariances(self, objects: LocatedObjects) -> Float64Array:
        """Compute the covariances of the centroids, (N, 3, 3) float64 in square meters."""
        centroids, tail = objects.centroids_m, self.tail_scale
        share = (
            self.spread_share
            * np.maximum(1 - objects.mask_scores, _MIN_MASK_DOUBT) ** self.mask_power
            * np.maximum(1 - objects.scores, _MIN_SCORE_DOUBT) ** self.score_power
            * (np.maximum(objects.areas_px, 1.0) / _TYPICAL_AREA_PX) ** self.area_power
        )
        along = self.range_share**2 + (tail * self.filled_share * objects.filled) ** 2
        across_m = tail * self.pixels * objects.depths_m / objects.focal_px
        covariances: Float64Array = (
            along[:, None, None] * centroids[:, :, None] * centroids[:, None, :]
            + (across_m**2)[:, None, None] * np.eye(3)
            + ((tail * np.minimum(share, _MAX_SPREAD_SHARE)) ** 2)[:, None, None]
            * objects.points_covariances_m2
        )
        return covariances


# A Gaussian error of mean magnitude r has a standard deviation of 1.25 r. Depth Anything V2 (Yang
# et al. 2024, small, fine-tuned on NYU-D) has an AbsRel of 0.073; Intel states 2 % at 2 m for the
# depth cameras D400.
_GENERAL: Mapping[DepthSource, LocationError] = {
    DepthSource.MODEL: LocationError(0.091, 1.0, 0.0, 0.1),
    DepthSource.SENSOR: LocationError(0.02, 1.0, 0.0, 0.1),
    DepthSource.FUSED: LocationError(0.02, 1.0, 0.05, 0.1),
}
_NAMES = tuple(item.name for item in fields(LocationError))
_FILE = 'depth_calibration.json'


@dataclass(frozen=True, slots=True)
class LocationUncertainty:
    """Errors of positions by source of depth.

    Attributes:
        errors: of each source that occurs.
        calibrated: sources whose errors were fitted to ground truth.
    """

    errors: Mapping[DepthSource, LocationError]
    calibrated: frozenset[DepthSource]

    @classmethod
    def general(cls) -> LocationUncertainty:
        """Return general values, which were fitted to no networks."""
        return cls(_GENERAL, frozenset())

    @classmethod
    def from_config(cls, config: PerceptionConfig) -> LocationUncertainty:
        """Read the file of ``depth.calibration``, by default that of the demo networks.

        Sources that the file lacks have the general values of other networks.

        Raises:
            ConfigError: the file is missing or invalid.
        """
        models = {config.detector.model, config.segmenter.model, config.depth.model}
        if config.depth.calibration:
            path = Path(config.depth.calibration)
        elif models == {DEMO}:
            path = DEMO_FOLDER / _FILE
        else:
            return cls.general()
        content = read_calibration('depth.calibration', path, SCHEMA)
        sources = content.get('sources')
        known = [one for one in DepthSource if isinstance(sources, dict) and one in sources]
        if not isinstance(sources, dict) or not known or len(known) < len(sources):
            raise ConfigError(
                'damaged',
                f'depth.calibration: expected sources with {", ".join(DepthSource)} in {path}, '
                f'got {sources!r}. Fit it: robot-perception evaluate --fit-calibration.',
            )
        fitted = {
            source: LocationError(
                **read_numbers('depth.calibration', path, sources[source], _NAMES)
            )
            for source in known
        }
        return cls({**_GENERAL, **fitted}, frozenset(fitted))

    def add(
        self,
        objects: tuple[SceneObject, ...],
        masks: Masks | None,
        source: DepthSource | None,
        camera: CameraModel | None,
        measured: MetricDepth | None,
    ) -> tuple[SceneObject, ...]:
        """Return the objects with the covariance of their centroids, where they have positions."""
        if source is None or camera is None:
            return objects
        located = tuple(item for item in objects if item.position is not None)
        measurements = LocatedObjects.measure(located, masks, camera, measured)
        covariances = dict(
            zip(
                (item.index for item in located),
                self.errors[source].covariances(measurements),
                strict=True,
            )
        )
        return tuple(
            replace(
                item,
                position=replace(
                    item.position,
                    covariance_m2=covariances[item.index],
                    covariance_calibrated=source in self.calibrated,
                ),
            )
            if item.position is not None
            else item
            for item in objects
        )


def _pixels(
    item: SceneObject, masks: Masks | None, measured: MetricDepth | None
) -> tuple[float, float, float]:
    """Return mask score, pixel count and the share of pixels without sensor depth."""
    if masks is None:
        left, top, right, bottom = item.box_xyxy
        return _NO_MASK_SCORE, (right - left) * (bottom - top), 1.0
    window = masks.window(item.index)
    inside = masks.pixels[item.index][window]
    area = float(np.count_nonzero(inside))
    filled = 1.0
    if measured is not None:
        known = inside & np.isfinite(measured.meters[window])
        filled = 1 - float(np.count_nonzero(known)) / max(area, 1.0)
    return float(masks.scores[item.index]), area, filled
