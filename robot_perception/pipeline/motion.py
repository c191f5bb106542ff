"""How fast objects move: their places over the last moments, in a frame that stands still."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from robot_perception.core import Pose, SceneObject, Vector3

_NANOSECONDS = 1e9
# A longer look back is steadier, a shorter one sooner right after a change.
_WINDOW_S = 0.5
# Fewer or closer sights measure noise.
_LEAST_SIGHTS, _LEAST_SPAN_S = 3, 0.1


class MotionMeter:
    """Measures the velocity of numbered objects as the slope of a line through their centroids.

    The line is fitted by least squares to what was seen of an object in the last half second.
    """

    def __init__(self) -> None:
        """Start without having seen anything."""
        # Track -> rows of time (integer nanoseconds) and place in the fixed frame (metres).
        self._paths: dict[int, list[tuple[int, Vector3]]] = {}

    def reset(self) -> None:
        """Forget all places, as after a jump of time."""
        self._paths = {}

    def memory(self) -> list[Any]:
        """Give all places, as values of JSON."""
        return [[track, path] for track, path in self._paths.items()]

    def remember(self, memory: Iterable[Any]) -> None:
        """Go on from what `memory` gave."""
        self._paths = {
            track: [(stamp_ns, (x, y, z)) for stamp_ns, (x, y, z) in path]
            for track, path in memory
        }

    def follow(
        self, objects: tuple[SceneObject, ...], stamp_ns: int, fixed: Pose | None
    ) -> tuple[SceneObject, ...]:
        """Give the objects of the next frame with their velocity, where it is known.

        Args:
            objects: with places in the optical frame.
            stamp_ns: of their frame.
            fixed: the frame that stands still from the optical frame; None = unknown, and
                nothing is measured.

        """
        oldest_ns = stamp_ns - int(_WINDOW_S * _NANOSECONDS)
        self._paths = {
            track: [row for row in path if oldest_ns <= row[0] < stamp_ns]
            for track, path in self._paths.items()
            if oldest_ns <= path[-1][0] < stamp_ns
        }
        if fixed is None:
            return objects
        return tuple(self._measured(item, stamp_ns, fixed) for item in objects)

    def _measured(self, item: SceneObject, stamp_ns: int, fixed: Pose) -> SceneObject:
        if item.position is None or item.track_id is None:
            return item
        x, y, z = fixed.apply(np.array(item.position.centroid_m)).tolist()
        path = self._paths.setdefault(item.track_id, [])
        path.append((stamp_ns, (x, y, z)))
        seconds = np.array([(time_ns - stamp_ns) / _NANOSECONDS for time_ns, _ in path])
        if len(path) < _LEAST_SIGHTS or -seconds[0] < _LEAST_SPAN_S:
            return item
        away = seconds - seconds.mean()
        places = np.array([place for _, place in path])
        slope = np.einsum('i,ij->j', away, places) / np.einsum('i,i->', away, away)
        turned = Pose(fixed.rotation, np.zeros(3)).inverse().apply(slope)
        vx, vy, vz = turned.tolist()
        return replace(item, position=replace(item.position, velocity_mps=(vx, vy, vz)))
