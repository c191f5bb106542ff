"""Velocities of tracked objects in a fixed frame."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from robot_perception.core import (
    is_restart,
    NANOSECONDS_PER_SECOND,
    Pose,
    SceneObject,
    Vector3,
)

# A longer window is less noisy; a shorter one follows changes sooner.
_WINDOW_S = 0.5
# With fewer measurements or a shorter span the slope is mostly noise.
_MIN_MEASUREMENTS, _MIN_SPAN_S = 3, 0.1


class VelocityEstimator:
    """Estimates velocities of tracked objects by least squares.

    The velocity is the slope of a line through the centroids of the last half second.
    """

    def __init__(self) -> None:
        """Start without measurements."""
        # Track id -> time (integer nanoseconds) and centroid in the fixed frame (meters).
        self._centroids: dict[int, list[tuple[int, Vector3]]] = {}

    def reset(self) -> None:
        """Drop all measurements, as after a jump in time."""
        self._centroids = {}

    def state_dict(self) -> list[Any]:
        """Return the state as JSON values."""
        return [[track_id, centroids] for track_id, centroids in self._centroids.items()]

    def load_state_dict(self, state: Iterable[Any]) -> None:
        """Load what `state_dict` returned."""
        self._centroids = {
            track_id: [(stamp_ns, (x, y, z)) for stamp_ns, (x, y, z) in centroids]
            for track_id, centroids in state
        }

    def update(
        self,
        objects: tuple[SceneObject, ...],
        stamp_ns: int,
        fixed_from_optical: Pose | None,
    ) -> tuple[SceneObject, ...]:
        """Add velocities to the objects of the next frame, where they are known.

        Without the pose of the camera in a frame that does not move nothing is measured. Frames
        may come in any order; a restart (see `is_restart`) drops all measurements.
        """
        newest_ns = max((rows[-1][0] for rows in self._centroids.values()), default=stamp_ns)
        if is_restart(stamp_ns, newest_ns):
            self.reset()
            newest_ns = stamp_ns
        oldest_ns = max(stamp_ns, newest_ns) - int(_WINDOW_S * NANOSECONDS_PER_SECOND)
        self._centroids = {
            track_id: [row for row in rows if oldest_ns <= row[0]]
            for track_id, rows in self._centroids.items()
            if oldest_ns <= rows[-1][0]
        }
        if fixed_from_optical is None:
            return objects
        return tuple(self._measure(item, stamp_ns, fixed_from_optical) for item in objects)

    def _measure(self, item: SceneObject, stamp_ns: int, fixed_from_optical: Pose) -> SceneObject:
        if item.position is None or item.track_id is None:
            return item
        x, y, z = fixed_from_optical.apply(np.array(item.position.centroid_m)).tolist()
        centroids = self._centroids.setdefault(item.track_id, [])
        insort(centroids, (stamp_ns, (x, y, z)))
        newest_ns = centroids[-1][0]
        seconds = np.array(
            [(time_ns - newest_ns) / NANOSECONDS_PER_SECOND for time_ns, _ in centroids]
        )
        if len(centroids) < _MIN_MEASUREMENTS or -seconds[0] < _MIN_SPAN_S:
            return item
        offsets = seconds - seconds.mean()
        points = np.array([point for _, point in centroids])
        slope = np.einsum('i,ij->j', offsets, points) / np.einsum('i,i->', offsets, offsets)
        rotation = Pose(fixed_from_optical.rotation, np.zeros(3))
        vx, vy, vz = rotation.inverse().apply(slope).tolist()
        return replace(item, position=replace(item.position, velocity_mps=(vx, vy, vz)))
