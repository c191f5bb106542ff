"""Camera views in a world whose z axis points up."""

from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np

from robot_perception.core import CameraModel, Float32Array, Float64Array, Pose


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A calibrated camera and the pose of its optical frame."""

    camera: CameraModel
    world_from_optical: Pose

    @property
    def origin_m(self) -> Float32Array:
        """Optical center in the world, (3,) float32."""
        return self.world_from_optical.translation_m.astype(np.float32)

    def directions(self, rays: Float64Array) -> Float32Array:
        """Rotate rays of depth 1 into the world: (2, N) x/z and y/z -> (3, N) float32."""
        turn = self.world_from_optical.rotation
        turned = [turn[k, 0] * rays[0] + turn[k, 1] * rays[1] + turn[k, 2] for k in range(3)]
        return np.stack(turned).astype(np.float32)


def rotation_about(axis: int, angle_rad: float) -> Float64Array:
    """Return the matrix of a rotation about x, y or z (0, 1, 2)."""
    sine, cosine = math.sin(angle_rad), math.cos(angle_rad)
    first, second = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = cosine
    matrix[first, second], matrix[second, first] = -sine, sine
    return matrix


def look_at(eye_m: Float64Array, target_m: Float64Array, roll_rad: float) -> Pose:
    """Compute world_from_optical for a camera that is aimed at a target and rolled about its axis.

    The eye is the optical center; it must not be straight above or below the target.
    """
    forward = target_m - eye_m
    forward = forward / math.sqrt(float(np.sum(forward * forward)))
    right = np.array([forward[1], -forward[0], 0.0])
    right /= math.hypot(right[0], right[1])
    level = Pose(np.stack([right, np.cross(forward, right), forward], axis=1), eye_m)
    return level.compose(Pose(rotation_about(2, roll_rad), np.zeros(3)))
