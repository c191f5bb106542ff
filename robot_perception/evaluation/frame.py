"""Errors of one frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from robot_perception.core import Detections, Float32Array, Int64Array, Masks, Scene
from robot_perception.evaluation.box_overlap import box_iou
from robot_perception.evaluation.confusion import Confusions
from robot_perception.evaluation.depth import depth_errors, DepthErrorByRange, DepthErrors
from robot_perception.evaluation.frame_matches import FrameMatches
from robot_perception.evaluation.ground_truth import GroundTruth
from robot_perception.evaluation.masks import boundary_iou, mask_iou
from robot_perception.evaluation.matching import match, Matches
from robot_perception.evaluation.panoptic import SegmentCounts
from robot_perception.evaluation.position_uncertainty import (
    position_uncertainty,
    PositionUncertainty,
)
from robot_perception.evaluation.precision import FrameBoxes
from robot_perception.evaluation.score_reliability import JudgedScores
from robot_perception.evaluation.tracking import FrameTracks

# IoU of boxes from which a prediction matches an object.
SAME_OBJECT_IOU = 0.5
NEAR_M = 2.0
_CENTIMETERS = 100.0


@dataclass(frozen=True, slots=True)
class MaskErrors:
    """Overlaps of the masks that were compared, each in [0, 1]."""

    iou: tuple[float, ...] = ()
    boundary_iou: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class PositionErrors:
    """Errors of the positions of detected objects within 2 meters.

    Attributes:
        located: for each object, whether its position was predicted, 0 or 1.
        centroid_cm: distance of the centroids of those located, centimeters.
        box_iou: IoU of their 3D boxes, in [0, 1].
        class_names: of those located.
        visible: visible share of each of them, in (0, 1].
    """

    located: tuple[float, ...] = ()
    centroid_cm: tuple[float, ...] = ()
    box_iou: tuple[float, ...] = ()
    class_names: tuple[str, ...] = ()
    visible: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class FrameErrors:
    """The errors of one frame.

    Attributes:
        true_positives: for each prediction that is not ignored, whether it is a true positive,
            0 or 1; None without a detector.
        detected: for each object that counts, whether it was detected, 0 or 1; None likewise.
        false_negatives: classes of the objects that were not detected.
        false_positives: classes of the predictions that match no object.
        depth: of the whole image.
        masks: of detected objects.
        true_box_masks: of objects whose true box was passed to the segmenter.
        positions: of detected objects.
        uncertainty: errors of positions in units of their uncertainty, at any distance.
    """

    true_positives: tuple[float, ...] | None
    detected: tuple[float, ...] | None
    false_negatives: tuple[str, ...]
    false_positives: tuple[str, ...]
    depth: DepthErrors
    masks: MaskErrors
    true_box_masks: MaskErrors
    positions: PositionErrors
    uncertainty: PositionUncertainty

    @property
    def by_kind(self) -> dict[str, float]:
        """Error of each kind, >= 0, 0 where nothing is known.

        False negatives and false positives count 1 each, masks 1 minus their mean IoU, depth its
        mean relative error, positions the mean distance of centroids in centimeters.
        """
        overlaps = self.masks.iou or self.true_box_masks.iou
        away = self.positions.centroid_cm
        return {
            'missed': float(len(self.false_negatives)),
            'false positives': float(len(self.false_positives)),
            'masks': 1 - sum(overlaps) / len(overlaps) if overlaps else 0.0,
            'depth': self.depth.abs_rel or 0.0,
            'positions': sum(away) / len(away) if away else 0.0,
        }

    @property
    def error_score(self) -> float:
        """Score by which frames are ranked, worst highest; >= 0, no unit.

        The sum of `by_kind` without positions, with depth up to 1.
        """
        kinds = self.by_kind
        counts = kinds['missed'] + kinds['false positives']
        return counts + kinds['masks'] + min(kinds['depth'], 1.0)


def frame_errors(scene: Scene, truth: GroundTruth, true_box_masks: Masks | None) -> FrameErrors:
    """Compare the predictions of one frame with its ground truth.

    ``true_box_masks`` are the masks predicted for the true boxes, one for each.
    """
    counted = truth.counted
    every = np.flatnonzero(counted)
    predictions = Detections.empty() if scene.detections is None else scene.detections
    matches = match(predictions, truth.detections, counted, [SAME_OBJECT_IOU])
    pairs = _pairs(matches)
    missing = np.setdiff1d(every, pairs[:, 1])
    false_positives = np.flatnonzero(matches.false_positives[0])
    judged = matches.true_positives[0][~matches.ignored[0]]
    has_detector = scene.detections is not None
    return FrameErrors(
        true_positives=tuple(judged.astype(float).tolist()) if has_detector else None,
        detected=tuple(np.isin(every, pairs[:, 1]).astype(float).tolist())
        if has_detector
        else None,
        false_negatives=tuple(truth.detections.class_names[index] for index in missing)
        if has_detector
        else (),
        false_positives=tuple(predictions.class_names[index] for index in false_positives),
        depth=depth_errors(scene.depth, truth.depth),
        masks=_mask_errors(scene.masks, truth.masks, pairs),
        true_box_masks=_mask_errors(true_box_masks, truth.masks, np.stack([every, every], axis=1)),
        positions=_position_errors(scene, truth, pairs),
        uncertainty=position_uncertainty(scene, truth, pairs),
    )


def _pairs(matches: Matches) -> Int64Array:
    """Return the indices of true positives and of their true objects, (P, 2)."""
    true_positives = np.flatnonzero(matches.true_positives[0])
    return np.stack([true_positives, matches.truth[0, true_positives]], axis=1)


def _mask_errors(predictions: Masks | None, true: Masks | None, pairs: Int64Array) -> MaskErrors:
    if predictions is None or true is None:
        return MaskErrors()
    both = [(predictions.pixels[own], true.pixels[other]) for own, other in pairs]
    return MaskErrors(
        tuple(mask_iou(own, other) for own, other in both),
        tuple(boundary_iou(own, other) for own, other in both),
    )


def _position_errors(scene: Scene, truth: GroundTruth, pairs: Int64Array) -> PositionErrors:
    located, centroids, overlaps, names, visible = [], [], [], [], []
    for own, other in pairs:
        predicted, true = scene.objects[own].position, truth.objects[other].position
        if true is None or np.linalg.norm(true.centroid_m) > NEAR_M:
            continue
        located.append(float(predicted is not None))
        if predicted is not None:
            away = np.subtract(predicted.centroid_m, true.centroid_m)
            centroids.append(_CENTIMETERS * float(np.linalg.norm(away)))
            overlaps.append(box_iou(predicted.box, true.box))
            names.append(truth.detections.class_names[other])
            visible.append(float(truth.detections.scores[other]))
    return PositionErrors(
        tuple(located), tuple(centroids), tuple(overlaps), tuple(names), tuple(visible)
    )


@dataclass(frozen=True, slots=True, eq=False)
class FrameRecord:
    """The record of one frame: some kilobytes, no image.

    Attributes:
        errors: against its ground truth.
        boxes: all predictions and true objects.
        box_matches: matches of all predictions by their boxes.
        mask_matches: by their masks, None without masks.
        scores: of all predictions.
        has_detector: whether a detector ran, even if it found nothing.
        vector: (C,) float32, features of the scene.
        scene_type: true type of the scene.
        timing_s: seconds of each stage.
        depth_range: depth errors by range of distance.
        confusions: true and predicted classes above the threshold.
        segments: panoptic counts of each class.
        tracks: tracked objects, None where some have no track id.
        stamp_ns: time of the frame.
        objects: classes of the true objects that count.
        ignored: true objects that do not.
    """

    errors: FrameErrors
    boxes: FrameBoxes
    box_matches: FrameMatches
    mask_matches: FrameMatches | None
    scores: JudgedScores
    has_detector: bool
    vector: Float32Array | None
    scene_type: str | None
    timing_s: Mapping[str, float]
    depth_range: DepthErrorByRange | None
    confusions: Confusions
    segments: Mapping[str, SegmentCounts] | None
    tracks: FrameTracks | None
    stamp_ns: int
    objects: tuple[str, ...]
    ignored: int
