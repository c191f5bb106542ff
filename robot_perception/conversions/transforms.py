"""Conversion of tf2_msgs/msg/TFMessage to transforms."""

from __future__ import annotations

from typing import NamedTuple

from robot_perception.conversions import ros
from robot_perception.conversions.header import check_frame_id, read_header
from robot_perception.core import InputError, StampedTransform


class ReadTransforms(NamedTuple):
    """The valid transforms of a message, and an error message for each invalid one."""

    transforms: tuple[StampedTransform, ...]
    faults: tuple[str, ...]


def to_transforms(message: ros.TFMessage) -> ReadTransforms:
    """Convert a message of /tf or /tf_static.

    An invalid transform does not affect the others. It has an empty frame name, equal frames, a
    quaternion not of unit length, values that are not finite, or an invalid stamp.
    """
    transforms, faults = [], []
    for item in message.transforms:
        try:
            transforms.append(_transform(item))
        except InputError as error:  # noqa: PERF203 - each may fail
            faults.append(str(error))
    return ReadTransforms(tuple(transforms), tuple(faults))


def _transform(item: ros.TransformStamped) -> StampedTransform:
    stamp_ns, parent = read_header(item.header)
    check_frame_id('child_frame_id', item.child_frame_id)
    translation, rotation = item.transform.translation, item.transform.rotation
    return StampedTransform(
        parent=parent,
        child=item.child_frame_id,
        stamp_ns=stamp_ns,
        translation_m=(float(translation.x), float(translation.y), float(translation.z)),
        rotation_xyzw=(float(rotation.x), float(rotation.y), float(rotation.z), float(rotation.w)),
    )
