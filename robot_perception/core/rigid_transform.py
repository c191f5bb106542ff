"""What is known of a place, said in another frame.

A box keeps its shape: its pose is moved, and its sides stay those along its own axes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from robot_perception.core.box3d import Box3D, Vector3
from robot_perception.core.labelled_points import LabelledPoints
from robot_perception.core.pose import Pose
from robot_perception.core.rotation import quaternion_to_matrix
from robot_perception.core.scene import ObjectPosition, SceneObject


def transform_box(box: Box3D, pose: Pose) -> Box3D:
    """Carry a box over by a rigid transform."""
    turn = Pose(quaternion_to_matrix(box.rotation_xyzw), np.array(box.center_m, np.float64))
    moved = pose.compose(turn)
    return Box3D(moved.vector, box.size_m, moved.quaternion_xyzw)


def transform_objects(objects: Iterable[SceneObject], pose: Pose) -> tuple[SceneObject, ...]:
    """Carry the places of objects over; the spread turns with them, R C R^T.

    Their depth stays the one along the optical axis of the camera.
    """
    return tuple(
        item if item.position is None else replace(item, position=_moved(item.position, pose))
        for item in objects
    )


def transform_points(points: LabelledPoints, pose: Pose) -> LabelledPoints:
    """Carry points over, in double precision."""
    xyz = pose.apply(points.xyz_m.astype(np.float64)).astype(np.float32)
    return replace(points, xyz_m=xyz)


def _moved(position: ObjectPosition, pose: Pose) -> ObjectPosition:
    turn = pose.rotation
    return replace(
        position,
        centroid_m=_carried(position.centroid_m, pose),
        covariance_m2=turn @ position.covariance_m2 @ turn.T,
        box=transform_box(position.box, pose),
        velocity_mps=None
        if position.velocity_mps is None
        else _carried(position.velocity_mps, Pose(turn, np.zeros(3))),
    )


def _carried(point_m: Vector3, pose: Pose) -> Vector3:
    x, y, z = pose.apply(np.array(point_m, np.float64)).tolist()
    return x, y, z
