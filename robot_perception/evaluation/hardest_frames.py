"""The frames of the largest errors, as images of ground truth beside prediction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
import heapq
from pathlib import Path

import numpy as np

from robot_perception.core import MetricDepth, Scene, UInt8Array, write_error
from robot_perception.evaluation.frame import FrameErrors, SAME_OBJECT_IOU
from robot_perception.evaluation.ground_truth import GroundTruth
from robot_perception.evaluation.matching import match
from robot_perception.viewer import (
    draw_depth,
    draw_overlay,
    draw_text,
    fit_text,
    text_size_px,
    write_picture,
)

_BACKGROUND = 24
_TEXT_COLOR = (235, 237, 240)
_GAP_PX = 4
_BAND_LINES = 1.8
_MIN_RANGE_M = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class EvaluatedFrame:
    """One frame, named such as 'seed 900000': predictions, ground truth and their errors."""

    name: str
    scene: Scene
    truth: GroundTruth
    errors: FrameErrors


class HardestFrames:
    """Keeps the frames of the largest errors among all that are added."""

    def __init__(self, count: int) -> None:
        """Keep at most ``count`` frames, and as many for kinds of errors and classes."""
        self._count = count
        self._count_added = 0
        # Of equal errors the first frame is kept.
        self._heap: list[tuple[float, int, EvaluatedFrame]] = []
        self._worst: dict[tuple[str, str], tuple[float, int, EvaluatedFrame]] = {}

    def add(self, case: EvaluatedFrame) -> None:
        """Add the next frame."""
        self._count_added += 1
        heapq.heappush(self._heap, (case.errors.error_score, -self._count_added, case))
        if len(self._heap) > self._count:
            heapq.heappop(self._heap)
        errors = case.errors
        names = Counter((*errors.false_negatives, *errors.false_positives))
        for key, value in (
            *((('kind', kind), value) for kind, value in errors.by_kind.items()),
            *((('class', name), float(count)) for name, count in names.items()),
        ):
            worst = self._worst.get(key)
            is_new = worst is None and len(self._worst) < self._count
            if value > 0 and (is_new or (worst is not None and value > worst[0])):
                self._worst[key] = value, self._count_added, case

    def cases(self) -> list[EvaluatedFrame]:
        """Return the frames that are kept, worst first."""
        return [case for *_, case in sorted(self._heap, key=lambda item: item[:2], reverse=True)]

    def cases_of_kinds(self) -> list[EvaluatedFrame]:
        """Return the worst frame of each kind of error and of each class, but for `cases`."""
        shown = {-number for _, number, _ in self._heap}
        others = {number: case for _, number, case in self._worst.values()}
        return [others[number] for number in sorted(others.keys() - shown)]


def write_hardest_frames(cases: Sequence[EvaluatedFrame], folder: Path) -> list[Path]:
    """Write ``worst_1.png``, ``worst_2.png`` ... and remove those of an earlier evaluation.

    The folder must exist; OutputError is raised when an image cannot be written.
    """
    written = [folder / f'worst_{index}.png' for index in range(1, len(cases) + 1)]
    for case, path in zip(cases, written, strict=True):
        write_picture(draw_evaluated_frame(case), path)
    for path in folder.glob('worst_*.png'):
        if path not in written and path.stem.removeprefix('worst_').isdecimal():
            try:
                path.unlink()
            except OSError as error:
                raise write_error(path, error) from error
    return written


def draw_evaluated_frame(case: EvaluatedFrame) -> UInt8Array:
    """Draw a frame: objects above depth, ground truth on the left, prediction on the right.

    Returns:
        (H', W', 3) uint8 rgb, with a line of text above each image. The number beside an object is
        its visible share in the ground truth and its score in the prediction. Metric depth uses
        the color scale of the true depth.
    """
    truth, errors = align_truth(case.truth, case.scene), case.errors
    title = f'{case.name}, ground truth; missed: {_count_names(errors.false_negatives)}'
    truth_column = [_add_title(draw_overlay(truth), title)]
    title = f'prediction; false positives: {_count_names(errors.false_positives)}'
    prediction_column = [_add_title(draw_overlay(case.scene), title)]
    if case.truth.depth is not None and case.scene.depth is not None:
        low, high = range_m = _range_m(case.truth.depth)
        picture = draw_depth(case.truth.depth, range_m=range_m)
        truth_column.append(_add_title(picture, f'ground truth, {low:.2f} to {high:.2f} m'))
        metric = isinstance(case.scene.depth, MetricDepth)
        picture = draw_depth(case.scene.depth, range_m=range_m if metric else None)
        prediction_column.append(_add_title(picture, _depth_title(errors)))
    columns = [np.concatenate(pictures, axis=0) for pictures in (truth_column, prediction_column)]
    gap = np.full((len(columns[0]), _GAP_PX, 3), _BACKGROUND, np.uint8)
    return np.concatenate([columns[0], gap, columns[1]], axis=1)


def align_truth(truth: GroundTruth, scene: Scene) -> Scene:
    """Return ground truth as a scene whose objects have the colors of their predictions.

    Track ids are those of the predictions of the same class with an IoU of at least 0.5, or the
    indices of predictions without tracking, and unused ones where there is none.
    """
    numbers = [item.number for item in scene.objects]
    unused = max(numbers, default=-1) + 1
    predicted: dict[int, int] = {}
    if scene.detections is not None:
        matches = match(scene.detections, truth.detections, truth.counted, (SAME_OBJECT_IOU,))
        predicted = dict(zip(matches.truth[0].tolist(), numbers, strict=True))
    objects = tuple(
        replace(item, track_id=predicted.get(item.index, unused + item.index))
        for item in truth.objects
    )
    return replace(truth.as_scene(), objects=objects)


def _count_names(names: Sequence[str]) -> str:
    """Return names with their counts, such as '2 cup, ball'; 'nothing' for none."""
    counts = Counter(names)
    words = (name if count == 1 else f'{count} {name}' for name, count in sorted(counts.items()))
    return ', '.join(words) or 'nothing'


def _depth_title(errors: FrameErrors) -> str:
    if errors.depth.abs_rel is None:
        return 'prediction, without unit'
    return f'prediction, off by {errors.depth.abs_rel:.0%} on average'


def _range_m(depth: MetricDepth) -> tuple[float, float]:
    """Return the nearest and farthest true depth; (0, 1) where nothing is known."""
    known = depth.meters[np.isfinite(depth.meters)]
    if not known.size:
        return 0.0, 1.0
    low = float(known.min())
    return low, max(float(known.max()), low + _MIN_RANGE_M)


def _add_title(picture: UInt8Array, text: str) -> UInt8Array:
    """Return an image with a line of text above it."""
    height, width = picture.shape[:2]
    size_px = text_size_px((height, width))
    band = np.full((round(size_px * _BAND_LINES), width, 3), _BACKGROUND, np.uint8)
    fitted = fit_text(text, size_px, width - size_px)
    draw_text(band, fitted, (size_px // 2, len(band) // 2), size_px, _TEXT_COLOR)
    return np.concatenate([band, picture], axis=0)
