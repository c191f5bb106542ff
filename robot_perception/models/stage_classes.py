"""The class of each stage that networks compute."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from robot_perception.core import Stage
from robot_perception.models.prompted_detector import NetworkPromptedDetector
from robot_perception.models.prompted_segmenter import NetworkPromptedSegmenter
from robot_perception.models.scene_classifier import (
    NetworkImageTextClassifier,
    NetworkSceneClassifier,
)
from robot_perception.models.semantic_stage import NetworkSemanticSegmenter
from robot_perception.models.stages import (
    NetworkDepthEstimator,
    NetworkDetector,
    NetworkFeatureExtractor,
    NetworkSegmenter,
    NetworkStage,
)

NETWORK_STAGES: Mapping[Stage, type[NetworkStage[Any]]] = {
    Stage.FEATURES: NetworkFeatureExtractor,
    Stage.DEPTH: NetworkDepthEstimator,
    Stage.DETECTOR: NetworkDetector,
    Stage.SEGMENTER: NetworkSegmenter,
    Stage.SEMANTICS: NetworkSemanticSegmenter,
    Stage.SCENE: NetworkSceneClassifier,
}
TEXT_STAGES: Mapping[Stage, type[NetworkStage[Any]]] = {
    Stage.DETECTOR: NetworkPromptedDetector,
    Stage.SEMANTICS: NetworkPromptedSegmenter,
    Stage.SCENE: NetworkImageTextClassifier,
}
"""Those of networks that take text."""
