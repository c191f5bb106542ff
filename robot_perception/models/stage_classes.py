"""The class of each stage that networks compute."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from robot_perception.core import Stage
from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.generative_detector import NetworkGenerativeDetector
from robot_perception.models.onnx_stage import NetworkOnnxDetector
from robot_perception.models.prompted_detector import NetworkPromptedDetector
from robot_perception.models.prompted_segmenter import NetworkPromptedSegmenter
from robot_perception.models.scene_classifier import (
    NetworkImageTextClassifier,
    NetworkSceneClassifier,
)
from robot_perception.models.semantic_stage import NetworkSemanticSegmenter
from robot_perception.models.sensor_depth_stage import NetworkSensorDepthEstimator
from robot_perception.models.stages import (
    NetworkDepthEstimator,
    NetworkDetector,
    NetworkFeatureExtractor,
    NetworkSegmenter,
    NetworkStage,
)

_NETWORK_STAGES: Mapping[Stage, type[NetworkStage[Any]]] = {
    Stage.FEATURES: NetworkFeatureExtractor,
    Stage.DEPTH: NetworkDepthEstimator,
    Stage.DETECTOR: NetworkDetector,
    Stage.SEGMENTER: NetworkSegmenter,
    Stage.SEMANTICS: NetworkSemanticSegmenter,
    Stage.SCENE: NetworkSceneClassifier,
}
_TEXT_STAGES: Mapping[Stage, type[NetworkStage[Any]]] = {
    Stage.DETECTOR: NetworkPromptedDetector,
    Stage.SEMANTICS: NetworkPromptedSegmenter,
    Stage.SCENE: NetworkImageTextClassifier,
}
"""Those of networks that take text."""


def stage_class(checkpoint: Checkpoint) -> type[Any]:
    """Return the class of the stage that a checkpoint was found for."""
    stage = Stage(checkpoint.task)
    if checkpoint.is_onnx:
        return NetworkOnnxDetector
    if checkpoint.takes_depth:
        return NetworkSensorDepthEstimator
    if checkpoint.writes_text:
        return NetworkGenerativeDetector
    return _TEXT_STAGES[stage] if checkpoint.takes_text else _NETWORK_STAGES[stage]
