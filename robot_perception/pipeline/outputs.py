"""The table of what is published for a frame: topic, type, stages it needs, how it is made.

Whoever publishes or records a scene walks this table, so that all speak the same topics.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from robot_perception import conversions
from robot_perception.conversions import FrameTiming, MarkerKey, Message, MessageFactory
from robot_perception.core import (
    LabeledPoints,
    MetricDepth,
    Pose,
    Scene,
    SceneObject,
    Stage,
    transform_objects,
    transform_points,
)
from robot_perception.pipeline.config import PerceptionConfig
from robot_perception.pipeline.frames import Placement
from robot_perception.viewer import draw_overlay


@dataclass(slots=True)
class MarkerMemory:
    """Markers that viewers still show, so that the next frame can remove what is gone."""

    shown: frozenset[MarkerKey] = frozenset()


@dataclass(frozen=True, slots=True)
class Published:
    """One frame on its way out.

    Attributes:
        factory: makes messages.
        header: the header of the input image, as a message; every output carries it unchanged
            but those that are placed in another frame.
        scene: what was seen.
        camera_info: the CameraInfo message that came with the image, None without one.
        timing: what the frame took.
        config: what is sent along, and which points.
        markers: markers of earlier frames.
        placement: where objects and their points are placed; None leaves them in the optical
            frame.

    """

    factory: MessageFactory
    header: Message
    scene: Scene
    camera_info: Message
    timing: FrameTiming
    config: PerceptionConfig
    markers: MarkerMemory
    placement: Placement | None = None

    @property
    def pose(self) -> Pose | None:
        """Frame of placed results from the optical frame; None when it is that frame."""
        return None if self.placement is None else self.placement.pose

    def placed_header(self) -> Message:
        """Header of placed results: the stamp of the image, the frame they are in."""
        if self.placement is None or self.placement.pose is None:
            return self.header
        stamp_ns = self.scene.image.stamp_ns
        return conversions.header_message(self.factory, stamp_ns, self.placement.frame_id)

    def placed_objects(self) -> tuple[SceneObject, ...]:
        """Objects with their places in that frame."""
        objects = self.scene.objects
        return objects if self.pose is None else transform_objects(objects, self.pose)


@dataclass(frozen=True, slots=True)
class Output:
    """One topic.

    Attributes:
        topic: name below the node's own.
        type_name: 'package/msg/Name'.
        stages: what must run for it.
        make: gives the message, or None when the frame has no such result.

    """

    topic: str
    type_name: str
    stages: frozenset[Stage]
    make: Callable[[Published], Message]


def _features(frame: Published) -> Message:
    features = frame.scene.features
    if features is None:
        return None
    return conversions.features_message(
        frame.factory, frame.header, features, with_patches=frame.config.features.publish_patches
    )


def _depth(frame: Published) -> Message:
    depth = frame.scene.depth
    if not isinstance(depth, MetricDepth):
        return None
    return conversions.depth_message(frame.factory, frame.header, depth)


def _depth_info(frame: Published) -> Message:
    scene = frame.scene
    if scene.camera is None or not isinstance(scene.depth, MetricDepth):
        return None
    if frame.camera_info is not None:
        return conversions.copy_camera_info(frame.factory, frame.header, frame.camera_info)
    return conversions.camera_info_message(frame.factory, frame.header, scene.camera)


def _points(frame: Published) -> Message:
    cloud = frame.scene.cloud()
    if cloud is None:
        return None
    if not frame.config.points.labels:
        return conversions.cloud_message(frame.factory, frame.header, cloud)
    labels = frame.scene.labels()
    if labels is None:
        return None
    return conversions.labeled_cloud_message(frame.factory, frame.header, cloud, *labels)


def _object_points(frame: Published) -> Message:
    return _listed(frame, frame.scene.object_points())


def _background_points(frame: Published) -> Message:
    points, ground = frame.scene.background_points(), frame.scene.ground
    if points is not None and ground is not None and frame.config.points.remove_ground:
        points = points.above(ground, frame.config.points.ground_tolerance_m)
    return _listed(frame, points)


def _listed(frame: Published, points: LabeledPoints | None) -> Message:
    if points is None:
        return None
    limits = frame.config.points
    if limits.max_range_m:
        points = points.within(limits.max_range_m)
    if frame.pose is not None:
        points = transform_points(points, frame.pose)
    if limits.voxel_m:
        points = points.voxel_downsample(limits.voxel_m)
    return conversions.point_list_message(frame.factory, frame.placed_header(), points)


def _detections(frame: Published) -> Message:
    detections = frame.scene.detections
    if detections is None:
        return None
    return conversions.detections_2d_message(frame.factory, frame.header, detections)


def _has_3d(scene: Scene) -> bool:
    metric = isinstance(scene.depth, MetricDepth)
    return scene.detections is not None and scene.camera is not None and metric


def _detections_3d(frame: Published) -> Message:
    if not _has_3d(frame.scene):
        return None
    return conversions.detections_3d_message(
        frame.factory, frame.placed_header(), frame.placed_objects()
    )


def _markers(frame: Published) -> Message:
    if frame.scene.detections is None or not (_has_3d(frame.scene) or frame.markers.shown):
        return None
    # Without 3D no object has a place, and what is still shown is taken away.
    message, frame.markers.shown = conversions.markers_message(
        frame.factory, frame.placed_header(), frame.placed_objects(), frame.markers.shown
    )
    return message


def _instances(frame: Published) -> Message:
    masks = frame.scene.masks
    if masks is None:
        return None
    return conversions.instances_message(frame.factory, frame.header, masks)


def _classes(frame: Published) -> Message:
    scene = frame.scene
    if scene.masks is None or scene.detections is None:
        return None
    return conversions.classes_message(
        frame.factory, frame.header, scene.masks, scene.detections.class_ids
    )


def _scene(frame: Published) -> Message:
    return conversions.scene_message(frame.factory, frame.header, frame.scene, frame.timing)


def _overlay(frame: Published) -> Message:
    if frame.scene.detections is None:
        return None
    picture = draw_overlay(frame.scene)
    return conversions.image_message(frame.factory, frame.header, picture, 'rgb8')


def _timing(frame: Published) -> Message:
    return conversions.timing_message(frame.factory, frame.header, frame.timing)


_MASKS = frozenset({Stage.DETECTOR, Stage.SEGMENTER})
_OBJECTS_3D = _MASKS | {Stage.DEPTH}

# Goes out last, so that it can tell how long the others took.
TIMING = Output('timing', 'robot_perception/msg/Timing', frozenset(), _timing)

OUTPUTS = (
    Output(
        'features', 'robot_perception/msg/SceneFeatures', frozenset({Stage.FEATURES}), _features
    ),
    Output('depth/image', 'sensor_msgs/msg/Image', frozenset({Stage.DEPTH}), _depth),
    Output(
        'depth/camera_info', 'sensor_msgs/msg/CameraInfo', frozenset({Stage.DEPTH}), _depth_info
    ),
    Output('points', 'sensor_msgs/msg/PointCloud2', frozenset({Stage.DEPTH}), _points),
    Output('points/objects', 'sensor_msgs/msg/PointCloud2', _OBJECTS_3D, _object_points),
    Output('points/background', 'sensor_msgs/msg/PointCloud2', _OBJECTS_3D, _background_points),
    Output(
        'detections', 'vision_msgs/msg/Detection2DArray', frozenset({Stage.DETECTOR}), _detections
    ),
    Output('detections_3d', 'vision_msgs/msg/Detection3DArray', _OBJECTS_3D, _detections_3d),
    Output('masks/instances', 'sensor_msgs/msg/Image', _MASKS, _instances),
    Output('masks/classes', 'sensor_msgs/msg/Image', _MASKS, _classes),
    Output('scene', 'robot_perception/msg/Scene', frozenset(Stage), _scene),
    Output('overlay', 'sensor_msgs/msg/Image', _MASKS, _overlay),
    Output('markers', 'visualization_msgs/msg/MarkerArray', _OBJECTS_3D, _markers),
    TIMING,
)

# Goes out once, for now and for whoever comes late.
LABEL_INFO, LABEL_INFO_TYPE = 'label_info', 'vision_msgs/msg/LabelInfo'


def stages_for(outputs: tuple[Output, ...], config: PerceptionConfig) -> frozenset[Stage]:
    """Everything that must run for the given outputs."""
    stages: frozenset[Stage] = frozenset()
    for output in outputs:
        stages |= output.stages
        if output.topic == 'points' and config.points.labels:
            stages |= _MASKS
    return stages
