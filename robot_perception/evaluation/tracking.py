"""Whether objects keep their numbers: CLEAR MOT, identity and HOTA."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robot_perception.core import BoolArray, Detections, Float64Array, Int64Array, iou_xyxy
from robot_perception.evaluation.assignment import best_assignment
from robot_perception.evaluation.matching import match

# Overlap from which a prediction is taken to be an object.
_SAME_IOU = 0.5
_ALPHAS = np.arange(0.05, 0.99, 0.05)
_EPSILON = np.finfo(np.float64).eps
# Lifts a pair that goes on above all that would be new, whose overlap is at most 1.
_GOES_ON = 1000.0


@dataclass(frozen=True, slots=True, eq=False)
class FrameTracks:
    """Numbered objects of one frame.

    Attributes:
        truth: (N,) int64, numbers of the true objects that count.
        found: (M,) int64, numbers of the predictions, without those on objects that do not count.
        overlap: (N, M) float64, IoU of their boxes; 0 for another class.

    """

    truth: Int64Array
    found: Int64Array
    overlap: Float64Array

    @classmethod
    def of(cls, found: Detections, truth: Detections, counted: BoolArray) -> FrameTracks | None:
        """Take the objects of a frame; None where some have no number."""
        if (found.track_ids is None and len(found)) or (truth.track_ids is None and len(truth)):
            return None
        kept = ~match(found, truth, counted, [_SAME_IOU]).ignored[0]
        found, truth = found[kept], truth[counted]
        overlap = iou_xyxy(truth.boxes_xyxy, found.boxes_xyxy)
        same = np.array(truth.class_names)[:, None] == np.array(found.class_names)[None]
        return cls(_numbers(truth), _numbers(found), np.where(same, overlap, 0.0))


@dataclass(frozen=True, slots=True)
class TrackingMetrics:
    """How well numbers are kept over a sequence; None where there is nothing to judge.

    Attributes:
        hota: higher order tracking accuracy, mean over overlaps from 0.05 to 0.95 of
            sqrt(DetA AssA) (Luiten et al. 2021).
        det_a: its detection accuracy, mean likewise.
        ass_a: its association accuracy, mean likewise.
        mota: 1 - (missed + invented + switches) / true objects (Bernardin and Stiefelhagen
            2008), at an overlap of 0.5; below 0 when there are more errors than objects.
        idf1: share of objects and predictions that bear the right number under the best
            one-to-one naming (Ristani et al. 2016), at an overlap of 0.5.
        switches: how often an object is found under another number than the last time.

    """

    hota: float | None = None
    det_a: float | None = None
    ass_a: float | None = None
    mota: float | None = None
    idf1: float | None = None
    switches: int | None = None


def tracking_metrics(frames: Sequence[FrameTracks]) -> TrackingMetrics:
    """Judge one sequence, its frames in order of time."""
    objects = sum(len(one.truth) for one in frames)
    predictions = sum(len(one.found) for one in frames)
    if not objects:
        return TrackingMetrics()
    tracks = _Tracks(frames)
    errors, switches = _clear(tracks, objects, predictions)
    hota, det_a, ass_a = _hota(tracks, objects, predictions)
    return TrackingMetrics(
        hota=hota,
        det_a=det_a,
        ass_a=ass_a,
        mota=1 - errors / objects,
        idf1=2 * _identified(tracks) / (objects + predictions),
        switches=switches,
    )


class _Tracks:
    """Frames whose numbers are places in tables of all tracks.

    Attributes:
        frames: with numbers from 0 on.
        truth_frames: (N,) float64, in how many frames each true track is.
        found_frames: (M,) float64, likewise.

    """

    def __init__(self, frames: Sequence[FrameTracks]) -> None:
        truth = np.concatenate([one.truth for one in frames])
        found = np.concatenate([one.found for one in frames])
        truth_ids, found_ids = np.unique(truth), np.unique(found)
        self.frames = [
            FrameTracks(
                np.searchsorted(truth_ids, one.truth),
                np.searchsorted(found_ids, one.found),
                one.overlap,
            )
            for one in frames
        ]
        self.truth_frames = np.unique(truth, return_counts=True)[1].astype(np.float64)
        self.found_frames = np.unique(found, return_counts=True)[1].astype(np.float64)

    def table(self) -> Float64Array:
        """Zeros for each pair of tracks."""
        return np.zeros((len(self.truth_frames), len(self.found_frames)))


def _numbers(objects: Detections) -> Int64Array:
    numbers = objects.track_ids
    return np.zeros(0, np.int64) if numbers is None else numbers


def _clear(tracks: _Tracks, objects: int, predictions: int) -> tuple[int, int]:
    """Count missed, invented and switched, and switches alone."""
    last = np.full(len(tracks.truth_frames), -1)
    frame_before = last.copy()
    right = switches = 0
    for one in tracks.frames:
        if not (len(one.truth) and len(one.found)):
            continue
        goes_on = one.found[None] == frame_before[one.truth][:, None]
        scores = np.where(
            one.overlap >= _SAME_IOU - _EPSILON, one.overlap + _GOES_ON * goes_on, 0.0
        )
        rows, columns = best_assignment(scores)
        good = scores[rows, columns] > 0
        truth, found = one.truth[rows[good]], one.found[columns[good]]
        switches += int(np.count_nonzero((last[truth] >= 0) & (last[truth] != found)))
        right += len(truth)
        last[truth] = found
        frame_before[:] = -1
        frame_before[truth] = found
    return objects + predictions - 2 * right + switches, switches


def _identified(tracks: _Tracks) -> float:
    """Objects that bear the right number when tracks are named in the best way."""
    together = tracks.table()
    for one in tracks.frames:
        rows, columns = np.nonzero(one.overlap >= _SAME_IOU)
        together[one.truth[rows], one.found[columns]] += 1
    rows, columns = best_assignment(together)
    return float(together[rows, columns].sum())


def _hota(tracks: _Tracks, objects: int, predictions: int) -> tuple[float, float, float]:
    """HOTA, DetA and AssA, each a mean over limits of overlap."""
    alignment = _alignment(tracks)
    together = [tracks.table() for _ in _ALPHAS]
    for one in tracks.frames:
        rows, columns = best_assignment(
            alignment[one.truth[:, None], one.found[None]] * one.overlap
        )
        overlaps = one.overlap[rows, columns]
        for table, alpha in zip(together, _ALPHAS, strict=True):
            good = overlaps >= alpha - _EPSILON
            table[one.truth[rows[good]], one.found[columns[good]]] += 1
    right = np.array([table.sum() for table in together])
    detected = right / (objects + predictions - right)
    frames = tracks.truth_frames[:, None] + tracks.found_frames[None]
    associated = np.array(
        [
            (table * table / np.maximum(1, frames - table)).sum() / max(1, count)
            for table, count in zip(together, right, strict=True)
        ]
    )
    hota = np.sqrt(detected * associated)
    return float(hota.mean()), float(detected.mean()), float(associated.mean())


def _alignment(tracks: _Tracks) -> Float64Array:
    """How much two tracks are together over the whole sequence, in [0, 1]."""
    together = tracks.table()
    for one in tracks.frames:
        either = one.overlap.sum(axis=0)[None] + one.overlap.sum(axis=1)[:, None] - one.overlap
        share = np.divide(
            one.overlap, either, out=np.zeros_like(one.overlap), where=either > _EPSILON
        )
        together[one.truth[:, None], one.found[None]] += share
    frames = tracks.truth_frames[:, None] + tracks.found_frames[None]
    aligned: Float64Array = together / np.maximum(frames - together, _EPSILON)
    return aligned
