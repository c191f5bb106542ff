"""Calibration of the detector's scores: a score is the share of such detections that are right."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from robot_perception.core import ConfigError, Detections, Float64Array, Stage
from robot_perception.models import is_demo, locate_checkpoint
from robot_perception.pipeline.calibration_file import read_calibration, read_numbers
from robot_perception.pipeline.config import PerceptionConfig

SCHEMA = 'robot_perception/score_calibration'
_FILE = 'score_calibration.json'
_NAME = 'detector.calibration'
_SMALLEST = 1e-9


@dataclass(frozen=True, slots=True)
class ScoreCalibration:
    """A line in the log odds of scores (Platt 1999); it keeps their order, so also AP.

    Attributes:
        slope: above 0.
        offset: added to the log odds.
    """

    slope: float = 1.0
    offset: float = 0.0

    @classmethod
    def from_config(cls, config: PerceptionConfig) -> ScoreCalibration:
        """Read the file of ``detector.calibration``, by default that beside the detector.

        A detector that is no folder on this machine, or has no such file in it, keeps its scores.

        Raises:
            ConfigError: the file is missing or invalid.
        """
        if config.detector.calibration:
            path = Path(config.detector.calibration)
        else:
            path = _folder(config.detector.model) / _FILE
            if not path.is_file():
                return cls()
        content = read_calibration(_NAME, path, SCHEMA)
        numbers = read_numbers(_NAME, path, content, ('slope', 'offset'))
        if not numbers['slope'] > 0:
            raise ConfigError(
                'out_of_range',
                f'{_NAME}: expected a slope above 0 in {path}, got {numbers["slope"]}. '
                'With another the best detections would have the lowest scores.',
            )
        return cls(**numbers)

    def apply(self, detections: Detections) -> Detections:
        """Return the detections with calibrated scores."""
        if self == ScoreCalibration():
            return detections
        odds = self.slope * _log_odds(detections.scores.astype(np.float64)) + self.offset
        scores = (1 / (1 + np.exp(-odds))).astype(np.float32)
        return replace(detections, scores=scores)

    def raw(self, score: float) -> float:
        """Return the score of the network that is calibrated to ``score``."""
        if self == ScoreCalibration() or not 0 < score < 1:
            return score
        return float(1 / (1 + np.exp(-(_log_odds(np.array(score)) - self.offset) / self.slope)))


def _folder(model: str) -> Path:
    """Return the folder of a detector, which has its calibration, if that is a folder."""
    if is_demo(model):
        return locate_checkpoint(model, Stage.DETECTOR).folder
    return Path(model).expanduser()


def _log_odds(scores: Float64Array) -> Float64Array:
    inside = np.clip(scores, _SMALLEST, 1 - _SMALLEST)
    odds: Float64Array = np.log(inside / (1 - inside))
    return odds
