"""Tracking metrics: CLEAR MOT, identity and HOTA."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robot_perception.core import BoolArray, Detections, Float64Array, Int64Array, iou_xyxy
from robot_perception.evaluation.assignment import best_assignment
from robot_perception.evaluation.matching import match

# IoU from which a prediction matches an object.
_SAME_IOU = 0.5
_ALPHAS = np.arange(0.05, 0.99, 0.05)
_EPSILON = np.finfo(np.float64).eps
# Ranks pairs that continue above new ones, whose overlap is at most 1.
_CONTINUES = 1000.0


@dataclass(frozen=True, slots=True, eq=False)
class FrameTracks:
    """Tracked objects of one frame.

    Attributes:
        truth: (N,) int64, track ids of the true objects that count.
        predictions: (M,) int64, track ids of the predictions that are not ignored.
        overlap: (N, M) float64, IoU of their boxes; 0 for another class.
    """

    truth: Int64Array
    predictions: Int64Array
    overlap: Float64Array

    @classmethod
    def of(
        cls, predictions: Detections, truth: Detections, counted: BoolArray
    ) -> FrameTracks | None:
        """Return the tracks of a frame; None where some objects have no track id."""
        if (predictions.track_ids is None and len(predictions)) or (
            truth.track_ids is None and len(truth)
        ):
            return None
        kept = ~match(predictions, truth, counted, [_SAME_IOU]).ignored[0]
        predictions, truth = predictions[kept], truth[counted]
        overlap = iou_xyxy(truth.boxes_xyxy, predictions.boxes_xyxy)
        same = np.array(truth.class_names)[:, None] == np.array(predictions.class_names)[None]
        return cls(_track_ids(truth), _track_ids(predictions), np.where(same, overlap, 0.0))


@dataclass(frozen=True, slots=True)
class TrackingMetrics:
    """Metrics of the tracks of a sequence; None without objects.

    Attributes:
        hota: higher order tracking accuracy, mean over overlaps from 0.05 to 0.95 of
            sqrt(DetA AssA) (Luiten et al. 2021).
        det_a: its detection accuracy, mean likewise.
        ass_a: its association accuracy, mean likewise.
        mota: 1 - (FN + FP + switches) / true objects (Bernardin and Stiefelhagen 2008), at an IoU
            of 0.5; below 0 when there are more errors than objects.
        idf1: share of objects and predictions that have the correct track id under the best
            one-to-one assignment of tracks (Ristani et al. 2016), at an IoU of 0.5.
        switches: how often the predicted track id of an object changes.
    """

    hota: float | None = None
    det_a: float | None = None
    ass_a: float | None = None
    mota: float | None = None
    idf1: float | None = None
    switches: int | None = None


def tracking_metrics(frames: Sequence[FrameTracks]) -> TrackingMetrics:
    """Compute the metrics of one sequence, its frames in order of time."""
    object_count = sum(len(one.truth) for one in frames)
    prediction_count = sum(len(one.predictions) for one in frames)
    if not object_count:
        return TrackingMetrics()
    tracks = _Tracks(frames)
    errors, switches = _clear_mot(tracks, object_count, prediction_count)
    hota, det_a, ass_a = _hota(tracks, object_count, prediction_count)
    return TrackingMetrics(
        hota=hota,
        det_a=det_a,
        ass_a=ass_a,
        mota=1 - errors / object_count,
        idf1=2 * _count_identified(tracks) / (object_count + prediction_count),
        switches=switches,
    )


class _Tracks:
    """Frames whose track ids are indices into tables of all tracks.

    Attributes:
        frames: with track ids from 0 on.
        truth_frames: (N,) float64, count of frames of each true track.
        prediction_frames: (M,) float64, likewise.
    """

    def __init__(self, frames: Sequence[FrameTracks]) -> None:
        truth = np.concatenate([one.truth for one in frames])
        predictions = np.concatenate([one.predictions for one in frames])
        truth_ids, prediction_ids = np.unique(truth), np.unique(predictions)
        self.frames = [
            FrameTracks(
                np.searchsorted(truth_ids, one.truth),
                np.searchsorted(prediction_ids, one.predictions),
                one.overlap,
            )
            for one in frames
        ]
        self.truth_frames = np.unique(truth, return_counts=True)[1].astype(np.float64)
        self.prediction_frames = np.unique(predictions, return_counts=True)[1].astype(np.float64)

    def table(self) -> Float64Array:
        """Return zeros for each pair of tracks."""
        return np.zeros((len(self.truth_frames), len(self.prediction_frames)))


def _track_ids(objects: Detections) -> Int64Array:
    numbers = objects.track_ids
    return np.zeros(0, np.int64) if numbers is None else numbers


def _clear_mot(tracks: _Tracks, object_count: int, prediction_count: int) -> tuple[int, int]:
    """Count false negatives, false positives and switches, and switches alone."""
    last = np.full(len(tracks.truth_frames), -1)
    frame_before = last.copy()
    true_positives = switches = 0
    for one in tracks.frames:
        if not (len(one.truth) and len(one.predictions)):
            continue
        continues = one.predictions[None] == frame_before[one.truth][:, None]
        scores = np.where(
            one.overlap >= _SAME_IOU - _EPSILON, one.overlap + _CONTINUES * continues, 0.0
        )
        rows, columns = best_assignment(scores)
        matched = scores[rows, columns] > 0
        truth, predictions = one.truth[rows[matched]], one.predictions[columns[matched]]
        switches += int(np.count_nonzero((last[truth] >= 0) & (last[truth] != predictions)))
        true_positives += len(truth)
        last[truth] = predictions
        frame_before[:] = -1
        frame_before[truth] = predictions
    return object_count + prediction_count - 2 * true_positives + switches, switches


def _count_identified(tracks: _Tracks) -> float:
    """Count objects with the correct track id under the best assignment of tracks."""
    joint = tracks.table()
    for one in tracks.frames:
        rows, columns = np.nonzero(one.overlap >= _SAME_IOU)
        joint[one.truth[rows], one.predictions[columns]] += 1
    rows, columns = best_assignment(joint)
    return float(joint[rows, columns].sum())


def _hota(tracks: _Tracks, object_count: int, prediction_count: int) -> tuple[float, float, float]:
    """Return HOTA, DetA and AssA, each a mean over IoU thresholds."""
    alignment = _alignment(tracks)
    joint = [tracks.table() for _ in _ALPHAS]
    for one in tracks.frames:
        rows, columns = best_assignment(
            alignment[one.truth[:, None], one.predictions[None]] * one.overlap
        )
        overlaps = one.overlap[rows, columns]
        for table, alpha in zip(joint, _ALPHAS, strict=True):
            matched = overlaps >= alpha - _EPSILON
            table[one.truth[rows[matched]], one.predictions[columns[matched]]] += 1
    true_positives = np.array([table.sum() for table in joint])
    detected = true_positives / (object_count + prediction_count - true_positives)
    frames = tracks.truth_frames[:, None] + tracks.prediction_frames[None]
    associated = np.array(
        [
            (table * table / np.maximum(1, frames - table)).sum() / max(1, count)
            for table, count in zip(joint, true_positives, strict=True)
        ]
    )
    hota = np.sqrt(detected * associated)
    return float(hota.mean()), float(detected.mean()), float(associated.mean())


def _alignment(tracks: _Tracks) -> Float64Array:
    """Return how much each pair of tracks overlaps over the whole sequence, in [0, 1]."""
    joint = tracks.table()
    for one in tracks.frames:
        either = one.overlap.sum(axis=0)[None] + one.overlap.sum(axis=1)[:, None] - one.overlap
        share = np.divide(
            one.overlap, either, out=np.zeros_like(one.overlap), where=either > _EPSILON
        )
        joint[one.truth[:, None], one.predictions[None]] += share
    frames = tracks.truth_frames[:, None] + tracks.prediction_frames[None]
    aligned: Float64Array = joint / np.maximum(frames - joint, _EPSILON)
    return aligned
