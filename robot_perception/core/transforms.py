"""Stamped transforms between frames, and the history of one child frame."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
import math

import numpy as np

from robot_perception.core.box3d import Quaternion, Vector3
from robot_perception.core.errors import InputError, TransformError
from robot_perception.core.pose import Pose
from robot_perception.core.rotation import quaternion_to_matrix, slerp

NANOSECONDS_PER_SECOND = 1_000_000_000
# Of the squared length of a quaternion, as in tf2.
_UNIT_TOLERANCE = 0.01
# Beyond any robot, and still exact enough in sums and float32.
_MAX_TRANSLATION_M = 1e12


def normalize_frame_id(frame_id: str) -> str:
    """Return the frame id without a leading slash, as tf2 has it."""
    return frame_id.removeprefix('/')


@dataclass(frozen=True, slots=True)
class StampedTransform:
    """The pose of a child frame in its parent at one time.

    Attributes:
        parent, child: frame ids; a leading slash is removed.
        stamp_ns: nanoseconds.
        translation_m: the child's origin in the parent, meters.
        rotation_xyzw: unit quaternion from the child's axes to the parent's, normalized if its
            squared length is within 0.01 of 1.
    """

    parent: str
    child: str
    stamp_ns: int
    translation_m: Vector3
    rotation_xyzw: Quaternion

    def __post_init__(self) -> None:
        # The checks of tf2.
        parent, child = normalize_frame_id(self.parent), normalize_frame_id(self.child)
        if not parent or not child or parent == child:
            raise InputError(
                'frame_id',
                f'transform: expected two different frames, got parent {parent!r} and child '
                f'{child!r}. Fix its publisher.',
            )
        if not all(abs(part) <= _MAX_TRANSLATION_M for part in self.translation_m):
            raise InputError(
                'out_of_range',
                f'transform {parent!r} -> {child!r}: expected finite meters, got translation '
                f'{self.translation_m}. Fix its publisher.',
            )
        square = sum(part * part for part in self.rotation_xyzw)
        if not abs(square - 1) < _UNIT_TOLERANCE:
            raise InputError(
                'not_normalized',
                f'transform {parent!r} -> {child!r}: expected a unit quaternion, got '
                f'{self.rotation_xyzw} of length {math.sqrt(square):.6g}. Fix its publisher; '
                'the identity is (0, 0, 0, 1).',
            )
        norm = math.sqrt(square)
        x, y, z, w = (part / norm for part in self.rotation_xyzw)
        object.__setattr__(self, 'parent', parent)
        object.__setattr__(self, 'child', child)
        object.__setattr__(self, 'rotation_xyzw', (x, y, z, w))

    @property
    def pose(self) -> Pose:
        """The rigid transform parent_from_child."""
        return Pose(
            quaternion_to_matrix(self.rotation_xyzw), np.array(self.translation_m, np.float64)
        )

    def interpolate(self, later: StampedTransform, stamp_ns: int) -> Pose:
        """Return the pose at a time up to ``later``: linear translation, slerp of the rotation."""
        share = (stamp_ns - self.stamp_ns) / (later.stamp_ns - self.stamp_ns)
        start, end = np.array(self.translation_m), np.array(later.translation_m)
        turn = slerp(self.rotation_xyzw, later.rotation_xyzw, share)
        return Pose(quaternion_to_matrix(turn), start + share * (end - start))


class History:
    """The transforms of one child frame, sorted by time, with the rules of tf2.

    A moving frame keeps the transforms of the last ``cache_ns``; a static one keeps the newest,
    which is valid at all times. Where times are given, None means the newest transform.
    """

    __slots__ = ('_cache_ns', '_late', '_samples', '_stamps')

    def __init__(self, cache_ns: int | None) -> None:
        """Create an empty history; ``cache_ns`` is None for a static frame."""
        self._cache_ns = cache_ns
        self._stamps: list[int] = []
        # Of each stamp the first and the last that arrived: time before the stamp is interpolated
        # to the first, time after it from the last.
        self._samples: list[tuple[StampedTransform, StampedTransform]] = []
        # Older than the cache, and possibly the first of a recording that has restarted.
        self._late: StampedTransform | None = None

    @property
    def is_static(self) -> bool:
        """Whether the frame is static in its parent."""
        return self._cache_ns is None

    @property
    def newest_ns(self) -> int:
        """Stamp of the newest transform."""
        return self._stamps[-1]

    def insert(self, sample: StampedTransform) -> None:
        """Add a transform, in any order of time.

        One that is older than the newest by more than the cache length is ignored. Two of them in
        a row, the second newer than the first, mean that time has restarted, as when a recording
        loops: they replace the history.
        """
        if self._cache_ns is None:
            self._stamps, self._samples = [sample.stamp_ns], [(sample, sample)]
            return
        late, self._late = self._late, None
        if self._stamps and sample.stamp_ns < self.newest_ns - self._cache_ns:
            if late is None or sample.stamp_ns <= late.stamp_ns:
                self._late = sample
                return
            self._stamps, self._samples = [late.stamp_ns], [(late, late)]
        if self._stamps:
            # Before the insertion: what is rarely published can then be interpolated once.
            old = bisect_left(self._stamps, self.newest_ns - self._cache_ns)
            del self._stamps[:old], self._samples[:old]
        stamp = sample.stamp_ns
        index = bisect_left(self._stamps, stamp)
        if index == len(self._stamps) or self._stamps[index] != stamp:
            self._stamps.insert(index, stamp)
            self._samples.insert(index, (sample, sample))
        elif sample not in self._samples[index]:
            self._samples[index] = (self._samples[index][0], sample)

    def parent_at(self, stamp_ns: int | None) -> str:
        """Return the parent at a time.

        Raises:
            TransformError: as `pose_at`.
        """
        return self._sample_until(stamp_ns).parent

    def pose_at(self, stamp_ns: int | None) -> Pose:
        """Return the pose of the child in its parent.

        Between two transforms with different parents the earlier one is valid.

        Raises:
            TransformError: reason ``'too_new'`` or ``'too_old'``: outside the history.
        """
        sample = self._sample_until(stamp_ns)
        if self.is_static or stamp_ns is None or sample.stamp_ns == stamp_ns:
            return sample.pose
        later, _ = self._samples[self._index(stamp_ns) + 1]
        if later.parent != sample.parent:
            return sample.pose
        return sample.interpolate(later, stamp_ns)

    def _sample_until(self, stamp_ns: int | None) -> StampedTransform:
        """Return the last transform that is not newer."""
        if self.is_static or stamp_ns is None:
            return self._samples[-1][1]
        if not self._stamps[0] <= stamp_ns <= self.newest_ns:
            raise self._outside(stamp_ns)
        # At its very begin a history has the first, as tf2 does.
        is_begin = stamp_ns == self._stamps[0] != self.newest_ns
        return self._samples[self._index(stamp_ns)][0 if is_begin else 1]

    def _index(self, stamp_ns: int) -> int:
        """Return the index of the last stamp that is not newer."""
        return bisect_left(self._stamps, stamp_ns + 1) - 1

    def _outside(self, stamp_ns: int) -> TransformError:
        first, last = self._stamps[0], self.newest_ns
        newest = self._samples[-1][1]
        edge = f'{newest.parent!r} -> {newest.child!r}'
        if stamp_ns > last:
            reason, seconds = 'too_new', (stamp_ns - last) / NANOSECONDS_PER_SECOND
            outside = f'{seconds:.3f} s after the newest'
            remedy = (
                'Raise frames.tf_wait_s, publish it more often, or set frames.tf_policy: latest; '
                'if the difference is large, clocks differ: set use_sim_time or synchronize them.'
            )
        else:
            reason, seconds = 'too_old', (first - stamp_ns) / NANOSECONDS_PER_SECOND
            outside = f'{seconds:.3f} s before the oldest'
            remedy = (
                'Shortly after the start this resolves itself; otherwise the image is late or of '
                'another clock: set use_sim_time, synchronize clocks, or set frames.tf_policy: '
                'latest.'
            )
        return TransformError(
            reason,
            f'transform {edge}: requested at {_format(stamp_ns)}, {outside}; the history is from '
            f'{_format(first)} to {_format(last)}. {remedy}',
        )


def _format(stamp_ns: int) -> str:
    """Return a stamp in seconds, exact to the microsecond.

    >>> _format(1_700_000_000_123_456_789)
    '1700000000.123456 s'
    """
    sign, microseconds = ('-' if stamp_ns < 0 else ''), abs(stamp_ns) // 1000
    return f'{sign}{microseconds // 1_000_000}.{microseconds % 1_000_000:06d} s'
