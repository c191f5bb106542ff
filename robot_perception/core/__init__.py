"""Data types (images, cameras, depth, objects, scenes, transforms) and atomic writes.

Imports numpy only.
"""

from robot_perception.core.answer import Answer
from robot_perception.core.arrays import (
    AnyArray,
    BoolArray,
    checked,
    Float32Array,
    Float64Array,
    Int32Array,
    Int64Array,
    UInt8Array,
    UInt16Array,
    UInt32Array,
)
from robot_perception.core.atomic import (
    flush,
    make_folder,
    replace_folder,
    replacing_file,
    replacing_folder,
    write_bytes,
    write_error,
)
from robot_perception.core.box3d import Box3D, Quaternion, Vector3
from robot_perception.core.boxes import area_xyxy, clip_xyxy, iou_xyxy, non_max_suppression
from robot_perception.core.camera import CameraModel
from robot_perception.core.colors import class_color, instance_color, object_color, Rgb
from robot_perception.core.depth import Depth, MetricDepth, MILLIMETER_M, RelativeDepth
from robot_perception.core.depth_fit import DepthFit, scale_to_meters
from robot_perception.core.detections import Detection, Detections
from robot_perception.core.distortion import DistortionModel
from robot_perception.core.enums import DepthSource, Stage, StrEnum
from robot_perception.core.errors import (
    CalibrationError,
    ConfigError,
    ConversionError,
    DamagedBagError,
    DeviceUnavailableError,
    ImageFileError,
    InputError,
    MissingLibraryError,
    ModelError,
    OutputError,
    PerceptionError,
    requires,
    ShapeError,
    SourceError,
    TransformError,
    UnknownModelError,
    WeightsInvalidError,
    WeightsMissingError,
)
from robot_perception.core.features import SceneFeatures
from robot_perception.core.image import Image
from robot_perception.core.interrupts import blocking_interrupts
from robot_perception.core.labeled_points import LabeledPoints
from robot_perception.core.lazy import lazy_attributes
from robot_perception.core.masks import Masks
from robot_perception.core.native_output import captured_output, throttled_output
from robot_perception.core.plane import Plane
from robot_perception.core.pointcloud import PointCloud
from robot_perception.core.pose import Pose
from robot_perception.core.process_use import ProcessUse, read_use
from robot_perception.core.registration import register_depth
from robot_perception.core.rigid_transform import transform_objects, transform_points
from robot_perception.core.rle import decode_rle, decode_run_lengths, encode_rle, run_lengths
from robot_perception.core.rotation import matrix_to_quaternion, quaternion_to_matrix
from robot_perception.core.scene import Scene
from robot_perception.core.scene_classes import SceneClasses
from robot_perception.core.scene_object import ObjectPosition, SceneObject
from robot_perception.core.semantics import NO_CLASS, Semantics
from robot_perception.core.stamps import is_restart
from robot_perception.core.transform_buffer import TransformBuffer
from robot_perception.core.transforms import (
    NANOSECONDS_PER_SECOND,
    normalize_frame_id,
    StampedTransform,
)

__all__ = [
    'MILLIMETER_M',
    'NANOSECONDS_PER_SECOND',
    'NO_CLASS',
    'Answer',
    'AnyArray',
    'BoolArray',
    'Box3D',
    'CalibrationError',
    'CameraModel',
    'ConfigError',
    'ConversionError',
    'DamagedBagError',
    'Depth',
    'DepthFit',
    'DepthSource',
    'Detection',
    'Detections',
    'DeviceUnavailableError',
    'DistortionModel',
    'Float32Array',
    'Float64Array',
    'Image',
    'ImageFileError',
    'InputError',
    'Int32Array',
    'Int64Array',
    'LabeledPoints',
    'Masks',
    'MetricDepth',
    'MissingLibraryError',
    'ModelError',
    'ObjectPosition',
    'OutputError',
    'PerceptionError',
    'Plane',
    'PointCloud',
    'Pose',
    'ProcessUse',
    'Quaternion',
    'RelativeDepth',
    'Rgb',
    'Scene',
    'SceneClasses',
    'SceneFeatures',
    'SceneObject',
    'Semantics',
    'ShapeError',
    'SourceError',
    'Stage',
    'StampedTransform',
    'StrEnum',
    'TransformBuffer',
    'TransformError',
    'UInt8Array',
    'UInt16Array',
    'UInt32Array',
    'UnknownModelError',
    'Vector3',
    'WeightsInvalidError',
    'WeightsMissingError',
    'area_xyxy',
    'blocking_interrupts',
    'captured_output',
    'checked',
    'class_color',
    'clip_xyxy',
    'decode_rle',
    'decode_run_lengths',
    'encode_rle',
    'flush',
    'instance_color',
    'iou_xyxy',
    'is_restart',
    'lazy_attributes',
    'make_folder',
    'matrix_to_quaternion',
    'non_max_suppression',
    'normalize_frame_id',
    'object_color',
    'quaternion_to_matrix',
    'read_use',
    'register_depth',
    'replace_folder',
    'replacing_file',
    'replacing_folder',
    'requires',
    'run_lengths',
    'scale_to_meters',
    'throttled_output',
    'transform_objects',
    'transform_points',
    'write_bytes',
    'write_error',
]
