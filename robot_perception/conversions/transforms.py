"""tf2_msgs/msg/TFMessage to transforms."""

from __future__ import annotations

from typing import NamedTuple

from robot_perception.conversions import ros
from robot_perception.conversions.header import check_frame_id, read_header
from robot_perception.core import InputError, StampedTransform


class ReadTransforms(NamedTuple):
    """What a message tells: the transforms that are sound, and what is wrong with the others."""

    transforms: tuple[StampedTransform, ...]
    faults: tuple[str, ...]


def to_transforms(message: ros.TFMessage) -> ReadTransforms:
    """Read a message of /tf or /tf_static, of rclpy or of rosbags.

    One bad transform costs none of the others. It is bad with a frame without a name or within
    itself, with a quaternion that is not of length 1, with numbers that are not finite, and
    with a stamp that ROS does not have.
    """
    transforms, faults = [], []
    for item in message.transforms:
        try:
            transforms.append(_transform(item))
        except InputError as error:  # noqa: PERF203 - each may fail for itself
            faults.append(str(error))
    return ReadTransforms(tuple(transforms), tuple(faults))


def _transform(item: ros.TransformStamped) -> StampedTransform:
    stamp_ns, parent = read_header(item.header)
    check_frame_id('child_frame_id', item.child_frame_id)
    shift, turn = item.transform.translation, item.transform.rotation
    return StampedTransform(
        parent=parent,
        child=item.child_frame_id,
        stamp_ns=stamp_ns,
        translation_m=(float(shift.x), float(shift.y), float(shift.z)),
        rotation_xyzw=(float(turn.x), float(turn.y), float(turn.z), float(turn.w)),
    )
