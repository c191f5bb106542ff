"""Everything that is known of one frame."""

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
from robot_perception.core.labelled_points import LabelledPoints
from robot_perception.core.masks import Masks
from robot_perception.core.plane import Plane
from robot_perception.core.pointcloud import lift_image, PointCloud


@dataclass(frozen=True, slots=True, eq=False)
class ObjectPosition:
    """Where an object is, in the optical frame of the camera.

    Attributes:
        depth_m: median depth of its pixels, meters along the optical axis.
        centroid_m: mean of its points, meters.
        covariance_m2: (3, 3) float64, spread of its points about the centroid, square meters.
        box: tight box around its points.
        velocity_mps: of the centroid over the ground, along the axes of the frame, meters a second;
            None = unknown.

    """

    depth_m: float
    centroid_m: Vector3
    covariance_m2: Float64Array
    box: Box3D
    velocity_mps: Vector3 | None = None

    def __post_init__(self) -> None:
        """Check once at the door."""
        covariance = checked(
            'covariance_m2', self.covariance_m2, (3, 3), 'float64', 'Pass the points covariance.'
        )
        object.__setattr__(self, 'covariance_m2', covariance)


@dataclass(frozen=True, slots=True)
class SceneObject:
    """One object, with what is known of it; unknown is None.

    Attributes:
        index: place in `Scene.detections` and `Scene.masks`; its value in the instance map is
            index + 1.
        class_id: index in the detector's label table.
        class_name: name of the class.
        score: confidence in [0, 1].
        box_xyxy: left, top, right, bottom in pixels.
        track_id: identity over frames.
        position: where it is in space.
        truncated: whether the edge of the image cuts it off.
        occluded: whether something nearer hides a part of it.

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
    def of(
        cls,
        detections: Detections,
        index: int,
        position: ObjectPosition | None,
        *,
        truncated: bool | None = None,
        occluded: bool | None = None,
    ) -> SceneObject:
        """Take the object at ``index`` of the detections, and what else is known of it."""
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
    """The structured result for one frame.

    A stage that was switched off, or skipped for this frame, leaves None: a result never comes
    from another frame than `image`.

    Attributes:
        image: the frame itself, with its stamp and coordinate frame.
        camera: calibration of the image, None when there is none that can be trusted.
        features: embedding of the scene.
        depth: depth of every pixel, metric or relative, at the image's size.
        detections: objects in the picture.
        masks: their pixels, one mask for each detection, at the image's size.
        objects: one entry for each detection, joined with mask, depth and place in space.
        depth_fit: how the network's depth was brought to a sensor's meters, None when it was not.
        ground: plane the camera stands over, None when it was not looked for or not found.
        timing_s: seconds that each stage took, and as ``pipeline`` all together, which is less than
            the sum where some ran side by side.

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
        """Check that the parts belong together."""
        for name, part in (('depth', self.depth), ('masks', self.masks), ('camera', self.camera)):
            if part is not None and part.size_hw != self.image.size_hw:
                raise ShapeError(
                    f'{name}: expected the size of the image {self.image.size_hw}, '
                    f'got {part.size_hw} (rows, columns).'
                )
        count = 0 if self.detections is None else len(self.detections)
        if self.masks is not None and len(self.masks) != count:
            raise ShapeError(f'masks: expected one for each of {count}, got {len(self.masks)}.')
        if len(self.objects) != count:
            raise ShapeError(f'objects: expected one for each of {count}, got {len(self.objects)}')
        object.__setattr__(self, 'timing_s', MappingProxyType(dict(self.timing_s)))

    def labels(self) -> tuple[UInt32Array, UInt32Array] | None:
        """What each pixel belongs to; None without masks.

        Returns:
            (H, W) uint32 class id + 1 and (H, W) uint32 index in the detections + 1; 0 = background.

        """
        if self.masks is None or self.detections is None:
            return None
        instances = self.masks.instance_map().astype(np.uint32)
        table = np.concatenate(
            [np.zeros(1, np.uint32), (self.detections.class_ids + 1).view(np.uint32)]
        )
        return table[instances], instances

    def object_points(self) -> LabelledPoints | None:
        """Points of the objects' masks; None without masks, metric depth and calibration."""
        return self._points(of_objects=True)

    def background_points(self) -> LabelledPoints | None:
        """Points of no object's mask; None likewise."""
        return self._points(of_objects=False)

    def _points(self, *, of_objects: bool) -> LabelledPoints | None:
        cloud, labels = self.cloud(), self.labels()
        if cloud is None or labels is None:
            return None
        return LabelledPoints.of(cloud, *labels, (labels[1] > 0) == of_objects)

    def cloud(self) -> PointCloud | None:
        """Organized point cloud, None without metric depth and calibration."""
        if self.camera is None or not isinstance(self.depth, MetricDepth):
            return None
        return lift_image(self.image, self.depth, self.camera)
