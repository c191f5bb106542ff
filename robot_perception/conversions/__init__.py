"""Conversions between ROS messages and the types of core, without importing a ROS package."""

from robot_perception.conversions import ros
from robot_perception.conversions.annotations import annotations_message
from robot_perception.conversions.bit_depth import FindBits, SensorBits
from robot_perception.conversions.calibration_file import CalibrationFile, read_calibration_file
from robot_perception.conversions.camera_info import (
    camera_info_message,
    copy_camera_info,
    has_complete_fields,
    is_same_calibration,
    match_camera,
    to_camera,
)
from robot_perception.conversions.compressed import compressed_to_image, jpeg_message
from robot_perception.conversions.compressed_depth import compressed_depth_message
from robot_perception.conversions.depth import depth_message, to_depth
from robot_perception.conversions.detections import detections_2d_message, detections_3d_message
from robot_perception.conversions.features import features_message
from robot_perception.conversions.header import header_message, read_header
from robot_perception.conversions.image import image_message, to_image
from robot_perception.conversions.markers import marker_keys, MarkerKey, markers_message
from robot_perception.conversions.masks import (
    classes_message,
    instances_message,
    label_info_message,
    to_class_names,
    to_instances,
)
from robot_perception.conversions.messages import Fields, Made, Message, MessageFactory
from robot_perception.conversions.pointcloud import (
    add_labels,
    cloud_message,
    label_table,
    pack_cloud,
    pack_points,
    point_list_message,
    select_records,
    unpack_points,
)
from robot_perception.conversions.results import to_features, to_scene
from robot_perception.conversions.rosbags_factory import RosbagsFactory
from robot_perception.conversions.scene import scene_message
from robot_perception.conversions.scene_classes import scene_class_message, scene_labels_message
from robot_perception.conversions.semantics import (
    semantic_classes_message,
    semantic_instances_message,
    semantic_label_info_message,
    semantic_labels,
)
from robot_perception.conversions.timing import FrameTiming, timing_message
from robot_perception.conversions.transforms import ReadTransforms, to_transforms
from robot_perception.conversions.validation import MAX_PIXELS

__all__ = [
    'MAX_PIXELS',
    'CalibrationFile',
    'Fields',
    'FindBits',
    'FrameTiming',
    'Made',
    'MarkerKey',
    'Message',
    'MessageFactory',
    'ReadTransforms',
    'RosbagsFactory',
    'SensorBits',
    'add_labels',
    'annotations_message',
    'camera_info_message',
    'classes_message',
    'cloud_message',
    'compressed_depth_message',
    'compressed_to_image',
    'copy_camera_info',
    'depth_message',
    'detections_2d_message',
    'detections_3d_message',
    'features_message',
    'has_complete_fields',
    'header_message',
    'image_message',
    'instances_message',
    'is_same_calibration',
    'jpeg_message',
    'label_info_message',
    'label_table',
    'marker_keys',
    'markers_message',
    'match_camera',
    'pack_cloud',
    'pack_points',
    'point_list_message',
    'read_calibration_file',
    'read_header',
    'ros',
    'scene_class_message',
    'scene_labels_message',
    'scene_message',
    'select_records',
    'semantic_classes_message',
    'semantic_instances_message',
    'semantic_label_info_message',
    'semantic_labels',
    'timing_message',
    'to_camera',
    'to_class_names',
    'to_depth',
    'to_features',
    'to_image',
    'to_instances',
    'to_scene',
    'to_transforms',
    'unpack_points',
]
