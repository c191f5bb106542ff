"""A frame of the demo world: an image with its ground truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_perception.core import (
    Box3D,
    CameraModel,
    checked,
    Detections,
    Float64Array,
    Image,
    Masks,
    MetricDepth,
    ObjectPosition,
    Pose,
    SceneObject,
    UInt16Array,
    Vector3,
)

# Rays are cast in single precision, which places a surface to a micrometer.
_EXACT_M2 = np.diag([1e-12] * 3)


@dataclass(frozen=True, slots=True, eq=False)
class WorldFrame:
    """One image with its ground truth, at the resolution of the image.

    Attributes:
        image: with stamp and optical frame.
        camera: calibration, without distortion.
        world_from_camera: pose of the optical frame in the world, whose z axis points up.
        scene_type: 'table', 'floor' or 'shelf'.
        depth: exact depth at the center of every pixel, meters, NaN where there is no surface.
        detections: N objects with at least one visible pixel, each with the box of its visible
            part. The score is the visible fraction of the whole object, in (0, 1]; the track id
            is constant through a sequence.
        instances: (H, W) uint16, 0 = background, otherwise index in detections + 1.
        colors: N names of the color of most of the visible surface, one of
            `robot_perception.world.color_names.COLOR_NAMES`; None where there is no clear name.
        boxes_3d: N boxes around the whole objects, aligned with their axes, in the optical frame.
    """

    image: Image
    camera: CameraModel
    world_from_camera: Pose
    scene_type: str
    depth: MetricDepth
    detections: Detections
    instances: UInt16Array
    colors: tuple[str | None, ...]
    boxes_3d: tuple[Box3D, ...]

    def __post_init__(self) -> None:
        size_hw = self.image.size_hw
        instances = checked(
            'instances', self.instances, size_hw, np.uint16, 'Pass one number per pixel.'
        )
        object.__setattr__(self, 'instances', instances)

    @property
    def up(self) -> Vector3:
        """Unit vector against gravity in the optical frame."""
        x, y, z = self.world_from_camera.rotation[2].tolist()
        return x, y, z

    def masks(self) -> Masks:
        """Build the masks of the objects: N masks of score 1 that do not overlap."""
        numbers = np.arange(1, len(self.detections) + 1, dtype=np.uint16)
        pixels = self.instances == numbers[:, None, None]
        return Masks(pixels, np.ones(len(numbers), np.float32))

    def objects(self) -> tuple[SceneObject, ...]:
        """Build the objects with their positions.

        Centroid, depth and spread are those of the visible surface, which is what a camera
        can measure; the box is that of the whole object. The covariance is that of rounding.
        """
        detections = self.detections
        depth = self.depth.meters.astype(np.float64)[..., None]
        points = np.concatenate([self.camera.rays().astype(np.float64) * depth, depth], axis=-1)
        return tuple(
            SceneObject.from_detections(
                detections,
                index,
                _position(points[self.instances == index + 1], self.boxes_3d[index]),
            )
            for index in range(len(detections))
        )


def _position(points_m: Float64Array, box: Box3D) -> ObjectPosition:
    x, y, z = points_m.mean(axis=0).tolist()
    offsets = points_m - (x, y, z)
    return ObjectPosition(
        depth_m=float(np.median(points_m[:, 2])),
        centroid_m=(x, y, z),
        points_covariance_m2=np.einsum('ni,nj->ij', offsets, offsets) / len(points_m),
        box=box,
        covariance_m2=_EXACT_M2,
    )
