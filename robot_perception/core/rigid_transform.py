"""Transforms object positions and points into another frame.

Boxes stay oriented boxes: their pose changes, their side lengths do not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

import numpy as np

from robot_perception.core.box3d import Box3D, Vector3
from robot_perception.core.labeled_points import LabeledPoints
from robot_perception.core.pointcloud import PointCloud
from robot_perception.core.pose import Pose
from robot_perception.core.rotation import quaternion_to_matrix
from robot_perception.core.scene_object import ObjectPosition, SceneObject

_Points = TypeVar('_Points', LabeledPoints, PointCloud)


def transform_box(box: Box3D, target_from_source: Pose) -> Box3D:
    """Apply a rigid transform to a box."""
    frame_from_box = Pose(
        quaternion_to_matrix(box.rotation_xyzw), np.array(box.center_m, np.float64)
    )
    target_from_box = target_from_source.compose(frame_from_box)
    return Box3D(target_from_box.vector, box.size_m, target_from_box.quaternion_xyzw)


def transform_objects(
    objects: Iterable[SceneObject], target_from_source: Pose
) -> tuple[SceneObject, ...]:
    """Apply a rigid transform to the positions of objects; covariances become R C R^T.

    Their depth stays that along the optical axis of the camera.
    """
    return tuple(
        item
        if item.position is None
        else replace(item, position=_position(item.position, target_from_source))
        for item in objects
    )


def transform_points(points: _Points, target_from_source: Pose) -> _Points:
    """Apply a rigid transform to points, in double precision."""
    source = points.xyz_m.astype(np.float64, order='C')
    xyz = target_from_source.apply(source).astype(np.float32)
    return replace(points, xyz_m=xyz)


def _position(position: ObjectPosition, target_from_source: Pose) -> ObjectPosition:
    rotation = target_from_source.rotation
    return replace(
        position,
        centroid_m=_point(position.centroid_m, target_from_source),
        points_covariance_m2=rotation @ position.points_covariance_m2 @ rotation.T,
        covariance_m2=None
        if position.covariance_m2 is None
        else rotation @ position.covariance_m2 @ rotation.T,
        box=transform_box(position.box, target_from_source),
        velocity_mps=None
        if position.velocity_mps is None
        else _point(position.velocity_mps, Pose(rotation, np.zeros(3))),
    )


def _point(point_m: Vector3, target_from_source: Pose) -> Vector3:
    x, y, z = target_from_source.apply(np.array(point_m, np.float64)).tolist()
    return x, y, z
