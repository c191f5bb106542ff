"""What is right and wrong in one frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from robot_perception.core import Detections, Float32Array, Int64Array, Masks, Scene
from robot_perception.evaluation.box_overlap import box_iou
from robot_perception.evaluation.depth import depth_errors, DepthErrorByRange, DepthErrors
from robot_perception.evaluation.ground_truth import GroundTruth
from robot_perception.evaluation.masks import boundary_iou, mask_iou
from robot_perception.evaluation.matching import match, Matches
from robot_perception.evaluation.panoptic import SegmentCounts
from robot_perception.evaluation.precision import FrameBoxes
from robot_perception.evaluation.tracking import FrameTracks

# Overlap of boxes from which a prediction is taken to mean an object.
SAME_OBJECT_IOU = 0.5
NEAR_M = 2.0
_CENTIMETERS = 100.0


@dataclass(frozen=True, slots=True)
class MaskErrors:
    """Overlaps of masks, one for each that was compared, in [0, 1]."""

    iou: tuple[float, ...] = ()
    boundary_iou: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class PositionErrors:
    """Objects within 2 meters that were found.

    Attributes:
        located: for each, whether its place is known too, 0 or 1.
        centroid_cm: distance of the centroids of those located, centimetres.
        box_iou: overlap in space of their boxes, in [0, 1].
        class_names: of those located.
        visible: share of each of them that is to be seen, in (0, 1].

    """

    located: tuple[float, ...] = ()
    centroid_cm: tuple[float, ...] = ()
    box_iou: tuple[float, ...] = ()
    class_names: tuple[str, ...] = ()
    visible: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class FrameErrors:
    """One frame beside its truth.

    Attributes:
        right: for each prediction that is not ignored, whether it is right, 0 or 1; None without
            a detector.
        found: for each object that counts, whether it was found, 0 or 1; None likewise.
        missed: classes of objects that were not found.
        invented: classes of predictions that are wrong.
        depth: of the whole image.
        masks: of found objects.
        true_box_masks: of objects whose true box the segmenter was given.
        places: of found objects.

    """

    right: tuple[float, ...] | None
    found: tuple[float, ...] | None
    missed: tuple[str, ...]
    invented: tuple[str, ...]
    depth: DepthErrors
    masks: MaskErrors
    true_box_masks: MaskErrors
    places: PositionErrors

    @property
    def error_score(self) -> float:
        """How bad the frame is, to put the worst first; >= 0, no unit.

        Missed and invented objects count 1 each, masks what they lack of an overlap of 1 on the
        average, depth its mean relative error up to 1.
        """
        overlaps = self.masks.iou or self.true_box_masks.iou
        masks = 1 - sum(overlaps) / len(overlaps) if overlaps else 0.0
        depth = min(self.depth.abs_rel or 0.0, 1.0)
        return len(self.missed) + len(self.invented) + masks + depth


def frame_errors(scene: Scene, truth: GroundTruth, true_box_masks: Masks | None) -> FrameErrors:
    """Compare one frame with its truth.

    Args:
        scene: what was seen.
        truth: M objects.
        true_box_masks: M masks made from the true boxes, None where there are none.

    """
    counted = truth.counted
    every = np.flatnonzero(counted)
    found = Detections.empty() if scene.detections is None else scene.detections
    matches = match(found, truth.detections, counted, [SAME_OBJECT_IOU])
    pairs = _pairs(matches)
    missing = np.setdiff1d(every, pairs[:, 1])
    wrong = np.flatnonzero(matches.wrong[0])
    judged = matches.right[0][~matches.ignored[0]]
    seen = scene.detections is not None
    return FrameErrors(
        right=tuple(judged.astype(float).tolist()) if seen else None,
        found=tuple(np.isin(every, pairs[:, 1]).astype(float).tolist()) if seen else None,
        missed=tuple(truth.detections.class_names[index] for index in missing) if seen else (),
        invented=tuple(found.class_names[index] for index in wrong),
        depth=depth_errors(scene.depth, truth.depth),
        masks=_mask_errors(scene.masks, truth.masks, pairs),
        true_box_masks=_mask_errors(true_box_masks, truth.masks, np.stack([every, every], axis=1)),
        places=_place_errors(scene, truth, pairs),
    )


def _pairs(matches: Matches) -> Int64Array:
    """(P, 2): places of right predictions and of their true objects."""
    right = np.flatnonzero(matches.right[0])
    return np.stack([right, matches.truth[0, right]], axis=1)


def _mask_errors(found: Masks | None, true: Masks | None, pairs: Int64Array) -> MaskErrors:
    if found is None or true is None:
        return MaskErrors()
    both = [(found.pixels[own], true.pixels[other]) for own, other in pairs]
    return MaskErrors(
        tuple(mask_iou(own, other) for own, other in both),
        tuple(boundary_iou(own, other) for own, other in both),
    )


def _place_errors(scene: Scene, truth: GroundTruth, pairs: Int64Array) -> PositionErrors:
    located, centroids, overlaps, names, visible = [], [], [], [], []
    for own, other in pairs:
        found, true = scene.objects[own].position, truth.objects[other].position
        if true is None or np.linalg.norm(true.centroid_m) > NEAR_M:
            continue
        located.append(float(found is not None))
        if found is not None:
            away = np.subtract(found.centroid_m, true.centroid_m)
            centroids.append(_CENTIMETERS * float(np.linalg.norm(away)))
            overlaps.append(box_iou(found.box, true.box))
            names.append(truth.detections.class_names[other])
            visible.append(float(truth.detections.scores[other]))
    return PositionErrors(
        tuple(located), tuple(centroids), tuple(overlaps), tuple(names), tuple(visible)
    )


@dataclass(frozen=True, slots=True, eq=False)
class FrameRecord:
    """What is kept of one frame: some kilobytes, no picture.

    Attributes:
        errors: beside its truth.
        boxes: all predictions and true objects.
        has_detector: whether there were predictions at all, be they none.
        vector: (C,) float32, features of the scene.
        scene_type: the true one.
        timing_s: seconds of each stage.
        depth_range: errors of depth near and far.
        segments: those of each class.
        tracks: numbered objects, None where some have no number.
        stamp_ns: time of the frame.

    """

    errors: FrameErrors
    boxes: FrameBoxes
    has_detector: bool
    vector: Float32Array | None
    scene_type: str | None
    timing_s: Mapping[str, float]
    depth_range: DepthErrorByRange | None
    segments: Mapping[str, SegmentCounts] | None
    tracks: FrameTracks | None
    stamp_ns: int
