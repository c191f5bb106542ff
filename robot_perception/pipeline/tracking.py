"""Multi-object tracking: assigns track ids that stay with an object from frame to frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from robot_perception.core import (
    Detections,
    Float32Array,
    Float64Array,
    Int64Array,
    iou_xyxy,
    is_restart,
    NANOSECONDS_PER_SECOND,
)

_NO_DETECTIONS = Detections.empty()
# Least overlap (IoU) of a predicted box with a detection of high and of low confidence. There are
# many of low confidence, so they must overlap more.
_MIN_IOU, _MIN_LOW_CONFIDENCE_IOU = 0.2, 0.35
# Added to the overlap of boxes of one class.
_SAME_CLASS_BONUS = 0.2
# A lost track matches within this share of its size, if no side changed by more than this factor.
_MAX_OFFSET, _MAX_SIZE_RATIO = 0.5, 1.5
# Weight of the newest measurement in the velocity of a box.
_VELOCITY_GAIN = 0.5
# Over a shorter time the motion of a box is mostly noise, as between frames that arrive in bursts.
_MIN_INTERVAL_NS = 5_000_000


@dataclass(frozen=True, slots=True, eq=False)
class _Track:
    """State of one object.

    Attributes:
        track_id: its identity, from 1.
        class_name: class of its latest detection.
        box_xyxy: (4,) float64, pixels.
        velocity: (4,) float64, pixels a second of each side.
        stamp_ns: of its newest detection.
        lost: whether it has not been detected since.
    """

    track_id: int
    class_name: str
    box_xyxy: Float64Array
    velocity: Float64Array
    stamp_ns: int
    lost: bool = False

    def predict(self, stamp_ns: int) -> Float64Array:
        """Predict its box, at constant velocity unless it is lost."""
        if self.lost:
            return self.box_xyxy
        seconds = (stamp_ns - self.stamp_ns) / NANOSECONDS_PER_SECOND
        return self.box_xyxy + self.velocity * seconds

    def update(self, box_xyxy: Float64Array, class_name: str, stamp_ns: int) -> _Track:
        """Return the track after another detection; one that is hardly newer changes nothing."""
        if stamp_ns < self.stamp_ns + _MIN_INTERVAL_NS:
            return self
        seconds = (stamp_ns - self.stamp_ns) / NANOSECONDS_PER_SECOND
        measured = (box_xyxy - self.box_xyxy) / seconds
        if self.velocity.any() and not self.lost:
            velocity = _VELOCITY_GAIN * measured + (1 - _VELOCITY_GAIN) * self.velocity
        else:
            velocity = measured
        return replace(
            self,
            class_name=class_name,
            box_xyxy=box_xyxy,
            velocity=velocity,
            stamp_ns=stamp_ns,
            lost=False,
        )

    def mark_lost(self, shift: Float64Array) -> _Track:
        """Return the track after a frame without it, whose content moved by (4,) pixels."""
        return replace(self, box_xyxy=self.box_xyxy + shift, lost=True)


class Tracker:
    """Associates detections with tracks by the overlap of boxes.

    Tracks predict their boxes at constant velocity (as SORT, Bewley et al. 2016). Pairs are
    matched greedily by overlap; equal classes are preferred but not required, since a detector
    may change the class of an object. Detections that remain are matched to lost tracks of about
    the same position and size. Detections of low confidence continue tracks that found no other
    (as in ByteTrack, Zhang et al. 2022). Lost tracks move with the image content. A frame that is
    older than the one before gets the ids of the tracks, and moves no track back in time. Track
    ids are unique for the life of the tracker.
    """

    def __init__(self) -> None:
        """Start without tracks."""
        self._tracks: list[_Track] = []
        self._last_track_id = 0
        self._newest_ns = 0

    def reset(self) -> None:
        """Drop all tracks, as after a jump in time; ids are not reused."""
        self._tracks = []
        self._newest_ns = 0

    def state_dict(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        tracks = [
            {
                **asdict(track),
                'box_xyxy': track.box_xyxy.tolist(),
                'velocity': track.velocity.tolist(),
            }
            for track in self._tracks
        ]
        return {
            'last_track_id': self._last_track_id,
            'newest_ns': self._newest_ns,
            'tracks': tracks,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load what `state_dict` returned."""
        self._last_track_id, self._newest_ns = state['last_track_id'], state['newest_ns']
        self._tracks = [
            _Track(
                **{
                    **track,
                    'box_xyxy': np.array(track['box_xyxy'], np.float64),
                    'velocity': np.array(track['velocity'], np.float64),
                }
            )
            for track in state['tracks']
        ]

    def update(
        self,
        detections: Detections,
        stamp_ns: int,
        max_lost_s: float,
        low_confidence: Detections = _NO_DETECTIONS,
    ) -> Detections:
        """Assign track ids to the detections of the next frame.

        Args:
            detections: N objects.
            stamp_ns: of their frame, in any order; after a restart (see `is_restart`) tracking
                starts again.
            max_lost_s: seconds without a detection after which a track is dropped.
            low_confidence: detections that continue tracks but start none.

        Returns:
            The N objects with ``track_ids``.
        """
        if is_restart(stamp_ns, self._newest_ns):
            self.reset()
        is_newest = stamp_ns > self._newest_ns
        self._newest_ns = max(stamp_ns, self._newest_ns)
        oldest_ns = self._newest_ns - max_lost_s * NANOSECONDS_PER_SECOND
        tracks = [track for track in self._tracks if track.stamp_ns >= oldest_ns]
        every_box = np.concatenate([detections.boxes_xyxy, low_confidence.boxes_xyxy])
        boxes = every_box.astype(np.float64)
        class_names = (*detections.class_names, *low_confidence.class_names)
        matches = _match(tracks, stamp_ns, detections, low_confidence)
        shift = _image_shift(tracks, boxes, matches)
        updated = {
            index: tracks[track_index].update(boxes[index], class_names[index], stamp_ns)
            for index, track_index in matches.items()
        }
        for index in range(len(detections)):
            if index not in updated:
                self._last_track_id += 1
                updated[index] = _Track(
                    self._last_track_id, class_names[index], boxes[index], np.zeros(4), stamp_ns
                )
        unmatched = sorted(set(range(len(tracks))) - set(matches.values()))
        self._tracks = [
            *updated.values(),
            *(
                tracks[index].mark_lost(shift) if is_newest else tracks[index]
                for index in unmatched
            ),
        ]
        track_ids = [updated[index].track_id for index in range(len(detections))]
        return replace(detections, track_ids=np.array(track_ids, np.int64))


def _match(
    tracks: Sequence[_Track], stamp_ns: int, detections: Detections, low_confidence: Detections
) -> dict[int, int]:
    """Match detections, those of low confidence last, with tracks: their indices."""
    matches: dict[int, int] = {}
    if not tracks:
        return matches
    predicted = np.stack([track.predict(stamp_ns) for track in tracks]).astype(np.float32)
    class_names = np.array([track.class_name for track in tracks])
    detected = np.array(detections.class_names + low_confidence.class_names)
    same_class = class_names[:, None] == detected[None]
    boxes = np.concatenate([detections.boxes_xyxy, low_confidence.boxes_xyxy])
    is_low = np.arange(len(boxes)) >= len(detections)
    iou = iou_xyxy(predicted, boxes)
    similarity = iou + _SAME_CLASS_BONUS * same_class
    lost = np.array([track.lost for track in tracks])[:, None]
    _match_greedily(np.where((iou > _MIN_IOU) & ~is_low, similarity, 0), matches)
    _match_greedily(
        np.where(same_class & lost & ~is_low, _proximity(predicted, boxes), 0), matches
    )
    _match_greedily(np.where((iou > _MIN_LOW_CONFIDENCE_IOU) & is_low, similarity, 0), matches)
    return matches


def _image_shift(
    tracks: Sequence[_Track], boxes: Float64Array, matches: Mapping[int, int]
) -> Float64Array:
    """Estimate how the image content moved: (4,) pixels, the median over matched tracks."""
    shifts = [
        boxes[index] - tracks[track_index].box_xyxy
        for index, track_index in matches.items()
        if not tracks[track_index].lost
    ]
    if not shifts:
        return np.zeros(4)
    left, top, right, bottom = np.median(shifts, axis=0).tolist()
    return np.array([(left + right) / 2, (top + bottom) / 2] * 2)


def _match_greedily(similarity: Float64Array, matches: dict[int, int]) -> None:
    """Match rows to columns one to one by descending similarity; ignore similarities <= 0."""
    order: Int64Array = np.argsort(-similarity, axis=None, kind='stable')
    matched_rows = set(matches.values())
    for flat_index in order:
        row, column = divmod(int(flat_index), similarity.shape[1])
        if similarity[row, column] <= 0:
            return
        if row not in matched_rows and column not in matches:
            matches[column] = row
            matched_rows.add(row)


def _proximity(first_xyxy: Float32Array, second_xyxy: Float32Array) -> Float64Array:
    """Rate pairs of boxes by offset: (N, M) float64, 0 for those far apart or unequal in size."""
    first, second = first_xyxy.astype(np.float64), second_xyxy.astype(np.float64)
    centers = [(boxes[:, :2] + boxes[:, 2:]) / 2 for boxes in (first, second)]
    sides = [np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-6) for boxes in (first, second)]
    offset = np.linalg.norm(centers[0][:, None] - centers[1][None], axis=-1)
    diagonal = np.linalg.norm(sides[0], axis=-1)[:, None]
    size_ratio = np.abs(np.log(sides[0][:, None] / sides[1][None])).max(axis=-1)
    score = 1 - offset / (_MAX_OFFSET * diagonal)
    proximity: Float64Array = np.where(size_ratio <= np.log(_MAX_SIZE_RATIO), score.clip(min=0), 0)
    return proximity
