"""Conversion of detections to vision_msgs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from robot_perception.conversions import ros
from robot_perception.conversions.geometry import box_2d_message, box_3d_message, pose_message
from robot_perception.conversions.messages import MessageFactory
from robot_perception.core import Detections, Float64Array, ObjectPosition, SceneObject

_ORIGIN = (0.0, 0.0, 0.0)
# Variance of an angle with uniform distribution over a full turn, square radians.
_UNIFORM_ANGLE_VARIANCE = np.pi**2 / 3


def detections_2d_message(
    factory: MessageFactory, header: ros.Header, detections: Detections
) -> ros.Detection2DArray:
    """Build a vision_msgs/msg/Detection2DArray.

    ``class_id`` is the name of the class, ``id`` the track id or empty. The pose of a result is
    unknown in 2D and set to the origin with covariance 0.
    """
    unknown = _pose_with_covariance(factory, pose_message(factory, _ORIGIN), np.zeros((6, 6)))
    tracks = detections.track_ids
    rows = zip(
        detections.boxes_xyxy.tolist(),
        detections.class_names,
        detections.scores.tolist(),
        [''] * len(detections) if tracks is None else map(str, tracks.tolist()),
        strict=True,
    )
    return factory(
        ros.Detection2DArray,
        header=header,
        detections=[
            factory(
                ros.Detection2D,
                header=header,
                results=[_result(factory, name, score, unknown)],
                bbox=box_2d_message(factory, box),
                id=track,
            )
            for box, name, score, track in rows
        ],
    )


def detections_3d_message(
    factory: MessageFactory, header: ros.Header, objects: Sequence[SceneObject]
) -> ros.Detection3DArray:
    """Build a vision_msgs/msg/Detection3DArray of the objects with a position.

    ``bbox`` is the box around the object's points. The pose of the only result has their
    centroid as position and the rotation of the box. The first three rows and columns of its
    covariance are the uncertainty of the centroid, square meters, and NaN if it is unknown: zeros
    would mean a position without error. The rotation is not estimated: its variance
    is that of a uniform distribution over all angles, pi^2 / 3 square radians.

    Args:
        factory: makes the messages.
        header: of the frame of the positions.
        objects: those without a position are skipped.
    """
    return factory(
        ros.Detection3DArray,
        header=header,
        detections=[
            factory(
                ros.Detection3D,
                header=header,
                results=[
                    _result(factory, item.class_name, item.score, _pose(factory, item.position))
                ],
                bbox=box_3d_message(factory, item.position.box),
                id='' if item.track_id is None else str(item.track_id),
            )
            for item in objects
            if item.position is not None
        ],
    )


def _pose(factory: MessageFactory, position: ObjectPosition) -> ros.PoseWithCovariance:
    covariance = np.diag([0.0, 0.0, 0.0, *[_UNIFORM_ANGLE_VARIANCE] * 3])
    known = position.covariance_m2
    covariance[:3, :3] = np.nan if known is None else known
    pose = pose_message(factory, position.centroid_m, position.box.rotation_xyzw)
    return _pose_with_covariance(factory, pose, covariance)


def _pose_with_covariance(
    factory: MessageFactory, pose: ros.Pose, covariance: Float64Array
) -> ros.PoseWithCovariance:
    return factory(ros.PoseWithCovariance, pose=pose, covariance=covariance.reshape(-1))


def _result(
    factory: MessageFactory, name: str, score: float, pose: ros.PoseWithCovariance
) -> ros.ObjectHypothesisWithPose:
    hypothesis = factory(ros.ObjectHypothesis, class_id=name, score=float(score))
    return factory(ros.ObjectHypothesisWithPose, hypothesis=hypothesis, pose=pose)
