"""The ROS messages that are read and written, field by field, for the type checker.

Nothing makes objects of these classes. A reader takes anything with the fields, whether of rclpy,
of rosbags or of a test; a `MessageFactory` takes a class of this module as the name of a message
and makes it as the class of its own library. The fields are those of the .msg files. Messages of
foxglove_msgs, which may be missing, are in `robot_perception.conversions.foxglove`.
"""
# ruff: noqa: D101 - the .msg files describe messages and fields

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NewType, TYPE_CHECKING

from robot_perception.core import Float64Array

# Value of a numeric array field of any length, as `MessageFactory.sequence` makes it.
Numbers = NewType('Numbers', Sequence[Any])

_TYPE_NAMES: dict[object, str] = {}


def type_name(message_type: object) -> str:
    """Return the ROS name of a class that declares a message.

    >>> type_name(Header)
    'std_msgs/msg/Header'
    """
    return _TYPE_NAMES[message_type]


if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:  # Python 3.10 does not have it

    def dataclass_transform(**_: object) -> object:
        """Return a decorator that changes nothing."""
        return lambda decorated: decorated


@dataclass_transform(kw_only_default=True)
class MessageType:
    """Base of the classes that declare a message."""

    def __init_subclass__(cls, *, package: str) -> None:
        _TYPE_NAMES[cls] = f'{package}/msg/{cls.__name__}'


class Time(MessageType, package='builtin_interfaces'):
    sec: int
    nanosec: int


class Duration(MessageType, package='builtin_interfaces'):
    sec: int
    nanosec: int


class Header(MessageType, package='std_msgs'):
    stamp: Time
    frame_id: str


class ColorRGBA(MessageType, package='std_msgs'):
    r: float
    g: float
    b: float
    a: float


class Point(MessageType, package='geometry_msgs'):
    x: float
    y: float
    z: float


class Vector3(MessageType, package='geometry_msgs'):
    x: float
    y: float
    z: float


class Quaternion(MessageType, package='geometry_msgs'):
    x: float
    y: float
    z: float
    w: float


class Pose(MessageType, package='geometry_msgs'):
    position: Point
    orientation: Quaternion


class PoseWithCovariance(MessageType, package='geometry_msgs'):
    pose: Pose
    covariance: Float64Array


class Transform(MessageType, package='geometry_msgs'):
    translation: Vector3
    rotation: Quaternion


class TransformStamped(MessageType, package='geometry_msgs'):
    header: Header
    child_frame_id: str
    transform: Transform


class TFMessage(MessageType, package='tf2_msgs'):
    transforms: Sequence[TransformStamped]


class Image(MessageType, package='sensor_msgs'):
    header: Header
    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: Numbers


class CompressedImage(MessageType, package='sensor_msgs'):
    header: Header
    format: str
    data: Numbers


class RegionOfInterest(MessageType, package='sensor_msgs'):
    x_offset: int
    y_offset: int
    height: int
    width: int
    do_rectify: bool


class CameraInfo(MessageType, package='sensor_msgs'):
    header: Header
    height: int
    width: int
    distortion_model: str
    d: Numbers
    k: Float64Array
    r: Float64Array
    p: Float64Array
    binning_x: int
    binning_y: int
    roi: RegionOfInterest


class PointField(MessageType, package='sensor_msgs'):
    name: str
    offset: int
    datatype: int
    count: int


class PointCloud2(MessageType, package='sensor_msgs'):
    header: Header
    height: int
    width: int
    fields: Sequence[PointField]
    is_bigendian: bool
    point_step: int
    row_step: int
    data: Numbers
    is_dense: bool


class MeshFile(MessageType, package='visualization_msgs'):
    filename: str
    data: Numbers


class Marker(MessageType, package='visualization_msgs'):
    header: Header
    ns: str
    id: int
    type: int
    action: int
    pose: Pose
    scale: Vector3
    color: ColorRGBA
    lifetime: Duration
    frame_locked: bool
    points: Sequence[Point]
    colors: Sequence[ColorRGBA]
    texture_resource: str
    texture: CompressedImage
    uv_coordinates: Sequence[object]
    text: str
    mesh_resource: str
    mesh_file: MeshFile
    mesh_use_embedded_materials: bool


class MarkerArray(MessageType, package='visualization_msgs'):
    markers: Sequence[Marker]


class Point2D(MessageType, package='vision_msgs'):
    x: float
    y: float


class Pose2D(MessageType, package='vision_msgs'):
    position: Point2D
    theta: float


class BoundingBox2D(MessageType, package='vision_msgs'):
    center: Pose2D
    size_x: float
    size_y: float


class BoundingBox3D(MessageType, package='vision_msgs'):
    center: Pose
    size: Vector3


class ObjectHypothesis(MessageType, package='vision_msgs'):
    class_id: str
    score: float


class Classification(MessageType, package='vision_msgs'):
    header: Header
    results: Sequence[ObjectHypothesis]


class ObjectHypothesisWithPose(MessageType, package='vision_msgs'):
    hypothesis: ObjectHypothesis
    pose: PoseWithCovariance


class Detection2D(MessageType, package='vision_msgs'):
    header: Header
    results: Sequence[ObjectHypothesisWithPose]
    bbox: BoundingBox2D
    id: str


class Detection2DArray(MessageType, package='vision_msgs'):
    header: Header
    detections: Sequence[Detection2D]


class Detection3D(MessageType, package='vision_msgs'):
    header: Header
    results: Sequence[ObjectHypothesisWithPose]
    bbox: BoundingBox3D
    id: str


class Detection3DArray(MessageType, package='vision_msgs'):
    header: Header
    detections: Sequence[Detection3D]


class VisionClass(MessageType, package='vision_msgs'):
    class_id: int
    class_name: str


class LabelInfo(MessageType, package='vision_msgs'):
    header: Header
    class_map: Sequence[VisionClass]
    threshold: float


class SceneFeatures(MessageType, package='robot_perception'):
    header: Header
    model: str
    vector: Numbers
    grid_height: int
    grid_width: int
    patches: Numbers


class Timing(MessageType, package='robot_perception'):
    header: Header
    stages: Sequence[str]
    last: Numbers
    p50: Numbers
    p95: Numbers
    p99: Numbers
    window: int
    age: float


class Semantics(MessageType, package='robot_perception'):
    header: Header
    model: str
    class_map: Sequence[VisionClass]
    classes: Image
    instances: Sequence[Image]


class SceneObject(MessageType, package='robot_perception'):
    index: int
    class_id: int
    class_name: str
    score: float
    track_id: str
    bbox: BoundingBox2D
    mask_roi: RegionOfInterest
    mask: Image
    mask_score: float
    truncated: int
    occluded: int
    depth: float
    centroid: Sequence[Point]
    velocity: Sequence[Vector3]
    centroid_covariance: Numbers
    covariance_calibrated: bool
    points_covariance: Numbers
    bbox_3d: Sequence[BoundingBox3D]


class Scene(MessageType, package='robot_perception'):
    header: Header
    height: int
    width: int
    features: Sequence[SceneFeatures]
    scene_classes: Sequence[ObjectHypothesis]
    depth: Sequence[Image]
    depth_source: str
    camera_info: Sequence[CameraInfo]
    semantics: Sequence[Semantics]
    objects: Sequence[SceneObject]
    timing: Timing
