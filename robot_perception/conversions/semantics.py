"""Conversion of the classes of pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from robot_perception.conversions import ros
from robot_perception.conversions.encodings import LABELS
from robot_perception.conversions.image import image_message
from robot_perception.conversions.messages import MessageFactory
from robot_perception.conversions.pointcloud import LABEL_RECORD
from robot_perception.conversions.validation import check_image, MAX_PIXELS
from robot_perception.core import AnyArray, InputError, NO_CLASS, Semantics, UInt16Array

# With more classes, ids and the value for none do not fit in 8 bits.
_MAX_MONO8 = 255


def semantic_classes_message(
    factory: MessageFactory, header: ros.Header, semantics: Semantics
) -> ros.Image:
    """Build an image of class ids: mono8, 255 = none; with more than 255 classes mono16, 65535."""
    if len(semantics.class_names) > _MAX_MONO8:
        return image_message(factory, header, semantics.classes, 'mono16')
    # 65535 becomes 255.
    return image_message(factory, header, semantics.classes.astype(np.uint8), 'mono8')


def semantic_instances_message(
    factory: MessageFactory, header: ros.Header, instances: UInt16Array
) -> ros.Image:
    """Build a mono16 image of the numbers of objects; 0 = no single object."""
    return image_message(factory, header, instances, 'mono16')


def semantic_label_info_message(
    factory: MessageFactory, header: ros.Header, class_names: Sequence[str]
) -> ros.LabelInfo:
    """Build a vision_msgs/msg/LabelInfo: the name of each class id."""
    return factory(
        ros.LabelInfo, header=header, class_map=_class_map(factory, class_names), threshold=0.0
    )


def semantics_message(
    factory: MessageFactory, header: ros.Header, semantics: Semantics
) -> ros.Semantics:
    """Build a robot_perception/msg/Semantics."""
    instances = semantics.instances
    return factory(
        ros.Semantics,
        header=header,
        model=semantics.model,
        class_map=_class_map(factory, semantics.class_names),
        classes=image_message(factory, header, semantics.classes, 'mono16'),
        instances=[]
        if instances is None
        else [semantic_instances_message(factory, header, instances)],
    )


def to_semantics(message: ros.Semantics) -> Semantics:
    """Convert a robot_perception/msg/Semantics.

    Raises:
        InputError: an image is malformed, or a class has no name or no number from 0.
    """
    names = {int(one.class_id): str(one.class_name) for one in message.class_map}
    if set(names) != set(range(len(names))):
        raise InputError(
            'wrong_numbers',
            f'class_map: expected the classes to be numbered from 0, got {sorted(names)[:5]}.',
        )
    return Semantics(
        str(message.model),
        _labels(message.classes),
        tuple(names[index] for index in range(len(names))),
        _labels(message.instances[0]) if len(message.instances) else None,
    )


def semantic_labels(semantics: Semantics) -> AnyArray:
    """Return the class id + 1 and the number of the object of each pixel, both 0 for none.

    (H, W) records of `pointcloud.label_table`.
    """
    labels = np.zeros(semantics.size_hw, LABEL_RECORD)
    # 65535 becomes 0.
    labels['label'] = semantics.classes + np.uint16(1)
    if semantics.instances is not None:
        labels['instance'] = semantics.instances
    return labels


def _labels(message: ros.Image) -> UInt16Array:
    return check_image(message, LABELS, max_pixels=MAX_PIXELS).pixels.astype(np.uint16)


def _class_map(factory: MessageFactory, names: Sequence[str]) -> list[ros.VisionClass]:
    return [
        factory(ros.VisionClass, class_id=index, class_name=name)
        for index, name in enumerate(names[:NO_CLASS])
    ]
