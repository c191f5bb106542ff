"""Names of classes as messages, for topics that are latched."""

from __future__ import annotations

from typing import NamedTuple

from robot_perception import conversions
from robot_perception.conversions import Message, MessageFactory
from robot_perception.pipeline import PerceptionPipeline

LABEL_INFO, SCENE_LABEL_INFO = 'label_info', 'scene_class/label_info'
SEMANTIC_LABEL_INFO = 'semantics/label_info'
LABEL_INFO_TYPE = 'vision_msgs/msg/LabelInfo'


class ClassNames(NamedTuple):
    """Names of classes by number; they may get more while frames are processed."""

    detector: tuple[str, ...]
    pixels: tuple[str, ...]
    scene: tuple[str, ...]

    @classmethod
    def of(cls, pipeline: PerceptionPipeline) -> ClassNames:
        """Return those that a pipeline has at this time."""
        return cls(pipeline.class_names, pipeline.semantic_class_names, pipeline.scene_labels)


def label_info_messages(
    factory: MessageFactory, header: Message, names: ClassNames, threshold: float
) -> dict[str, Message]:
    """Return topic -> message: the classes of the detector, of pixels and of the whole image.

    Args:
        factory: makes the messages.
        header: with the stamp.
        names: of the classes.
        threshold: minimum score of a detection.
    """
    messages: dict[str, Message] = {
        LABEL_INFO: conversions.label_info_message(factory, header, names.detector, threshold)
    }
    if names.pixels:
        messages[SEMANTIC_LABEL_INFO] = conversions.semantic_label_info_message(
            factory, header, names.pixels
        )
    if names.scene:
        messages[SCENE_LABEL_INFO] = conversions.scene_labels_message(factory, header, names.scene)
    return messages
