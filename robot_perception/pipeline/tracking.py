"""Which object of this frame is which of the last: numbers that stay with an object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from robot_perception.core import Detections
from robot_perception.core.arrays import Float32Array, Float64Array, Int64Array
from robot_perception.core.boxes import iou_xyxy

_NANOSECONDS = 1e9
# A box that was there a moment ago overlaps its prediction by more than this.
_LEAST_IOU = 0.25
# One that comes back may be half its size away, and have changed its sides by this factor.
_MOST_OFFSET, _MOST_GROWTH = 0.5, 1.5
# Share of the newest measurement in the velocity of a box.
_NEWNESS = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class _Track:
    """One object as it was last seen.

    Attributes:
        number: its identity, from 1.
        class_name: what it is.
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
        """Where its box is expected; one that is lost is taken to have stopped."""
        if self.lost:
            return self.box_xyxy
        return self.box_xyxy + self.velocity * ((stamp_ns - self.stamp_ns) / _NANOSECONDS)

    def seen(self, box_xyxy: Float64Array, stamp_ns: int) -> _Track:
        """Take the next sight of it."""
        seconds = (stamp_ns - self.stamp_ns) / _NANOSECONDS
        measured = (box_xyxy - self.box_xyxy) / seconds
        known = self.velocity.any() and not self.lost
        velocity = _NEWNESS * measured + (1 - _NEWNESS) * self.velocity if known else measured
        return replace(self, box_xyxy=box_xyxy, velocity=velocity, stamp_ns=stamp_ns, lost=False)


class Tracker:
    """Joins detections over time by where their boxes are expected.

    Each track foresees its box at constant velocity (as SORT does, Bewley et al. 2016); pairs of one
    class are joined in the order of their overlap. What is left of the tracks that were lost for a
    moment takes detections of about the same place and size. Numbers are never given twice.
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

    def follow(self, found: Detections, stamp_ns: int, max_lost_s: float) -> Detections:
        """Number the detections of the next frame.

        Args:
            found: N objects.
            stamp_ns: of their frame; one that is not later than that of the frame before begins
                anew.
            max_lost_s: seconds after which an object that is not seen is forgotten.

        Returns:
            The same objects with ``track_ids``.

        """
        if stamp_ns <= self._stamp_ns:
            self.reset()
        self._stamp_ns = stamp_ns
        oldest_ns = stamp_ns - max_lost_s * _NANOSECONDS
        tracks = [track for track in self._tracks if track.stamp_ns >= oldest_ns]
        joined = self._join(tracks, found)
        boxes = found.boxes_xyxy.astype(np.float64)
        numbers = np.zeros(len(found), np.int64)
        following = []
        for index, box in enumerate(boxes):
            if index in joined:
                track = tracks[joined[index]].seen(box, stamp_ns)
            else:
                self._last_number += 1
                name = found.class_names[index]
                track = _Track(self._last_number, name, box, np.zeros(4), stamp_ns)
            numbers[index] = track.number
            following.append(track)
        unseen = set(range(len(tracks))) - set(joined.values())
        following += [replace(tracks[place], lost=True) for place in sorted(unseen)]
        self._tracks = following
        return replace(found, track_ids=numbers)

    def _join(self, tracks: Sequence[_Track], found: Detections) -> dict[int, int]:
        """Give the place of the track of each detection that has one."""
        if not tracks or not len(found):
            return {}
        expected = np.stack([track.at(self._stamp_ns) for track in tracks]).astype(np.float32)
        names = np.array([track.class_name for track in tracks])
        alike = names[:, None] == np.array(found.class_names)[None]
        overlap = np.where(alike, iou_xyxy(expected, found.boxes_xyxy), 0)
        joined: dict[int, int] = {}
        _pair(overlap, _LEAST_IOU, joined)
        lost = np.array([track.lost for track in tracks])
        near = np.where(alike & lost[:, None], _nearness(expected, found.boxes_xyxy), 0)
        _pair(near, 0.0, joined)
        return joined


def _pair(likeness: Float64Array, least: float, joined: dict[int, int]) -> None:
    """Join rows with columns, the likest first, each once, above ``least``."""
    order: Int64Array = np.argsort(-likeness, axis=None, kind='stable')
    taken = set(joined.values())
    for place in order:
        row, column = divmod(int(place), likeness.shape[1])
        if likeness[row, column] <= least:
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
