"""Where one frame is in another: as it is told, and as it is remembered over time."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
import math

import numpy as np

from robot_perception.core.box3d import Quaternion, Vector3
from robot_perception.core.errors import InputError, TransformError
from robot_perception.core.pose import Pose
from robot_perception.core.rotation import quaternion_to_matrix, slerp
from robot_perception.core.stamps import format_stamp, NANOSECONDS_PER_SECOND

# Of the squared length of a quaternion; tf2 takes as much.
_UNIT_TOLERANCE = 0.01
# Nothing on a robot is farther away, and sums and float32 still hold it.
_FARTHEST_M = 1e12


def normalize_frame_id(frame_id: str) -> str:
    """Bring a frame id to the form of tf2, which knows no leading slash."""
    return frame_id.removeprefix('/')


@dataclass(frozen=True, slots=True)
class StampedTransform:
    """The pose of a child frame in its parent at one time.

    Attributes:
        parent, child: frame ids; a leading slash is taken off.
        stamp_ns: nanoseconds.
        translation_m: the child's origin in the parent, meters.
        rotation_xyzw: unit quaternion from the child's axes to the parent's. One whose squared
            length is within 0.01 of 1 is normalized.

    """

    parent: str
    child: str
    stamp_ns: int
    translation_m: Vector3
    rotation_xyzw: Quaternion

    def __post_init__(self) -> None:
        """Check once at the door, as tf2 does, so that no lookup gives nonsense."""
        parent, child = normalize_frame_id(self.parent), normalize_frame_id(self.child)
        if not parent or not child or parent == child:
            raise InputError(
                f'transform: expected two different frames, got parent {parent!r} and child '
                f'{child!r}. Fix its publisher.'
            )
        if not all(abs(part) <= _FARTHEST_M for part in self.translation_m):
            raise InputError(
                f'transform {parent!r} -> {child!r}: expected finite meters, got translation '
                f'{self.translation_m}. Fix its publisher.'
            )
        square = sum(part * part for part in self.rotation_xyzw)
        if not abs(square - 1) < _UNIT_TOLERANCE:
            raise InputError(
                f'transform {parent!r} -> {child!r}: expected a unit quaternion, got '
                f'{self.rotation_xyzw} of length {math.sqrt(square):.6g}. Fix its publisher; no '
                'rotation is (0, 0, 0, 1).'
            )
        norm = math.sqrt(square)
        x, y, z, w = (part / norm for part in self.rotation_xyzw)
        object.__setattr__(self, 'parent', parent)
        object.__setattr__(self, 'child', child)
        object.__setattr__(self, 'rotation_xyzw', (x, y, z, w))

    @property
    def pose(self) -> Pose:
        """The same as a rigid transform: parent from child."""
        return Pose(
            quaternion_to_matrix(self.rotation_xyzw), np.array(self.translation_m, np.float64)
        )

    def towards(self, later: StampedTransform, stamp_ns: int) -> Pose:
        """The pose between two of one parent: even motion along a line, even rotation."""
        share = (stamp_ns - self.stamp_ns) / (later.stamp_ns - self.stamp_ns)
        start, end = np.array(self.translation_m), np.array(later.translation_m)
        turn = slerp(self.rotation_xyzw, later.rotation_xyzw, share)
        return Pose(quaternion_to_matrix(turn), start + share * (end - start))


class History:
    """What is known of one child frame, in order of time.

    A moving one keeps the transforms of the last ``cache_ns``; one that stands still keeps the
    newest, which holds for all times.
    """

    __slots__ = ('_cache_ns', '_samples', '_stamps')

    def __init__(self, cache_ns: int | None) -> None:
        """Start empty; None for a child that stands still."""
        self._cache_ns = cache_ns
        self._stamps: list[int] = []
        self._samples: list[StampedTransform] = []

    @property
    def is_static(self) -> bool:
        """Whether it stands still in its parent."""
        return self._cache_ns is None

    @property
    def newest_ns(self) -> int:
        """Stamp of the newest transform."""
        return self._stamps[-1]

    def insert(self, sample: StampedTransform) -> None:
        """Keep a transform, in whatever order they come; one of the same stamp is replaced.

        One that is older than the newest by more than the cache holds is the first of a time
        that has begun anew, as in a recording that is played again: it ends what was before.
        """
        stamp = sample.stamp_ns
        if self._cache_ns is None or (self._stamps and stamp < self.newest_ns - self._cache_ns):
            self._stamps, self._samples = [stamp], [sample]
            return
        place = bisect_left(self._stamps, stamp)
        if place < len(self._stamps) and self._stamps[place] == stamp:
            self._samples[place] = sample
            return
        self._stamps.insert(place, stamp)
        self._samples.insert(place, sample)
        old = bisect_left(self._stamps, self.newest_ns - self._cache_ns)
        if old:
            del self._stamps[:old], self._samples[:old]

    def parent_at(self, stamp_ns: int | None) -> str:
        """The parent at a time, or of the nearest one known; None asks for the newest."""
        if self.is_static or stamp_ns is None:
            return self._samples[-1].parent
        return self._samples[max(0, self._place(stamp_ns))].parent

    def pose_at(self, stamp_ns: int) -> Pose:
        """The pose of the child in its parent.

        Between two transforms of different parents the earlier holds.

        Raises:
            TransformError: reason ``'too_new'`` or ``'too_old'``: outside what is known.

        """
        if self.is_static:
            return self._samples[-1].pose
        if not self._stamps[0] <= stamp_ns <= self.newest_ns:
            raise self._outside(stamp_ns)
        place = self._place(stamp_ns)
        sample = self._samples[place]
        if sample.stamp_ns == stamp_ns or self._samples[place + 1].parent != sample.parent:
            return sample.pose
        return sample.towards(self._samples[place + 1], stamp_ns)

    def _place(self, stamp_ns: int) -> int:
        """Index of the last transform that is not newer; -1 for none."""
        return bisect_left(self._stamps, stamp_ns + 1) - 1

    def _outside(self, stamp_ns: int) -> TransformError:
        first, last = self._stamps[0], self.newest_ns
        edge = f'{self._samples[-1].parent!r} -> {self._samples[-1].child!r}'
        span = f'it is known from {format_stamp(first)} to {format_stamp(last)}'
        if stamp_ns > last:
            return TransformError(
                'too_new',
                f'transform {edge}: asked for {format_stamp(stamp_ns)}, '
                f'{(stamp_ns - last) / NANOSECONDS_PER_SECOND:.3f} s after the newest; {span}. Raise '
                'frames.tf_wait_s, let it be published more often, or set frames.tf_policy: '
                'latest; if the difference is large, clocks differ: set use_sim_time or '
                'synchronize them.',
            )
        return TransformError(
            'too_old',
            f'transform {edge}: asked for {format_stamp(stamp_ns)}, '
            f'{(first - stamp_ns) / NANOSECONDS_PER_SECOND:.3f} s before the oldest; {span}. If it has only '
            'begun this will pass; otherwise the image is late or of another clock: set '
            'use_sim_time, synchronize clocks, or set frames.tf_policy: latest.',
        )
