"""The networks that a configuration names."""

from __future__ import annotations

from typing import Any, NamedTuple

from robot_perception import models
from robot_perception.models import (
    DepthEstimator,
    Detector,
    FeatureExtractor,
    Segmenter,
)
from robot_perception.pipeline.config import PerceptionConfig


class Networks(NamedTuple):
    """One network for each stage; None where the stage does not need one."""

    features: FeatureExtractor | None = None
    depth: DepthEstimator | None = None
    detector: Detector | None = None
    segmenter: Segmenter | None = None


def load_networks(config: PerceptionConfig) -> Networks:
    """Load the networks of a configuration.

    Raises:
        ModelError: a checkpoint is missing or unusable, or the device is not there.

    """
    if config.cpu_threads > 0:
        models.limit_cpu_threads(config.cpu_threads)
    place = {'device': config.device, 'precision': config.precision}
    build: dict[str, Any] = {
        'features': models.build_feature_extractor,
        'depth': models.build_depth_estimator,
        'detector': models.build_detector,
        'segmenter': models.build_segmenter,
    }
    networks = {}
    for name in networks_needed(config):
        section = getattr(config, name)
        networks[name] = build[name](section.model, input_size=section.input_size, **place)
    return Networks(**networks)


def networks_needed(config: PerceptionConfig) -> tuple[str, ...]:
    """Stages whose networks the configuration calls for, in the order they run."""
    return tuple(
        name
        for name in Networks._fields
        if getattr(config, name).enabled
        and not (name == 'depth' and config.depth.source == 'sensor')
    )
