"""Uncertainty of the centroids of objects, by source of depth.

The covariance is the sum of three independent errors: of the range, along the ray and proportional
to it; of the pixels of the mask, in every direction; and of the choice of pixels, which moves the
centroid by a share of the spread of the object's points.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    ObjectPosition,
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
    """

    range_share: float
    pixels: float
    filled_share: float
    spread_share: float
    mask_power: float = 0.0
    score_power: float = 0.0
    area_power: float = 0.0

    def covariance(
        self,
        position: ObjectPosition,
        camera: CameraModel,
        *,
        score: float,
        mask_score: float,
        area_px: float,
        filled: float,
    ) -> Float64Array:
        """Compute the covariance of the centroid, (3, 3) float64 in square meters.

        ``area_px`` is the pixel count of the object, ``filled`` the share of it in [0, 1] that
        the sensor does not measure.
        """
        centroid = np.array(position.centroid_m, np.float64)
        share = (
            self.spread_share
            * max(1 - mask_score, _MIN_MASK_DOUBT) ** self.mask_power
            * max(1 - score, _MIN_SCORE_DOUBT) ** self.score_power
            * (max(area_px, 1.0) / _TYPICAL_AREA_PX) ** self.area_power
        )
        across_m = self.pixels * position.depth_m / min(camera.fx, camera.fy)
        covariance: Float64Array = (
            (self.range_share**2 + (self.filled_share * filled) ** 2)
            * np.outer(centroid, centroid)
            + across_m**2 * np.eye(3)
            + min(share, _MAX_SPREAD_SHARE) ** 2 * position.points_covariance_m2
        )
        return covariance


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
            return cls(_GENERAL, frozenset())
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
        return tuple(
            self._with_covariance(item, masks, source, camera, measured) for item in objects
        )

    def _with_covariance(
        self,
        item: SceneObject,
        masks: Masks | None,
        source: DepthSource,
        camera: CameraModel,
        measured: MetricDepth | None,
    ) -> SceneObject:
        if item.position is None:
            return item
        area, filled, mask_score = _box_area(item), 1.0, _NO_MASK_SCORE
        if masks is not None:
            mask_score = float(masks.scores[item.index])
            window = masks.window(item.index)
            inside = masks.pixels[item.index][window]
            area = float(np.count_nonzero(inside))
            if measured is not None:
                known = inside & np.isfinite(measured.meters[window])
                filled = 1 - float(np.count_nonzero(known)) / max(area, 1.0)
        covariance = self.errors[source].covariance(
            item.position,
            camera,
            score=item.score,
            mask_score=mask_score,
            area_px=area,
            filled=filled,
        )
        position = replace(
            item.position,
            covariance_m2=covariance,
            covariance_calibrated=source in self.calibrated,
        )
        return replace(item, position=position)


def _box_area(item: SceneObject) -> float:
    left, top, right, bottom = item.box_xyxy
    return (right - left) * (bottom - top)
