"""All parameters of the package: the node, the commands and the library read this declaration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
import os
from pathlib import Path

from robot_perception.core import ConfigError, Stage
from robot_perception.pipeline.choices import Precision, Preset
from robot_perception.pipeline.config_sections import (
    CameraConfig,
    DepthConfig,
    DetectorConfig,
    FeaturesConfig,
    FramesConfig,
    InputConfig,
    PointsConfig,
    SegmenterConfig,
    StageSection,
    TrackingConfig,
)
from robot_perception.pipeline.parameter_file import read_parameter_file
from robot_perception.pipeline.parameters import parameter, Section


@dataclass(frozen=True, slots=True)
class PerceptionConfig(Section):
    """Everything that can be set."""

    preset: Preset = parameter(
        Preset.ROBOT,
        'Set of defaults that the other parameters start from.',
        startup=True,
    )
    device: str = parameter('auto', 'Where networks run: auto, cpu, cuda or cuda:N.')
    precision: Precision = parameter(
        Precision.AUTO,
        'Arithmetic of the networks; auto = fp16 on CUDA, fp32 otherwise.',
    )
    cpu_threads: int = parameter(
        0,
        "Threads of the CPU that networks use; 0 = torch's choice, one for each core. Leave cores "
        'to the rest of the robot: torch waits for its slowest thread.',
        low=0,
        high=1024,
    )
    parallel: bool = parameter(
        False,
        'Make masks and features beside boxes and depth, each with cpu_threads threads (so not '
        '0). Small networks on a CPU with a core to spare gain by it; on a GPU nothing does. An '
        'image in which nothing is found is encoded for masks in vain.',
        live=True,
    )
    autostart: bool = parameter(
        True, 'Configure and activate the node when it starts.', startup=True
    )
    timing_window: int = parameter(
        200, 'Frames that percentiles of time are taken over.', unit='frames', low=1, high=100000
    )
    features: FeaturesConfig = field(default_factory=FeaturesConfig)
    depth: DepthConfig = field(default_factory=DepthConfig)
    detector: DetectorConfig = field(default_factory=DetectorConfig)
    segmenter: SegmenterConfig = field(default_factory=SegmenterConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    points: PointsConfig = field(default_factory=PointsConfig)
    frames: FramesConfig = field(default_factory=FramesConfig)
    camera: CameraConfig = field(default_factory=CameraConfig)
    input: InputConfig = field(default_factory=InputConfig)

    def stage(self, stage: Stage) -> StageSection:
        """Return the section of a stage."""
        section: StageSection = getattr(self, stage.value)
        return section

    @property
    def caveat(self) -> str:
        """What has to be known before results are believed; empty for nothing."""
        if 'demo' not in {self.stage(stage).model for stage in Stage}:
            return ''
        return (
            'These networks are small and know the demo world only: on other pictures their '
            'boxes and metres mean nothing. For those run '
            '"robot-perception models pull --preset robot" (or cpu) and use --preset robot.'
        )

    @classmethod
    def from_preset(
        cls, name: str, overrides: Mapping[str, object] | None = None
    ) -> PerceptionConfig:
        """Start from a named set of values.

        Args:
            name: robot, cpu, demo or stub; see `PRESETS`.
            overrides: dotted name -> value, on top of the preset.

        Raises:
            ConfigError: no such preset, or an override that is refused.

        """
        if name not in PRESETS:
            raise ConfigError(
                'unknown_preset', f'Unknown preset {name!r}. Available: {", ".join(PRESETS)}.'
            )
        preset = Preset(name)
        return cls(preset=preset).with_values({**PRESETS[preset], **(overrides or {})})

    @classmethod
    def from_file(
        cls, path: str | os.PathLike[str], overrides: Mapping[str, object] | None = None
    ) -> PerceptionConfig:
        """Read a ROS parameter file, the same that the node takes.

        Args:
            path: YAML with ``ros__parameters`` under one node name, for example ``/**``.
            overrides: dotted name -> value, on top of the file.

        Raises:
            ConfigError: the file is missing, is not such a file, or a value is refused.

        """
        values = read_parameter_file(Path(path))
        preset = values.pop('preset', 'robot')
        return cls.from_preset(str(preset), {**values, **(overrides or {})})


PRESETS: Mapping[Preset, Mapping[str, object]] = {
    Preset.ROBOT: {},
    Preset.CPU: {
        'features.input_size': 224,
        'features.every_k': 5,
        'depth.input_size': 252,
        'detector.model': 'ustc-community/dfine-nano-coco',
        'detector.max_objects': 8,
        'segmenter.input_size': 512,
    },
    Preset.DEMO: {
        'cpu_threads': 1,
        'parallel': True,
        'features.model': 'demo',
        'depth.model': 'demo',
        'detector.model': 'demo',
        'detector.max_overlap': 0.7,
        'segmenter.model': 'demo',
        'segmenter.input_size': 352,
    },
    Preset.STUB: {
        'features.model': 'stub',
        'depth.model': 'stub',
        'detector.model': 'stub',
        'segmenter.model': 'stub',
    },
}
"""The values in which each preset differs from the declared defaults.

``robot`` is what config/perception.yaml spells out. ``cpu`` is the cheap profile: small inputs,
a light detector, features on every fifth frame. ``demo`` are the package's own small
checkpoints. ``stub`` computes simple functions of the pixels, for tests and dry runs.
"""
