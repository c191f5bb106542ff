"""A frame of the demo world: the picture and everything that is true of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_perception.core import (
    Box3D,
    CameraModel,
    checked,
    Detections,
    Image,
    Masks,
    MetricDepth,
    ObjectPosition,
    SceneObject,
    UInt16Array,
    Vector3,
)
from robot_perception.world.pose import Pose


@dataclass(frozen=True, slots=True, eq=False)
class WorldFrame:
    """One picture with its truth, all of it in the picture's own pixels.

    Attributes:
        image: the picture, its stamp and the optical frame.
        camera: its calibration; there is no distortion.
        world_from_camera: pose of the optical frame in the world, whose z is up.
        scene_type: 'table', 'floor' or 'shelf'.
        depth: exact metres at the centre of every pixel, NaN where there is nothing.
        detections: N objects with a pixel to be seen, each with the box of its visible part.
            The score is the share of the whole object that is visible, in (0, 1]; the track id
            stays with the object through a sequence.
        instances: (H, W) uint16, 0 = background, otherwise index in detections + 1.
        boxes_3d: N boxes about the whole objects in their own axes, in the optical frame.

    """

    image: Image
    camera: CameraModel
    world_from_camera: Pose
    scene_type: str
    depth: MetricDepth
    detections: Detections
    instances: UInt16Array
    boxes_3d: tuple[Box3D, ...]

    def __post_init__(self) -> None:
        """Check once at the door."""
        size_hw = self.image.size_hw
        instances = checked(
            'instances', self.instances, size_hw, np.uint16, 'Pass one number for each pixel.'
        )
        object.__setattr__(self, 'instances', instances)

    @property
    def up(self) -> Vector3:
        """Away from the ground in the optical frame, of length 1."""
        x, y, z = self.world_from_camera.rotation[2].tolist()
        return x, y, z

    def masks(self) -> Masks:
        """Pixels of each object: N masks of score 1 that do not overlap."""
        numbers = np.arange(1, len(self.detections) + 1, dtype=np.uint16)
        pixels = self.instances == numbers[:, None, None]
        return Masks(pixels, np.ones(len(numbers), np.float32))

    def objects(self) -> tuple[SceneObject, ...]:
        """Objects with their place.

        Centroid, depth and spread are those of the visible surface, which is what a camera can
        measure; the box is that of the whole object.
        """
        found = self.detections
        points = self._points()
        return tuple(
            SceneObject.from_detections(
                found,
                index,
                _position(points[self.instances == index + 1], self.boxes_3d[index]),
            )
            for index in range(len(found))
        )

    def _points(self) -> UInt16Array:
        """(H, W, 3) float64 in the optical frame, metres."""
        depth = self.depth.meters.astype(np.float64)[..., None]
        rays = self.camera.rays().astype(np.float64)
        return np.concatenate([rays * depth, depth], axis=-1)


def _position(points_m: UInt16Array, box: Box3D) -> ObjectPosition:
    x, y, z = points_m.mean(axis=0).tolist()
    away = points_m - (x, y, z)
    return ObjectPosition(
        depth_m=float(np.median(points_m[:, 2])),
        centroid_m=(x, y, z),
        covariance_m2=np.einsum('ni,nj->ij', away, away) / len(points_m),
        box=box,
    )
