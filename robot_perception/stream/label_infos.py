"""Names of classes as messages, for topics that are latched."""

from __future__ import annotations

from robot_perception import conversions
from robot_perception.conversions import Message, MessageFactory
from robot_perception.pipeline import PerceptionPipeline

LABEL_INFO, SCENE_LABEL_INFO = 'label_info', 'scene_class/label_info'
SEMANTIC_LABEL_INFO = 'semantics/label_info'
LABEL_INFO_TYPE = 'vision_msgs/msg/LabelInfo'


def label_info_messages(
    factory: MessageFactory, header: Message, pipeline: PerceptionPipeline
) -> dict[str, Message]:
    """Return topic -> message: the classes of the detector, of pixels and of the whole image.

    Args:
        factory: makes the messages.
        header: with the stamp.
        pipeline: its networks and parameters in force.
    """
    threshold = pipeline.config.detector.threshold
    messages: dict[str, Message] = {
        LABEL_INFO: conversions.label_info_message(
            factory, header, pipeline.class_names, threshold
        )
    }
    if pipeline.semantic_class_names:
        messages[SEMANTIC_LABEL_INFO] = conversions.semantic_label_info_message(
            factory, header, pipeline.semantic_class_names
        )
    if pipeline.scene_labels:
        messages[SCENE_LABEL_INFO] = conversions.scene_labels_message(
            factory, header, pipeline.scene_labels
        )
    return messages
