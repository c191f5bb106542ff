"""Which object of this frame is which of the last: numbers that stay with an object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from robot_perception.core import Detections, Float32Array, Float64Array, Int64Array, iou_xyxy

_NANOSECONDS = 1e9
_NOTHING = Detections.empty()
# A box that was there a moment ago overlaps its prediction by more than this; a faint one, of which
# there are many, by more.
_LEAST_IOU, _LEAST_FAINT_IOU = 0.2, 0.35
# A box of the same class is preferred to one that overlaps by so much more.
_SAME_CLASS = 0.2
# One that comes back may be half its size away, and have changed its sides by this factor.
_MOST_OFFSET, _MOST_GROWTH = 0.5, 1.5
# Share of the newest measurement in the velocity of a box.
_NEWNESS = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class _Track:
    """One object as it was last seen.

    Attributes:
        number: its identity, from 1.
        class_name: what it was taken for last.
        box_xyxy: (4,) float64, pixels.
        velocity: (4,) float64, pixels a second of each side.
        stamp_ns: of the frame that showed it last.
        lost: whether a frame has passed without it.

    """

    number: int
    class_name: str
    box_xyxy: Float64Array
    velocity: Float64Array
    stamp_ns: int
    lost: bool = False

    def at(self, stamp_ns: int) -> Float64Array:
        """Where its box is expected; one that is lost goes with the picture alone."""
        if self.lost:
            return self.box_xyxy
        return self.box_xyxy + self.velocity * ((stamp_ns - self.stamp_ns) / _NANOSECONDS)

    def seen(self, box_xyxy: Float64Array, class_name: str, stamp_ns: int) -> _Track:
        """Take the next sight of it."""
        seconds = (stamp_ns - self.stamp_ns) / _NANOSECONDS
        measured = (box_xyxy - self.box_xyxy) / seconds
        known = self.velocity.any() and not self.lost
        velocity = _NEWNESS * measured + (1 - _NEWNESS) * self.velocity if known else measured
        return replace(
            self,
            class_name=class_name,
            box_xyxy=box_xyxy,
            velocity=velocity,
            stamp_ns=stamp_ns,
            lost=False,
        )

    def missed(self, shift: Float64Array) -> _Track:
        """Pass a frame without it, in which the picture as a whole moved by ``shift``."""
        return replace(self, box_xyxy=self.box_xyxy + shift, lost=True)


class Tracker:
    """Joins detections over time by where their boxes are expected.

    Each track foresees its box at constant velocity (as SORT does, Bewley et al. 2016); pairs are
    joined in the order of their overlap, those of one class first, since a detector may change its
    mind. What is left of the tracks that were lost for a moment takes detections of about the same
    place and size. Faint detections keep tracks where nothing better is found (as in ByteTrack, Zhang
    et al. 2022), and lost ones move as the picture does. Numbers are never given twice.
    """

    def __init__(self) -> None:
        """Start without tracks."""
        self._tracks: list[_Track] = []
        self._last_number = 0
        self._stamp_ns = 0

    def reset(self) -> None:
        """Forget all tracks, as after a jump of time."""
        self._tracks = []
        self._stamp_ns = 0

    def memory(self) -> dict[str, Any]:
        """Give all that the next frame will be compared with, as values of JSON."""
        tracks = [
            {**asdict(one), 'box_xyxy': one.box_xyxy.tolist(), 'velocity': one.velocity.tolist()}
            for one in self._tracks
        ]
        return {'last_number': self._last_number, 'stamp_ns': self._stamp_ns, 'tracks': tracks}

    def remember(self, memory: Mapping[str, Any]) -> None:
        """Go on from what `memory` gave."""
        self._last_number, self._stamp_ns = memory['last_number'], memory['stamp_ns']
        self._tracks = [
            _Track(
                **{
                    **one,
                    'box_xyxy': np.array(one['box_xyxy'], np.float64),
                    'velocity': np.array(one['velocity'], np.float64),
                }
            )
            for one in memory['tracks']
        ]

    def follow(
        self, found: Detections, stamp_ns: int, max_lost_s: float, faint: Detections = _NOTHING
    ) -> Detections:
        """Number the detections of the next frame.

        Args:
            found: N objects.
            stamp_ns: of their frame; one that is not later than that of the frame before begins
                anew.
            max_lost_s: seconds after which an object that is not seen is forgotten.
            faint: what scores too little to be an object, unless it was one before.

        Returns:
            The N objects with ``track_ids``.

        """
        if stamp_ns <= self._stamp_ns:
            self.reset()
        self._stamp_ns = stamp_ns
        oldest_ns = stamp_ns - max_lost_s * _NANOSECONDS
        tracks = [track for track in self._tracks if track.stamp_ns >= oldest_ns]
        boxes = np.concatenate([found.boxes_xyxy, faint.boxes_xyxy]).astype(np.float64)
        names = (*found.class_names, *faint.class_names)
        joined = self._join(tracks, found, faint)
        shift = _shift(tracks, boxes, joined)
        following = {
            index: tracks[place].seen(boxes[index], names[index], stamp_ns)
            for index, place in joined.items()
        }
        for index in range(len(found)):
            if index not in following:
                self._last_number += 1
                following[index] = _Track(
                    self._last_number, names[index], boxes[index], np.zeros(4), stamp_ns
                )
        unseen = sorted(set(range(len(tracks))) - set(joined.values()))
        self._tracks = [*following.values(), *(tracks[place].missed(shift) for place in unseen)]
        numbers = [following[index].number for index in range(len(found))]
        return replace(found, track_ids=np.array(numbers, np.int64))

    def _join(
        self, tracks: Sequence[_Track], found: Detections, faint: Detections
    ) -> dict[int, int]:
        """Give the place of the track of each detection that has one; the faint follow the found."""
        joined: dict[int, int] = {}
        if not tracks:
            return joined
        expected = np.stack([track.at(self._stamp_ns) for track in tracks]).astype(np.float32)
        names = np.array([track.class_name for track in tracks])
        alike = names[:, None] == np.array(found.class_names + faint.class_names)[None]
        boxes = np.concatenate([found.boxes_xyxy, faint.boxes_xyxy])
        is_faint = np.arange(len(boxes)) >= len(found)
        overlap = iou_xyxy(expected, boxes)
        likeness = overlap + _SAME_CLASS * alike
        _pair(np.where((overlap > _LEAST_IOU) & ~is_faint, likeness, 0), joined)
        lost = np.array([track.lost for track in tracks])[:, None]
        _pair(np.where(alike & lost & ~is_faint, _nearness(expected, boxes), 0), joined)
        _pair(np.where((overlap > _LEAST_FAINT_IOU) & is_faint, likeness, 0), joined)
        return joined


def _shift(
    tracks: Sequence[_Track], boxes: Float64Array, joined: Mapping[int, int]
) -> Float64Array:
    """How the picture moved since the last frame: (4,) pixels, the median of what was seen in both."""
    shifts = [
        boxes[index] - tracks[place].box_xyxy
        for index, place in joined.items()
        if not tracks[place].lost
    ]
    if not shifts:
        return np.zeros(4)
    left, top, right, bottom = np.median(shifts, axis=0).tolist()
    return np.array([(left + right) / 2, (top + bottom) / 2] * 2)


def _pair(likeness: Float64Array, joined: dict[int, int]) -> None:
    """Join rows with columns, the likest first, each once, those above 0."""
    order: Int64Array = np.argsort(-likeness, axis=None, kind='stable')
    taken = set(joined.values())
    for place in order:
        row, column = divmod(int(place), likeness.shape[1])
        if likeness[row, column] <= 0:
            return
        if row not in taken and column not in joined:
            joined[column] = row
            taken.add(row)


def _nearness(first_xyxy: Float32Array, second_xyxy: Float32Array) -> Float64Array:
    """Rate pairs by offset and size: (N, M) float64, above 0 for about the same place and size."""
    first, second = first_xyxy.astype(np.float64), second_xyxy.astype(np.float64)
    middles = [(boxes[:, :2] + boxes[:, 2:]) / 2 for boxes in (first, second)]
    sides = [np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-6) for boxes in (first, second)]
    away = np.linalg.norm(middles[0][:, None] - middles[1][None], axis=-1)
    size = np.linalg.norm(sides[0], axis=-1)[:, None]
    growth = np.abs(np.log(sides[0][:, None] / sides[1][None])).max(axis=-1)
    near = 1 - away / (_MOST_OFFSET * size)
    nearness: Float64Array = np.where(growth <= np.log(_MOST_GROWTH), near.clip(min=0), 0)
    return nearness
