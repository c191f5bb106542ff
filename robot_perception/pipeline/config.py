"""All parameters of the package: the node, the commands and the library read this declaration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
import logging
import os
from pathlib import Path

from robot_perception.core import ConfigError, Stage
from robot_perception.models import DEMO, DEMO_WORDS, is_demo, RUNTIME_CHOICES
from robot_perception.pipeline.choices import GpuOption, Precision, Preset
from robot_perception.pipeline.config_describer import DescriberConfig
from robot_perception.pipeline.config_sections import (
    BudgetConfig,
    CameraConfig,
    FramesConfig,
    InputConfig,
    PointsConfig,
    TrackingConfig,
)
from robot_perception.pipeline.config_stages import (
    DepthConfig,
    DetectorConfig,
    FeaturesConfig,
    SceneConfig,
    SegmenterConfig,
    SemanticsConfig,
    StageSection,
)
from robot_perception.pipeline.parameter_file import read_parameter_file
from robot_perception.pipeline.parameters import parameter, Section

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PerceptionConfig(Section):
    """All parameters."""

    preset: Preset = parameter(
        Preset.ROBOT, 'Set of defaults of the other parameters.', startup=True
    )
    device: str = parameter('auto', 'Device of the networks: auto, cpu, cuda or cuda:N.')
    runtime: str = parameter(
        'auto',
        'Library that computes the networks; auto = on a CPU the fastest that is installed, torch '
        'otherwise (docs/runtimes.md).',
        choices=RUNTIME_CHOICES,
    )
    precision: Precision = parameter(
        Precision.AUTO,
        'Precision of the networks; auto = fp16 on CUDA, bf16 on a CPU for networks that are '
        'faster with its instructions for bf16, fp32 otherwise.',
    )
    cpu_threads: int = parameter(
        0,
        "CPU threads of the networks; 0 = torch's default, one for each core. Leave cores to "
        'other processes of the robot, since torch waits for its slowest thread.',
        limits=(0, 1024),
    )
    parallel: bool = parameter(
        False,
        'Compute masks and features in parallel with boxes and depth, each with cpu_threads '
        'threads (so not 0 on a CPU). This is faster for small networks on a CPU with a spare '
        'core, and on a GPU. The image is encoded for masks even if nothing is detected.',
        live=True,
    )
    small_inputs: bool = parameter(
        False,
        'Compute features, depth, detector and segmenter at about 0.8 of both sides of their '
        'inputs, where a network takes inputs of another size: faster and less accurate.',
        live=True,
    )
    batch_cameras: GpuOption = parameter(
        GpuOption.AUTO,
        'Compute the newest images of several cameras together in each network; auto = on a GPU, '
        'where that takes less time than one after another.',
    )
    overlap_outputs: GpuOption = parameter(
        GpuOption.AUTO,
        'Make and publish the outputs of a frame on a second thread of the node, while the next '
        'frame is computed; auto = on a GPU. On a CPU the networks use all cores.',
    )
    autostart: bool = parameter(True, 'Configure and activate the node on startup.', startup=True)
    timing_window: int = parameter(
        200, 'Number of frames in the percentiles of timings.', unit='frames', limits=(1, 100000)
    )
    features: FeaturesConfig = field(default_factory=FeaturesConfig)
    depth: DepthConfig = field(default_factory=DepthConfig)
    detector: DetectorConfig = field(default_factory=DetectorConfig)
    segmenter: SegmenterConfig = field(default_factory=SegmenterConfig)
    semantics: SemanticsConfig = field(default_factory=SemanticsConfig)
    scene: SceneConfig = field(default_factory=SceneConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    points: PointsConfig = field(default_factory=PointsConfig)
    frames: FramesConfig = field(default_factory=FramesConfig)
    camera: CameraConfig = field(default_factory=CameraConfig)
    input: InputConfig = field(default_factory=InputConfig)
    budget: BudgetConfig = field(default_factory=BudgetConfig)
    describer: DescriberConfig = field(default_factory=DescriberConfig)

    def stage(self, stage: Stage) -> StageSection:
        """Return the section of a stage."""
        section: StageSection = getattr(self, stage.value)
        return section

    @property
    def has_masks(self) -> bool:
        """Whether detector and segmenter run."""
        return self.detector.enabled and self.segmenter.enabled

    @property
    def has_ground_classes(self) -> bool:
        """Whether the ground is found by the class of each pixel."""
        return self.semantics.enabled and bool(self.points.ground_names)

    @property
    def separates_ground(self) -> bool:
        """Whether the ground is found in some way."""
        return self.has_ground_classes or self.points.remove_ground

    def choose_runtime(self, stage: Stage) -> str:
        """Return the runtime that a stage or all stages are given."""
        own = self.stage(stage).runtime
        return self.runtime if own == 'auto' else own

    def choose_precision(self, stage: Stage) -> Precision:
        """Return the precision that a stage or all stages are given."""
        own = self.stage(stage).precision
        return self.precision if own is Precision.AUTO else own

    def check_change(self, other: PerceptionConfig) -> None:
        """Check that ``other`` may replace this configuration while its networks are loaded.

        Raises:
            ConfigError: a parameter has changed that is not live.
        """
        current = self.to_values()
        for item in other.parameters():
            if item.default != current[item.name] and not item.constraint.live:
                raise ConfigError(
                    'fixed_parameter',
                    f'{item.name}: fixed at {current[item.name]!r} while the networks are loaded. '
                    'Make a new pipeline; a node accepts it after cleanup, before configure.',
                )

    def with_backends(self, backends: Mapping[str, str]) -> PerceptionConfig:
        """Return the configuration that computes stages as ``backends`` of a pipeline state."""
        values: dict[str, object] = {}
        for stage, backend in backends.items():
            values[f'{stage}.runtime'], values[f'{stage}.precision'] = backend.split(' ')
        return self.with_values(values)

    @property
    def caveat(self) -> str:
        """Warning about the results of these models; empty if there is none."""
        if not any(is_demo(self.stage(stage).model) for stage in Stage):
            return ''
        return (
            'These networks are small and were trained on the demo world only: on other images '
            'their boxes and distances mean nothing. For those run '
            '"robot-perception models pull --preset robot" (or cpu) and use --preset robot.'
        )

    @property
    def caption(self) -> str:
        """The caveat in a few words, for pictures; empty if there is none."""
        return 'demo networks: no meaning outside of the demo world' if self.caveat else ''

    @classmethod
    def from_preset(
        cls, name: str, overrides: Mapping[str, object] | None = None
    ) -> PerceptionConfig:
        """Create the configuration of a preset, with overrides: dotted name -> value.

        With prompts, the preset demo has the detector of the package that takes them.

        Raises:
            ConfigError: the preset is unknown, or an override is invalid.
        """
        if name not in PRESETS:
            raise ConfigError(
                'unknown_name', f'Unknown preset {name!r}. Available: {", ".join(PRESETS)}.'
            )
        preset = Preset(name)
        values = {**PRESETS[preset], **(overrides or {})}
        if preset is Preset.DEMO and values.get('detector.prompts'):
            values = {**PRESETS[preset], **_DEMO_PROMPTED, **(overrides or {})}
        return cls(preset=preset).with_values(values)

    @classmethod
    def from_file(
        cls, path: str | os.PathLike[str], overrides: Mapping[str, object] | None = None
    ) -> PerceptionConfig:
        """Read a ROS parameter file, as the node does, with overrides as in `from_preset`.

        Parameters of other names are logged and ignored, since nodes may share a file.

        Raises:
            ConfigError: the file is missing or no parameter file, or a value is invalid.
        """
        values = read_parameter_file(Path(path))
        known = cls().to_values()
        ignored = cls().describe_ignored(values)
        if ignored:
            _LOG.warning('%s: %s', path, ignored)
        values = {name: value for name, value in values.items() if name in known}
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
    Preset.WORDS: {
        'detector.model': 'openmmlab-community/mm_grounding_dino_tiny_o365v1_goldg_v3det',
        'detector.prompts': 'person, chair, table, cup, bottle, book',
        'detector.threshold': 0.3,
        'semantics.enabled': True,
        'semantics.model': 'tue-mps/coco_panoptic_eomt_small_640_2x',
        'scene.enabled': True,
        'scene.labels': 'kitchen, living room, bedroom, office, corridor, warehouse, street',
        'scene.every_k': 10,
        'describer.model': 'HuggingFaceTB/SmolVLM2-500M-Video-Instruct',
    },
    Preset.DEMO: {
        # Compiling for another runtime would take longer than the first demo, and the demo gives
        # the same results on every processor.
        'runtime': 'torch',
        'precision': 'fp32',
        'cpu_threads': 1,
        'parallel': True,
        'features.model': DEMO,
        'depth.model': DEMO,
        'detector.model': DEMO,
        'detector.threshold': 0.4,
        'detector.max_overlap': 0.7,
        'segmenter.model': DEMO,
        'segmenter.input_size': 352,
    },
    Preset.STUB: {
        'features.model': 'stub',
        'depth.model': 'stub',
        'detector.model': 'stub',
        'segmenter.model': 'stub',
        'semantics.model': 'stub',
        'scene.model': 'stub',
    },
}
"""The values in which each preset differs from the declared defaults.

``robot`` has all declared defaults, as in config/perception.yaml. ``cpu`` has small inputs, a
light detector, and features on every fifth frame. ``words`` detects what prompts describe, finds
the class of every pixel and of the scene, and answers questions. ``demo`` runs the small
checkpoints of this package. ``stub`` computes simple functions of the pixels, for tests and dry
runs.
"""

# Of the preset demo with prompts. docs/demo_models.md states how the threshold was chosen.
_DEMO_PROMPTED: Mapping[str, object] = {'detector.model': DEMO_WORDS, 'detector.threshold': 0.39}
