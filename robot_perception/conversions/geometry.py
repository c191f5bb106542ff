"""Builders of parts of messages: points, poses and boxes."""

from __future__ import annotations

from robot_perception.conversions import ros
from robot_perception.conversions.messages import MessageFactory
from robot_perception.core import Box3D, Quaternion, Vector3

_IDENTITY: Quaternion = (0.0, 0.0, 0.0, 1.0)


def point_message(factory: MessageFactory, point_m: Vector3) -> ros.Point:
    """Build a geometry_msgs/msg/Point."""
    x, y, z = map(float, point_m)
    return factory(ros.Point, x=x, y=y, z=z)


def vector_message(factory: MessageFactory, vector: Vector3) -> ros.Vector3:
    """Build a geometry_msgs/msg/Vector3."""
    x, y, z = map(float, vector)
    return factory(ros.Vector3, x=x, y=y, z=z)


def pose_message(
    factory: MessageFactory, position_m: Vector3, rotation_xyzw: Quaternion = _IDENTITY
) -> ros.Pose:
    """Build a geometry_msgs/msg/Pose."""
    x, y, z, w = map(float, rotation_xyzw)
    return factory(
        ros.Pose,
        position=point_message(factory, position_m),
        orientation=factory(ros.Quaternion, x=x, y=y, z=z, w=w),
    )


def box_2d_message(
    factory: MessageFactory, box_xyxy: tuple[float, float, float, float]
) -> ros.BoundingBox2D:
    """Build a vision_msgs/msg/BoundingBox2D: center and full sides, pixels."""
    left, top, right, bottom = map(float, box_xyxy)
    center = factory(
        ros.Pose2D,
        position=factory(ros.Point2D, x=(left + right) / 2, y=(top + bottom) / 2),
        theta=0.0,
    )
    return factory(
        ros.BoundingBox2D,
        center=center,
        size_x=right - left,
        size_y=bottom - top,
    )


def box_3d_message(factory: MessageFactory, box: Box3D) -> ros.BoundingBox3D:
    """Build a vision_msgs/msg/BoundingBox3D: center, rotation and full sides, meters."""
    return factory(
        ros.BoundingBox3D,
        center=pose_message(factory, box.center_m, box.rotation_xyzw),
        size=vector_message(factory, box.size_m),
    )
