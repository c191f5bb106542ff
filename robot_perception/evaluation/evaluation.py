"""Evaluation of predictions frame by frame, without keeping images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from robot_perception.core import Detections, Masks, MetricDepth, Scene, ShapeError
from robot_perception.evaluation.bootstrap import RESAMPLES
from robot_perception.evaluation.confusion import ConfusionMatrix, frame_confusions
from robot_perception.evaluation.depth import constant_factor_note, depth_error_by_range
from robot_perception.evaluation.frame import frame_errors, FrameErrors, FrameRecord
from robot_perception.evaluation.frame_matches import FrameMatches
from robot_perception.evaluation.ground_truth import GroundTruth
from robot_perception.evaluation.operating_points import operating_points
from robot_perception.evaluation.panoptic import panoptic_counts, SegmentCounts, Segments
from robot_perception.evaluation.precision import check_installation, FrameBoxes
from robot_perception.evaluation.report import Report
from robot_perception.evaluation.score_reliability import (
    JudgedScores,
    MIN_SCORE,
    pooled,
    reliability_bins,
)
from robot_perception.evaluation.summary import summarize
from robot_perception.evaluation.tracking import FrameTracks
from robot_perception.evaluation.uncertainty_rows import nees_histograms


def evaluate(pairs: Iterable[tuple[Scene, GroundTruth]], *, resamples: int = RESAMPLES) -> Report:
    """Compare scenes with their ground truth.

    Average precision needs predictions of low scores too: for scenes that hold only those above a
    threshold it is a lower bound. Pass all predictions to `Evaluation.add` instead.

    Raises:
        MissingLibraryError: faster-coco-eval is not installed.
        ShapeError: scene and ground truth differ in size.
    """
    evaluation = Evaluation(resamples=resamples)
    for scene, truth in pairs:
        evaluation.add(scene, truth)
    return evaluation.report()


@dataclass(frozen=True, slots=True, eq=False)
class PredictedFrame:
    """One frame and its ground truth: a name and the arguments of `Evaluation.add`.

    Attributes:
        name: for messages and titles.
        scene: the predictions, above the threshold where there is one.
        truth: the ground truth.
        candidates: predictions of any score, None without boxes.
        true_box_masks: masks predicted for the true boxes.
        sensor_depth: what a depth sensor measured.
        box_matches: the matches of all candidates, None to match their boxes.
        mask_matches: the same of masks, None to match those of the scene.
        recording: of which it is; empty where there is one.
    """

    name: str
    scene: Scene
    truth: GroundTruth
    candidates: Detections | None = None
    true_box_masks: Masks | None = None
    sensor_depth: MetricDepth | None = None
    box_matches: FrameMatches | None = None
    mask_matches: FrameMatches | None = None
    recording: str = ''


class Evaluation:
    """Accumulates frames, then reports.

    Metrics of parts that no frame has (detections, depth, masks ...) are unknown.
    """

    def __init__(self, *, resamples: int = RESAMPLES) -> None:
        """Start without frames; raise MissingLibraryError without faster-coco-eval."""
        check_installation()
        self._records: dict[str, list[FrameRecord]] = {}
        self._resamples = resamples

    def add(
        self,
        scene: Scene,
        truth: GroundTruth,
        *,
        candidates: Detections | None = None,
        true_box_masks: Masks | None = None,
        box_matches: FrameMatches | None = None,
        mask_matches: FrameMatches | None = None,
        recording: str = '',
    ) -> FrameErrors:
        """Add the next frame and return its errors.

        Args:
            scene: the predictions; its objects are those above the threshold in use.
            truth: M objects.
            candidates: predictions of any score, for average precision; by default those of the
                scene.
            true_box_masks: M masks that the segmenter predicts for the true boxes.
            box_matches: for average precision, when more exact than float32 boxes; by default
                those of the candidates.
            mask_matches: for average precision of masks; by default those of the scene.
            recording: of which the frame is, for `reports`.

        Raises:
            ShapeError: scene and ground truth differ in size, or the masks in number.
        """
        _check(scene, truth, true_box_masks)
        errors = frame_errors(scene, truth, true_box_masks)
        predictions = scene.detections if candidates is None else candidates
        counted = truth.counted
        all_predictions = Detections.empty() if predictions is None else predictions
        boxes = FrameBoxes.of(all_predictions, truth.detections, counted)
        names = truth.detections.class_names
        self._records.setdefault(recording, []).append(
            FrameRecord(
                errors=errors,
                boxes=boxes,
                box_matches=box_matches
                or FrameMatches.of_boxes(all_predictions, truth.detections, counted),
                mask_matches=mask_matches or _mask_matches(scene, truth),
                scores=JudgedScores.of(boxes),
                has_detector=predictions is not None,
                vector=None if scene.features is None else scene.features.vector.copy(),
                scene_type=truth.scene_type,
                timing_s=scene.timing_s,
                depth_range=depth_error_by_range(scene.depth, truth.depth),
                confusions=frame_confusions(
                    Detections.empty() if scene.detections is None else scene.detections,
                    truth.detections,
                    counted,
                ),
                segments=_segments(scene, truth),
                tracks=None
                if scene.detections is None
                else FrameTracks.of(scene.detections, truth.detections, counted),
                stamp_ns=truth.image.stamp_ns,
                objects=tuple(names[index] for index in np.flatnonzero(counted)),
                ignored=int(np.count_nonzero(~counted)),
            )
        )
        return errors

    def report(self) -> Report:
        """Compute the metrics over all frames so far."""
        every = [one for records in self._records.values() for one in records]
        return _report(every, self._resamples)

    def reports(self) -> dict[str, Report]:
        """Compute the metrics of each recording, without intervals, in order of first frames."""
        return {name: _report(records, resamples=0) for name, records in self._records.items()}


def _report(records: list[FrameRecord], resamples: int) -> Report:
    objects = Counter(name for one in records for name in one.objects)
    names = sorted(objects)
    scores = pooled([one.scores.above(MIN_SCORE) for one in records])
    rows, curves = summarize(records, names, resamples)
    return Report(
        rows=rows,
        frames=len(records),
        objects={name: objects[name] for name in names},
        ignored=sum(one.ignored for one in records),
        curves=curves,
        resamples=resamples,
        reliability=reliability_bins(scores.scores, scores.true_positives),
        operating_points=operating_points([one.box_matches for one in records], names)
        if curves
        else (),
        confusion=ConfusionMatrix.of(one.confusions for one in records) if curves else None,
        nees=nees_histograms([one.errors.uncertainty for one in records]),
        notes=tuple(filter(None, [constant_factor_note([one.errors.depth for one in records])])),
    )


def _segments(scene: Scene, truth: GroundTruth) -> dict[str, SegmentCounts] | None:
    if scene.masks is None or scene.detections is None or truth.masks is None:
        return None
    return panoptic_counts(
        Segments(scene.detections, scene.masks),
        Segments(truth.detections, truth.masks),
        truth.counted,
    )


def _mask_matches(scene: Scene, truth: GroundTruth) -> FrameMatches | None:
    if scene.masks is None or scene.detections is None or truth.masks is None:
        return None
    return FrameMatches.of_masks(
        (scene.detections, scene.masks), (truth.detections, truth.masks), truth.counted
    )


def _check(scene: Scene, truth: GroundTruth, true_box_masks: Masks | None) -> None:
    if scene.image.size_hw != truth.image.size_hw:
        raise ShapeError(
            'size_mismatch',
            f'scene: expected the size of its ground truth {truth.image.size_hw}, '
            f'got {scene.image.size_hw} (rows, columns). Pair it with the truth of its image.',
        )
    if true_box_masks is not None and len(true_box_masks) != len(truth.detections):
        raise ShapeError(
            'count_mismatch',
            f'true_box_masks: expected one for each of {len(truth.detections)} true objects, '
            f'got {len(true_box_masks)}. Segment all true boxes.',
        )
