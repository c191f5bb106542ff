"""The ROS messages that are read and written, field by field, for the type checker.

Nothing makes objects of these classes. A reader takes anything with the fields, whether of rclpy,
of rosbags or of a test; a `MessageFactory` takes a class of this module as the name of a message
and makes it as the class of its own library. The fields are those of the .msg files.
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
    """Return the ROS name of a class of this module.

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
class _Message:
    def __init_subclass__(cls, *, package: str) -> None:
        _TYPE_NAMES[cls] = f'{package}/msg/{cls.__name__}'


class Time(_Message, package='builtin_interfaces'):
    sec: int
    nanosec: int


class Duration(_Message, package='builtin_interfaces'):
    sec: int
    nanosec: int


class Header(_Message, package='std_msgs'):
    stamp: Time
    frame_id: str


class ColorRGBA(_Message, package='std_msgs'):
    r: float
    g: float
    b: float
    a: float


class Point(_Message, package='geometry_msgs'):
    x: float
    y: float
    z: float


class Vector3(_Message, package='geometry_msgs'):
    x: float
    y: float
    z: float


class Quaternion(_Message, package='geometry_msgs'):
    x: float
    y: float
    z: float
    w: float


class Pose(_Message, package='geometry_msgs'):
    position: Point
    orientation: Quaternion


class PoseWithCovariance(_Message, package='geometry_msgs'):
    pose: Pose
    covariance: Float64Array


class Transform(_Message, package='geometry_msgs'):
    translation: Vector3
    rotation: Quaternion


class TransformStamped(_Message, package='geometry_msgs'):
    header: Header
    child_frame_id: str
    transform: Transform


class TFMessage(_Message, package='tf2_msgs'):
    transforms: Sequence[TransformStamped]


class Image(_Message, package='sensor_msgs'):
    header: Header
    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: Numbers


class CompressedImage(_Message, package='sensor_msgs'):
    header: Header
    format: str
    data: Numbers


class RegionOfInterest(_Message, package='sensor_msgs'):
    x_offset: int
    y_offset: int
    height: int
    width: int
    do_rectify: bool


class CameraInfo(_Message, package='sensor_msgs'):
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


class PointField(_Message, package='sensor_msgs'):
    name: str
    offset: int
    datatype: int
    count: int


class PointCloud2(_Message, package='sensor_msgs'):
    header: Header
    height: int
    width: int
    fields: Sequence[PointField]
    is_bigendian: bool
    point_step: int
    row_step: int
    data: Numbers
    is_dense: bool


class MeshFile(_Message, package='visualization_msgs'):
    filename: str
    data: Numbers


class Marker(_Message, package='visualization_msgs'):
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


class MarkerArray(_Message, package='visualization_msgs'):
    markers: Sequence[Marker]


class Point2D(_Message, package='vision_msgs'):
    x: float
    y: float


class Pose2D(_Message, package='vision_msgs'):
    position: Point2D
    theta: float


class BoundingBox2D(_Message, package='vision_msgs'):
    center: Pose2D
    size_x: float
    size_y: float


class BoundingBox3D(_Message, package='vision_msgs'):
    center: Pose
    size: Vector3


class ObjectHypothesis(_Message, package='vision_msgs'):
    class_id: str
    score: float


class Classification(_Message, package='vision_msgs'):
    header: Header
    results: Sequence[ObjectHypothesis]


class ObjectHypothesisWithPose(_Message, package='vision_msgs'):
    hypothesis: ObjectHypothesis
    pose: PoseWithCovariance


class Detection2D(_Message, package='vision_msgs'):
    header: Header
    results: Sequence[ObjectHypothesisWithPose]
    bbox: BoundingBox2D
    id: str


class Detection2DArray(_Message, package='vision_msgs'):
    header: Header
    detections: Sequence[Detection2D]


class Detection3D(_Message, package='vision_msgs'):
    header: Header
    results: Sequence[ObjectHypothesisWithPose]
    bbox: BoundingBox3D
    id: str


class Detection3DArray(_Message, package='vision_msgs'):
    header: Header
    detections: Sequence[Detection3D]


class VisionClass(_Message, package='vision_msgs'):
    class_id: int
    class_name: str


class LabelInfo(_Message, package='vision_msgs'):
    header: Header
    class_map: Sequence[VisionClass]
    threshold: float


class Point2(_Message, package='foxglove_msgs'):
    x: float
    y: float


class Color(_Message, package='foxglove_msgs'):
    r: float
    g: float
    b: float
    a: float


class PointsAnnotation(_Message, package='foxglove_msgs'):
    timestamp: Time
    type: int
    points: Sequence[Point2]
    outline_color: Color
    outline_colors: Sequence[Color]
    fill_color: Color
    thickness: float


class TextAnnotation(_Message, package='foxglove_msgs'):
    timestamp: Time
    position: Point2
    text: str
    font_size: float
    text_color: Color
    background_color: Color


class ImageAnnotations(_Message, package='foxglove_msgs'):
    circles: Sequence[object]
    points: Sequence[PointsAnnotation]
    texts: Sequence[TextAnnotation]


class SceneFeatures(_Message, package='robot_perception'):
    header: Header
    model: str
    vector: Numbers
    grid_height: int
    grid_width: int
    patches: Numbers


class Timing(_Message, package='robot_perception'):
    header: Header
    stages: Sequence[str]
    last: Numbers
    p50: Numbers
    p95: Numbers
    p99: Numbers
    window: int
    age: float


class Semantics(_Message, package='robot_perception'):
    header: Header
    model: str
    class_map: Sequence[VisionClass]
    classes: Image
    instances: Sequence[Image]


class SceneObject(_Message, package='robot_perception'):
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


class Scene(_Message, package='robot_perception'):
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
