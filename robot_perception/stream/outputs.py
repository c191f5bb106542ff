"""The table of outputs: for each its topic, type, required stages, and the function to make it.

The node, the bag processor and all other writers iterate over this table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from robot_perception import conversions
from robot_perception.conversions import Message
from robot_perception.core import AnyArray, LabeledPoints, MetricDepth, Stage, transform_points
from robot_perception.pipeline import PerceptionConfig
from robot_perception.stream.output_frame import OutputFrame
from robot_perception.viewer import format_labels


@dataclass(frozen=True, slots=True)
class Output:
    """One output topic.

    Attributes:
        topic: name relative to that of the node.
        type_name: 'package/msg/Name'.
        stages: stages that must run for it.
        make: returns the message, or None when the frame has no such result; has no side effects.
    """

    topic: str
    type_name: str
    stages: frozenset[Stage]
    make: Callable[[OutputFrame], Message | None]


def _features(frame: OutputFrame) -> Message | None:
    features = frame.scene.features
    if features is None:
        return None
    return conversions.features_message(
        frame.factory, frame.header, features, with_patches=frame.config.features.publish_patches
    )


def _depth(frame: OutputFrame) -> Message | None:
    depth = frame.scene.depth
    if not isinstance(depth, MetricDepth):
        return None
    return conversions.depth_message(frame.factory, frame.header, depth)


def _depth_info(frame: OutputFrame) -> Message | None:
    scene = frame.scene
    if scene.camera is None or not isinstance(scene.depth, MetricDepth):
        return None
    if frame.camera_info is not None:
        return conversions.copy_camera_info(frame.factory, frame.header, frame.camera_info)
    return conversions.camera_info_message(frame.factory, frame.header, scene.camera)


def _points(frame: OutputFrame) -> Message | None:
    records = frame.header_points
    if records is None:
        return None
    if frame.config.points.labels:
        if frame.labels is None:
            return None
        records = conversions.add_labels(records, frame.labels)
    return conversions.cloud_message(frame.factory, frame.header, records)


def _object_points(frame: OutputFrame) -> Message | None:
    return _point_list(frame, frame.select_points(of_objects=True))


def _background_points(frame: OutputFrame) -> Message | None:
    records = frame.select_points(of_objects=False)
    return _point_list(frame, records, without_ground=frame.config.points.remove_ground)


def _ground_points(frame: OutputFrame) -> Message | None:
    return _point_list(frame, frame.select_ground(of_ground=True))


def _obstacle_points(frame: OutputFrame) -> Message | None:
    return _point_list(frame, frame.select_ground(of_ground=False))


def _point_list(
    frame: OutputFrame, records: AnyArray | None, *, without_ground: bool = False
) -> Message | None:
    if records is None:
        return None
    filters = tuple(_filters(frame, without_ground=without_ground))
    if filters:
        points = conversions.unpack_points(records)
        for apply in filters:
            points = apply(points)
        records = conversions.pack_points(points)
    return conversions.point_list_message(frame.factory, frame.target_header, records)


def _filters(
    frame: OutputFrame, *, without_ground: bool
) -> Iterator[Callable[[LabeledPoints], LabeledPoints]]:
    """Yield what is applied to a list of points in the optical frame, in order."""
    limits, ground, pose = frame.config.points, frame.scene.ground, frame.target_from_optical
    if without_ground and ground is not None:
        yield lambda points: points.above(ground, limits.ground_tolerance_m)
    if limits.max_range_m:
        yield lambda points: points.within(limits.max_range_m)
    if pose is not None:
        yield lambda points: transform_points(points, pose)
    if limits.voxel_m:
        yield lambda points: points.voxel_downsample(limits.voxel_m)


def _detections(frame: OutputFrame) -> Message | None:
    detections = frame.scene.detections
    if detections is None:
        return None
    return conversions.detections_2d_message(frame.factory, frame.header, detections)


def _detections_3d(frame: OutputFrame) -> Message | None:
    if not frame.has_positions:
        return None
    return conversions.detections_3d_message(
        frame.factory, frame.target_header, frame.target_objects
    )


def _markers(frame: OutputFrame) -> Message | None:
    if frame.scene.detections is None or not (frame.has_positions or frame.shown_markers):
        return None
    # Without positions, the message only deletes the markers that are still shown.
    return conversions.markers_message(
        frame.factory, frame.target_header, frame.target_objects, frame.shown_markers
    )


def _instances(frame: OutputFrame) -> Message | None:
    masks = frame.scene.masks
    if masks is None:
        return None
    return conversions.instances_message(frame.factory, frame.header, masks)


def _classes(frame: OutputFrame) -> Message | None:
    scene = frame.scene
    if scene.masks is None or scene.detections is None:
        return None
    return conversions.classes_message(
        frame.factory, frame.header, scene.masks, scene.detections.class_ids
    )


def _semantic_classes(frame: OutputFrame) -> Message | None:
    semantics = frame.scene.semantics
    if semantics is None:
        return None
    return conversions.semantic_classes_message(frame.factory, frame.header, semantics)


def _semantic_instances(frame: OutputFrame) -> Message | None:
    semantics = frame.scene.semantics
    if semantics is None or semantics.instances is None:
        return None
    return conversions.semantic_instances_message(frame.factory, frame.header, semantics.instances)


def _scene_class(frame: OutputFrame) -> Message | None:
    classes = frame.scene.scene_classes
    if classes is None:
        return None
    return conversions.scene_class_message(frame.factory, frame.header, classes)


def _scene(frame: OutputFrame) -> Message | None:
    return conversions.scene_message(frame.factory, frame.header, frame.header_scene, frame.timing)


def _scene_without_depth(frame: OutputFrame) -> Message | None:
    return conversions.scene_message(
        frame.factory, frame.header, frame.header_scene, frame.timing, with_depth=False
    )


def _compressed_depth(frame: OutputFrame) -> Message | None:
    depth = frame.scene.depth
    if not isinstance(depth, MetricDepth):
        return None
    return conversions.compressed_depth_message(frame.factory, frame.header, depth)


def _overlay(frame: OutputFrame) -> Message | None:
    if not _is_drawn(frame):
        return None
    return conversions.image_message(frame.factory, frame.header, frame.overlay, 'rgb8')


def _compressed_overlay(frame: OutputFrame) -> Message | None:
    if not _is_drawn(frame):
        return None
    return conversions.jpeg_message(frame.factory, frame.header, frame.overlay)


def _is_drawn(frame: OutputFrame) -> bool:
    """Return whether the overlay differs from the image, or would with objects."""
    return frame.scene.detections is not None or frame.scene.semantics is not None


def _annotations(frame: OutputFrame) -> Message | None:
    if frame.scene.detections is None:
        return None
    objects = frame.scene.objects
    # Without depth: labels do not depend on what else is published.
    labels = [format_labels(item)[1] for item in objects]
    return conversions.annotations_message(frame.factory, frame.header, objects, labels)


def _timing(frame: OutputFrame) -> Message | None:
    return conversions.timing_message(frame.factory, frame.header, frame.timing)


_MASKS = frozenset({Stage.DETECTOR, Stage.SEGMENTER})
_OBJECTS_3D = _MASKS | {Stage.DEPTH}
_DRAWN = _MASKS | {Stage.SEMANTICS}

SCENE = Output('scene', 'robot_perception/msg/Scene', frozenset(Stage), _scene)
# In result bags only, which hold depth once. The name is that of image_transport.
COMPRESSED_DEPTH = Output(
    'depth/image/compressedDepth',
    'sensor_msgs/msg/CompressedImage',
    frozenset({Stage.DEPTH}),
    _compressed_depth,
)
SCENE_WITHOUT_DEPTH = replace(SCENE, make=_scene_without_depth)
# Only where the ground is separated.
GROUND = (
    Output(
        'points/ground', 'sensor_msgs/msg/PointCloud2', frozenset({Stage.DEPTH}), _ground_points
    ),
    Output(
        'points/obstacles',
        'sensor_msgs/msg/PointCloud2',
        frozenset({Stage.DEPTH}),
        _obstacle_points,
    ),
)
# Its message package is optional.
ANNOTATIONS = Output(
    'annotations',
    'foxglove_msgs/msg/ImageAnnotations',
    frozenset({Stage.DETECTOR}),
    _annotations,
)
# Published last, since it includes the time to publish the others.
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
    *GROUND,
    Output(
        'detections', 'vision_msgs/msg/Detection2DArray', frozenset({Stage.DETECTOR}), _detections
    ),
    Output('detections_3d', 'vision_msgs/msg/Detection3DArray', _OBJECTS_3D, _detections_3d),
    Output('masks/instances', 'sensor_msgs/msg/Image', _MASKS, _instances),
    Output('masks/classes', 'sensor_msgs/msg/Image', _MASKS, _classes),
    Output(
        'semantics/classes',
        'sensor_msgs/msg/Image',
        frozenset({Stage.SEMANTICS}),
        _semantic_classes,
    ),
    Output(
        'semantics/instances',
        'sensor_msgs/msg/Image',
        frozenset({Stage.SEMANTICS}),
        _semantic_instances,
    ),
    Output(
        'scene_class', 'vision_msgs/msg/Classification', frozenset({Stage.SCENE}), _scene_class
    ),
    SCENE,
    Output('overlay', 'sensor_msgs/msg/Image', _DRAWN, _overlay),
    Output('overlay/compressed', 'sensor_msgs/msg/CompressedImage', _DRAWN, _compressed_overlay),
    ANNOTATIONS,
    Output('markers', 'visualization_msgs/msg/MarkerArray', _OBJECTS_3D, _markers),
    TIMING,
)


def published_outputs(outputs: tuple[Output, ...], config: PerceptionConfig) -> tuple[Output, ...]:
    """Return those of ``outputs`` that a configuration gives a frame with all its inputs."""
    disabled = {stage for stage in Stage if not config.stage(stage).enabled}
    return tuple(
        output
        for output in outputs
        # These two describe any frame.
        if (output in (SCENE, TIMING) or not output.stages <= disabled)
        and (output not in GROUND or config.separates_ground)
    )


def stages_for(outputs: tuple[Output, ...], config: PerceptionConfig) -> frozenset[Stage]:
    """Return the stages that the given outputs need."""
    stages: frozenset[Stage] = frozenset()
    for output in outputs:
        stages |= output.stages
        if output.topic == 'points' and config.points.labels:
            stages |= _MASKS if config.has_masks else {Stage.SEMANTICS}
        if output in GROUND and config.has_ground_classes:
            stages |= {Stage.SEMANTICS}
    return stages
