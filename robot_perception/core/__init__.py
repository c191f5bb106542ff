"""What things are: images, cameras, depth, objects, scenes. Needs numpy and nothing else."""

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
from robot_perception.core.box3d import Box3D, Quaternion, Vector3
from robot_perception.core.boxes import area_xyxy, clip_xyxy, distinct, iou_xyxy
from robot_perception.core.camera import CameraModel
from robot_perception.core.colours import class_colour, instance_colour, Rgb
from robot_perception.core.depth import Depth, MetricDepth, RelativeDepth
from robot_perception.core.depth_fit import DepthFit, scaled
from robot_perception.core.detections import Detections
from robot_perception.core.distortion import COEFFICIENT_COUNTS, EQUIDISTANT, NONE, PLUMB_BOB
from robot_perception.core.errors import (
    CalibrationError,
    ConfigError,
    ConversionError,
    DamagedBagError,
    DeviceUnavailableError,
    InputError,
    ModelError,
    OutputError,
    PerceptionError,
    ShapeError,
    SourceError,
    TransformError,
    UnknownModelError,
    WeightsInvalidError,
    WeightsMissingError,
)
from robot_perception.core.features import SceneFeatures
from robot_perception.core.image import Image
from robot_perception.core.labelled_points import LabelledPoints
from robot_perception.core.lazy import lazy_attributes
from robot_perception.core.masks import Masks
from robot_perception.core.moved import moved_objects, moved_points
from robot_perception.core.plane import Plane
from robot_perception.core.pointcloud import PointCloud
from robot_perception.core.pose import Pose
from robot_perception.core.registration import register_depth
from robot_perception.core.rotation import matrix_of, quaternion_of
from robot_perception.core.scene import ObjectPosition, Scene, SceneObject
from robot_perception.core.transform_buffer import TransformBuffer
from robot_perception.core.transforms import frame_name, StampedTransform

__all__ = [
    'COEFFICIENT_COUNTS',
    'EQUIDISTANT',
    'NONE',
    'PLUMB_BOB',
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
    'Detections',
    'DeviceUnavailableError',
    'Float32Array',
    'Float64Array',
    'Image',
    'InputError',
    'Int32Array',
    'Int64Array',
    'LabelledPoints',
    'Masks',
    'MetricDepth',
    'ModelError',
    'ObjectPosition',
    'OutputError',
    'PerceptionError',
    'Plane',
    'PointCloud',
    'Pose',
    'Quaternion',
    'RelativeDepth',
    'Rgb',
    'Scene',
    'SceneFeatures',
    'SceneObject',
    'ShapeError',
    'SourceError',
    'StampedTransform',
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
    'checked',
    'class_colour',
    'clip_xyxy',
    'distinct',
    'frame_name',
    'instance_colour',
    'iou_xyxy',
    'lazy_attributes',
    'matrix_of',
    'moved_objects',
    'moved_points',
    'quaternion_of',
    'register_depth',
    'scaled',
]
