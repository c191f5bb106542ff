"""Loading of the networks that a configuration names."""

from __future__ import annotations

from typing import Any, NamedTuple

from robot_perception import models
from robot_perception.core import Stage
from robot_perception.models import DepthEstimator, Detector, FeatureExtractor, Segmenter
from robot_perception.pipeline.config import PerceptionConfig


class Networks(NamedTuple):
    """Networks by stage; None for a stage that needs none."""

    features: FeatureExtractor | None = None
    depth: DepthEstimator | None = None
    detector: Detector | None = None
    segmenter: Segmenter | None = None

    @property
    def loaded(self) -> tuple[Stage, ...]:
        """Stages that have a network."""
        return tuple(stage for stage in Stage if getattr(self, stage.value) is not None)


def load_networks(config: PerceptionConfig) -> Networks:
    """Load the networks of a configuration.

    Raises:
        ModelError: a checkpoint is missing or unusable, or the device is not there.

    """
    if config.cpu_threads > 0:
        models.limit_cpu_threads(config.cpu_threads)
    build: dict[Stage, Any] = {
        Stage.FEATURES: models.build_feature_extractor,
        Stage.DEPTH: models.build_depth_estimator,
        Stage.DETECTOR: models.build_detector,
        Stage.SEGMENTER: models.build_segmenter,
    }
    networks = {}
    for stage in networks_needed(config):
        section = config.stage(stage)
        networks[stage.value] = build[stage](
            section.model,
            device=config.device,
            precision=config.precision.value,
            input_size=section.input_size,
        )
    return Networks(**networks)


def networks_needed(config: PerceptionConfig) -> tuple[Stage, ...]:
    """Return the stages that need a network, in the order they run."""
    return tuple(
        stage
        for stage in Stage
        if config.stage(stage).enabled
        and (stage is not Stage.DEPTH or config.depth.source.uses_network)
    )
