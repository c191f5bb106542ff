"""The results of one frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from robot_perception.core.arrays import checked, Float64Array, UInt32Array
from robot_perception.core.box3d import Box3D, Vector3
from robot_perception.core.camera import CameraModel
from robot_perception.core.depth import Depth, MetricDepth
from robot_perception.core.depth_fit import DepthFit
from robot_perception.core.detections import Detections
from robot_perception.core.errors import ShapeError
from robot_perception.core.features import SceneFeatures
from robot_perception.core.image import Image
from robot_perception.core.labeled_points import LabeledPoints
from robot_perception.core.masks import Masks
from robot_perception.core.plane import Plane
from robot_perception.core.pointcloud import lift_image, PointCloud


@dataclass(frozen=True, slots=True, eq=False)
class ObjectPosition:
    """Position of an object in the optical frame of the camera.

    Attributes:
        depth_m: median depth of its pixels, meters along the optical axis.
        centroid_m: mean of its points, meters.
        covariance_m2: (3, 3) float64, covariance of its points, square meters.
        box: tight box around its points.
        velocity_mps: velocity of the centroid over the ground, along the axes of the frame, meters
            per second; None = unknown.

    """

    depth_m: float
    centroid_m: Vector3
    covariance_m2: Float64Array
    box: Box3D
    velocity_mps: Vector3 | None = None

    def __post_init__(self) -> None:
        covariance = checked(
            'covariance_m2', self.covariance_m2, (3, 3), 'float64', 'Pass the points covariance.'
        )
        object.__setattr__(self, 'covariance_m2', covariance)


@dataclass(frozen=True, slots=True)
class SceneObject:
    """One object; unknown attributes are None.

    Attributes:
        index: index in `Scene.detections` and `Scene.masks`; its value in the instance map is
            index + 1.
        class_id: index in the detector's label table.
        class_name: name of the class.
        score: confidence in [0, 1].
        box_xyxy: left, top, right, bottom in pixels.
        track_id: identity across frames.
        position: position in 3D.
        truncated: whether the border of the image cuts it off.
        occluded: whether a nearer surface hides a part of it.

    """

    index: int
    class_id: int
    class_name: str
    score: float
    box_xyxy: tuple[float, float, float, float]
    track_id: int | None = None
    position: ObjectPosition | None = None
    truncated: bool | None = None
    occluded: bool | None = None

    @classmethod
    def from_detections(
        cls,
        detections: Detections,
        index: int,
        position: ObjectPosition | None,
        *,
        truncated: bool | None = None,
        occluded: bool | None = None,
    ) -> SceneObject:
        """Return the object at ``index`` of the detections, with the further attributes given."""
        left, top, right, bottom = detections.boxes_xyxy[index].tolist()
        tracks = detections.track_ids
        return cls(
            index=index,
            class_id=int(detections.class_ids[index]),
            class_name=detections.class_names[index],
            score=float(detections.scores[index]),
            box_xyxy=(left, top, right, bottom),
            track_id=None if tracks is None else int(tracks[index]),
            position=position,
            truncated=truncated,
            occluded=occluded,
        )

    @property
    def depth_m(self) -> float | None:
        """Median depth in meters, None when unknown."""
        return None if self.position is None else self.position.depth_m

    @property
    def centroid_m(self) -> Vector3 | None:
        """Mean of the object's points in meters, None when unknown."""
        return None if self.position is None else self.position.centroid_m


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """All results of one frame.

    The results of a stage that was disabled, or skipped for this frame, are None: a result never
    comes from another frame than `image`.

    Attributes:
        image: the frame, with its stamp and coordinate frame.
        camera: calibration of the image, None without a usable one.
        features: embedding of the scene.
        depth: depth of every pixel, metric or relative, at the image's size.
        detections: detected objects.
        masks: one mask for each detection, at the image's size.
        objects: one entry for each detection, with its position in 3D.
        depth_fit: how the network's depth was scaled to a sensor's meters, None if it was not.
        ground: ground plane below the camera, None if not estimated or not found.
        timing_s: seconds that each stage took, and ``pipeline`` for the whole, which is less than
            the sum where stages ran in parallel.

    """

    image: Image
    camera: CameraModel | None = None
    features: SceneFeatures | None = None
    depth: Depth | None = None
    detections: Detections | None = None
    masks: Masks | None = None
    objects: tuple[SceneObject, ...] = ()
    depth_fit: DepthFit | None = None
    ground: Plane | None = None
    timing_s: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        for name, part in (('depth', self.depth), ('masks', self.masks), ('camera', self.camera)):
            if part is not None and part.size_hw != self.image.size_hw:
                raise ShapeError(
                    'size_mismatch',
                    f'{name}: expected the size of the image {self.image.size_hw}, '
                    f'got {part.size_hw} (rows, columns).',
                )
        count = 0 if self.detections is None else len(self.detections)
        if self.masks is not None and len(self.masks) != count:
            raise ShapeError(
                'count_mismatch',
                f'masks: expected one for each of {count}, got {len(self.masks)}.',
            )
        if len(self.objects) != count:
            raise ShapeError(
                'count_mismatch',
                f'objects: expected one for each of {count}, got {len(self.objects)}.',
            )
        object.__setattr__(self, 'timing_s', MappingProxyType(dict(self.timing_s)))

    def labels(self) -> tuple[UInt32Array, UInt32Array] | None:
        """Return the class and instance of each pixel; None without masks.

        Returns:
            (H, W) uint32 class id + 1 and (H, W) uint32 index in the detections + 1, both 0 for
            background.

        """
        if self.masks is None or self.detections is None:
            return None
        instances = self.masks.instance_map().astype(np.uint32)
        table = np.concatenate(
            [np.zeros(1, np.uint32), (self.detections.class_ids + 1).view(np.uint32)]
        )
        return table[instances], instances

    def object_points(self) -> LabeledPoints | None:
        """Return the points on masks; None without masks, metric depth or calibration."""
        return self._points(of_objects=True)

    def background_points(self) -> LabeledPoints | None:
        """Return the points on no mask; None without masks, metric depth or calibration."""
        return self._points(of_objects=False)

    def _points(self, *, of_objects: bool) -> LabeledPoints | None:
        cloud, labels = self.cloud(), self.labels()
        if cloud is None or labels is None:
            return None
        return LabeledPoints.from_cloud(cloud, *labels, (labels[1] > 0) == of_objects)

    def cloud(self) -> PointCloud | None:
        """Return the organized point cloud; None without metric depth or calibration."""
        if self.camera is None or not isinstance(self.depth, MetricDepth):
            return None
        return lift_image(self.image, self.depth, self.camera)
