"""Conversion of the classes of a whole image to vision_msgs, and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from robot_perception.conversions import ros
from robot_perception.conversions.messages import MessageFactory
from robot_perception.core import SceneClasses


def scene_class_message(
    factory: MessageFactory, header: ros.Header, classes: SceneClasses
) -> ros.Classification:
    """Build a vision_msgs/msg/Classification; ``class_id`` is the name of the class."""
    return factory(
        ros.Classification, header=header, results=hypothesis_messages(factory, classes)
    )


def hypothesis_messages(
    factory: MessageFactory, classes: SceneClasses
) -> list[ros.ObjectHypothesis]:
    """Build a vision_msgs/msg/ObjectHypothesis for each class, best first."""
    return [
        factory(ros.ObjectHypothesis, class_id=name, score=score)
        for name, score in zip(classes.names, classes.scores.tolist(), strict=True)
    ]


def scene_labels_message(
    factory: MessageFactory, header: ros.Header, names: Sequence[str]
) -> ros.LabelInfo:
    """Build a vision_msgs/msg/LabelInfo: the classes of the whole image, numbered from 0."""
    return factory(
        ros.LabelInfo,
        header=header,
        class_map=[
            factory(ros.VisionClass, class_id=number, class_name=name)
            for number, name in enumerate(names)
        ],
        threshold=0.0,
    )


def to_scene_classes(results: Sequence[ros.ObjectHypothesis]) -> SceneClasses | None:
    """Convert the classes in a message, which does not name their network; None without any.

    Raises:
        InputError: the scores are outside of [0, 1], or not in descending order.
    """
    if not len(results):
        return None
    scores = np.array([one.score for one in results], np.float32)
    return SceneClasses('', tuple(one.class_id for one in results), scores)
