"""Conversion of masks to label images and their label table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from robot_perception.conversions import ros
from robot_perception.conversions.encodings import LABELS
from robot_perception.conversions.image import image_message
from robot_perception.conversions.messages import MessageFactory
from robot_perception.conversions.validation import check_image, MAX_PIXELS
from robot_perception.core import checked, InputError, Int32Array, Masks, UInt16Array

BACKGROUND = 'background'
OTHER = 'other'
_MAX_VALUE = 255


def instances_message(factory: MessageFactory, header: ros.Header, masks: Masks) -> ros.Image:
    """Build a mono16 image: 0 = background, otherwise the index of the detection + 1."""
    return image_message(factory, header, masks.instance_map(), 'mono16')


def to_instances(message: ros.Image, *, max_pixels: int = MAX_PIXELS) -> UInt16Array:
    """Convert an instance image to (H, W) uint16: 0 = background, otherwise index + 1.

    Raises:
        ConversionError: the message is malformed or not mono16; see `validation.check_image`.
    """
    return check_image(message, LABELS, max_pixels=max_pixels).pixels.astype(np.uint16)


def classes_message(
    factory: MessageFactory, header: ros.Header, masks: Masks, class_ids: Int32Array
) -> ros.Image:
    """Build a mono8 image: 0 = background, otherwise the class id + 1, at most 255.

    With more than 255 classes, the value 255 stands for all from the 255th on, and its name in
    `label_info_message` is 'other'. To distinguish these classes, look up the class of each
    instance of masks/instances in the detections.

    Args:
        factory: makes the message.
        header: header of the message.
        masks: N masks.
        class_ids: (N,) int32, index in the detector's label table, >= 0.
    """
    ids = checked('class_ids', class_ids, (len(masks),), np.int32, 'Pass one id for each mask.')
    if np.any(ids < 0):
        raise InputError(
            'out_of_range', f'class_ids: expected ids >= 0, got {ids.min()}. Drop such detections.'
        )
    values = np.minimum(ids.astype(np.int64) + 1, _MAX_VALUE).astype(np.uint8)
    return image_message(factory, header, masks.class_map(values), 'mono8')


def to_class_names(message: ros.LabelInfo) -> dict[int, str]:
    """Return index -> name of the detector's classes in a vision_msgs/msg/LabelInfo."""
    names = {int(one.class_id): str(one.class_name) for one in message.class_map}
    return {
        value - 1: name
        for value, name in names.items()
        if value > 0 and (value < _MAX_VALUE or name != OTHER)
    }


def label_info_message(
    factory: MessageFactory, header: ros.Header, class_names: Sequence[str], threshold: float
) -> ros.LabelInfo:
    """Build a vision_msgs/msg/LabelInfo: the name of each value of masks/classes.

    Args:
        factory: makes the message.
        header: header of the message.
        class_names: the detector's label table.
        threshold: minimum score of published detections, in [0, 1].
    """
    names = [BACKGROUND, *class_names]
    if len(names) > _MAX_VALUE + 1:
        names = [*names[:_MAX_VALUE], OTHER]
    return factory(
        ros.LabelInfo,
        header=header,
        class_map=[
            factory(ros.VisionClass, class_id=value, class_name=name)
            for value, name in enumerate(names)
        ],
        threshold=float(threshold),
    )
