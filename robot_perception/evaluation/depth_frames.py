"""Frames of an evaluation from folders of depth images."""

from __future__ import annotations

from collections.abc import Iterator
import math
from pathlib import Path

import cv2
import numpy as np

from robot_perception.core import (
    ConfigError,
    Detections,
    Image,
    InputError,
    MetricDepth,
    MILLIMETER_M,
    Scene,
    SourceError,
)
from robot_perception.evaluation.evaluation import PredictedFrame
from robot_perception.evaluation.ground_truth import GroundTruth
from robot_perception.image_files import read_image_file

_GRAY = 128
_PNG = '.png'


def depth_frames(
    predictions: Path,
    truth: Path,
    *,
    predictions_unit_m: float = MILLIMETER_M,
    truth_unit_m: float = MILLIMETER_M,
) -> tuple[int, Iterator[PredictedFrame]]:
    """Read two folders of depth images of the same names: 16 bit PNG, 0 and 65535 are unknown.

    Args:
        predictions: folder.
        truth: folder.
        predictions_unit_m: meters of one unit of the predicted depth.
        truth_unit_m: meters of one unit of the true depth.

    Returns:
        Count of frames, and an iterator that reads them.

    Raises:
        ConfigError: a unit is not above 0.
        SourceError: the names differ, or an image is not such depth or has another size.
    """
    for name, unit_m in (('predictions', predictions_unit_m), ('truth', truth_unit_m)):
        if not 0 < unit_m < math.inf:
            raise ConfigError(
                'out_of_range',
                f'{name}_unit_m: expected meters above 0, such as 0.001 for millimeters, got '
                f'{unit_m:g}.',
            )
    true_names, names = (
        {path.name for path in folder.glob(f'*{_PNG}')} for folder in (truth, predictions)
    )
    if true_names != names or not true_names:
        alone = sorted(true_names ^ names)
        raise SourceError(
            'name_mismatch',
            f'{predictions} and {truth}: expected depth images ({_PNG}) of the same names, got '
            f'{len(names)} and {len(true_names)}, {len(alone)} of them on one side'
            f'{f", such as {alone[0]}" if alone else ""}.',
        )
    frames = (
        _depth_frame((predictions / name, predictions_unit_m), (truth / name, truth_unit_m))
        for name in sorted(true_names)
    )
    return len(true_names), frames


def _depth_frame(
    predicted_file: tuple[Path, float], true_file: tuple[Path, float]
) -> PredictedFrame:
    """Read a frame of two files and their units."""
    predicted, truth = (_depth(*file) for file in (predicted_file, true_file))
    if predicted.size_hw != truth.size_hw:
        raise SourceError(
            'size_mismatch',
            f'{predicted_file[0]}: expected the size of its ground truth {truth.size_hw}, '
            f'got {predicted.size_hw} (rows, columns).',
        )
    picture = Image(np.full((*truth.size_hw, 3), _GRAY, np.uint8))
    true = GroundTruth(picture, None, truth, Detections.empty(), None, ())
    return PredictedFrame(true_file[0].stem, Scene(picture, depth=predicted), true)


def _depth(path: Path, unit_m: float) -> MetricDepth:
    raw = read_image_file(path, cv2.IMREAD_UNCHANGED)
    if raw.dtype != np.uint16 or raw.ndim != 2:  # noqa: PLR2004 - one channel
        raise SourceError(
            'wrong_format',
            f'{path}: expected depth as a 16 bit image of one channel, got '
            f'{raw.dtype} {raw.shape}.',
        )
    try:
        return MetricDepth.from_integers(raw, unit_m)
    except InputError as error:
        raise SourceError('damaged', f'{path}: {error}') from error
