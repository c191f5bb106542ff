"""Every parameter of the package, once: the node, the commands and the library read this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
import os
from pathlib import Path
from typing import ClassVar

from robot_perception.core import ConfigError
from robot_perception.pipeline.parameter_file import read_parameter_file
from robot_perception.pipeline.parameters import check_fields, parameter, with_values

_ROBOT_FEATURES = 'facebook/dinov2-small'
_ROBOT_DEPTH = 'depth-anything/Depth-Anything-V2-Metric-Indoor-Small-hf'
_ROBOT_DETECTOR = 'facebook/detr-resnet-50'
_ROBOT_SEGMENTER = 'facebook/sam2.1-hiera-tiny'

_MODEL = 'Catalogue name, folder of a checkpoint, demo, or stub.'
_INPUT_SIZE = (
    'Side of the network input: the short side where the aspect is kept, the side of the square '
    "otherwise; 0 = the checkpoint's own."
)
_EVERY_K = 'Run on every k-th frame; the frames between carry no result of this stage.'
_ENABLED = 'Run this stage.'


@dataclass(frozen=True, slots=True)
class FeaturesConfig:
    """Scene encoder."""

    SECTION: ClassVar[str] = 'features'

    enabled: bool = parameter(True, _ENABLED, live=True)
    model: str = parameter(_ROBOT_FEATURES, _MODEL)
    input_size: int = parameter(0, _INPUT_SIZE, unit='pixels', low=0, high=4096)
    every_k: int = parameter(1, _EVERY_K, unit='frames', low=1, high=10000, live=True)
    publish_patches: bool = parameter(
        False, 'Send the patch grid along with the global vector.', live=True
    )

    def __post_init__(self) -> None:
        """Check once at the door."""
        check_fields(self)


@dataclass(frozen=True, slots=True)
class DepthConfig:
    """Depth of every pixel."""

    SECTION: ClassVar[str] = 'depth'

    enabled: bool = parameter(True, _ENABLED, live=True)
    source: str = parameter(
        'model',
        'Where metres come from: the network, a depth camera, or both: '
        'the network scaled to the camera, whose holes it fills.',
        choices=('model', 'sensor', 'fused'),
    )
    model: str = parameter(_ROBOT_DEPTH, _MODEL)
    input_size: int = parameter(0, _INPUT_SIZE, unit='pixels', low=0, high=4096)
    every_k: int = parameter(1, _EVERY_K, unit='frames', low=1, high=10000, live=True)
    max_offset_s: float = parameter(
        0.02,
        'Largest difference between the stamps of an image and of the sensor depth used for it.',
        unit='seconds',
        low=0.0,
        high=10.0,
        live=True,
    )
    max_wait_s: float = parameter(
        0.1,
        'How long an image waits for the sensor depth that belongs to it; then it goes on '
        'without 3D.',
        unit='seconds',
        low=0.0,
        high=10.0,
        live=True,
    )

    def __post_init__(self) -> None:
        """Check once at the door."""
        check_fields(self)


@dataclass(frozen=True, slots=True)
class DetectorConfig:
    """Objects in the picture."""

    SECTION: ClassVar[str] = 'detector'

    enabled: bool = parameter(True, _ENABLED, live=True)
    model: str = parameter(_ROBOT_DETECTOR, _MODEL)
    input_size: int = parameter(0, _INPUT_SIZE, unit='pixels', low=0, high=4096)
    every_k: int = parameter(1, _EVERY_K, unit='frames', low=1, high=10000, live=True)
    threshold: float = parameter(
        0.5, 'Objects that score below are dropped.', low=0.0, high=1.0, live=True
    )
    max_objects: int = parameter(
        20, 'Most objects of one frame, best first.', low=1, high=1000, live=True
    )
    max_overlap: float = parameter(
        0.85,
        'Of two boxes that overlap by more than this share (IoU), whatever their classes, the one '
        'that scores lower is dropped; 1 = none.',
        low=0.0,
        high=1.0,
        live=True,
    )

    def __post_init__(self) -> None:
        """Check once at the door."""
        check_fields(self)


@dataclass(frozen=True, slots=True)
class SegmenterConfig:
    """Pixels of the objects."""

    SECTION: ClassVar[str] = 'segmenter'

    enabled: bool = parameter(True, _ENABLED, live=True)
    model: str = parameter(_ROBOT_SEGMENTER, _MODEL)
    input_size: int = parameter(0, _INPUT_SIZE, unit='pixels', low=0, high=4096)
    every_k: int = parameter(1, _EVERY_K, unit='frames', low=1, high=10000, live=True)

    def __post_init__(self) -> None:
        """Check once at the door."""
        check_fields(self)


@dataclass(frozen=True, slots=True)
class TrackingConfig:
    """Identity of objects over frames."""

    SECTION: ClassVar[str] = 'tracking'

    enabled: bool = parameter(
        True, 'Number objects so that each keeps its number from frame to frame.', live=True
    )
    max_lost_s: float = parameter(
        1.0,
        'How long an object may be out of sight and keep its number.',
        unit='seconds',
        low=0.0,
        high=3600.0,
        live=True,
    )

    def __post_init__(self) -> None:
        """Check once at the door."""
        check_fields(self)


@dataclass(frozen=True, slots=True)
class PointsConfig:
    """Clouds of points."""

    SECTION: ClassVar[str] = 'points'

    labels: bool = parameter(
        False,
        'Send the fields label (class id + 1) and instance (index + 1) with points; it then needs '
        'detector and segmenter.',
        live=True,
    )
    max_range_m: float = parameter(
        0.0,
        'Farthest points of points/objects and points/background from the camera; 0 = all.',
        unit='metres',
        low=0.0,
        high=1000.0,
        live=True,
    )
    voxel_m: float = parameter(
        0.0,
        'Side of the cubes in which points/objects and points/background keep one point of each '
        'object; 0 = all points.',
        unit='metres',
        low=0.0,
        high=10.0,
        live=True,
    )
    remove_ground: bool = parameter(
        False,
        'Leave the ground out of points/background: the lowest level surface in sight, so give '
        'camera.height_m where that may be a table.',
        live=True,
    )
    ground_tolerance_m: float = parameter(
        0.03,
        'Points of points/background up to this height are ground.',
        unit='metres',
        low=0.0,
        high=10.0,
        live=True,
    )

    def __post_init__(self) -> None:
        """Check once at the door."""
        check_fields(self)


@dataclass(frozen=True, slots=True)
class FramesConfig:
    """In which frame places are said, and what is up."""

    SECTION: ClassVar[str] = 'frames'

    target_frame: str = parameter(
        '',
        'Frame of detections_3d, markers, points/objects and points/background, for example map, '
        'odom or base_link; empty = the optical frame of the image.',
        live=True,
    )
    gravity_frame: str = parameter(
        '',
        'Frame whose z axis points up, for example map, odom or a levelled base; boxes are upright '
        "then, with a heading. Empty = none, and boxes lie along the camera's axes.",
        live=True,
    )
    fixed_frame: str = parameter(
        '',
        'Frame that stands still, for example odom or map: velocities of tracked objects are those '
        'in it. Empty = none, and no velocities.',
        live=True,
    )
    tf_policy: str = parameter(
        'stamp',
        'Which transforms count: those at the stamp of the image, or the latest, which are wrong '
        'while the camera moves.',
        choices=('stamp', 'latest'),
        live=True,
    )
    tf_wait_s: float = parameter(
        0.1,
        'How long an image waits for the transforms of its stamp; then it goes on without them.',
        unit='seconds',
        low=0.0,
        high=10.0,
        live=True,
    )

    @property
    def needs_tf(self) -> bool:
        """Whether anything is to be looked up."""
        return bool(self.target_frame or self.gravity_frame or self.fixed_frame)

    def __post_init__(self) -> None:
        """Check once at the door."""
        check_fields(self)


@dataclass(frozen=True, slots=True)
class CameraConfig:
    """How the calibration is read."""

    SECTION: ClassVar[str] = 'camera'

    rectified: str = parameter(
        'auto',
        'Whether the images are rectified, so that P of the CameraInfo counts and no distortion; '
        'auto = if the name of their topic says rect.',
        choices=('auto', 'always', 'never'),
        live=True,
    )
    fallback_hfov_deg: float = parameter(
        0.0,
        'Horizontal field of view assumed when there is no CameraInfo at all; 0 = then no 3D.',
        unit='degrees',
        low=0.0,
        high=179.0,
        live=True,
    )
    height_m: float = parameter(
        0.0,
        'Height of the camera above the ground: sets the scale of a metric network where depth.source '
        'is model, and tells the ground from tables; 0 = unknown.',
        unit='metres',
        low=0.0,
        high=100.0,
        live=True,
    )

    def __post_init__(self) -> None:
        """Check once at the door."""
        check_fields(self)


@dataclass(frozen=True, slots=True)
class InputConfig:
    """What the node accepts."""

    SECTION: ClassVar[str] = 'input'

    transport: str = parameter(
        'auto',
        'raw = Image on "image", compressed = CompressedImage on "image/compressed", '
        'auto = whichever is published, raw if both are.',
        choices=('auto', 'raw', 'compressed'),
    )
    reliability: str = parameter(
        'auto',
        'Quality of service of the inputs; auto follows the publishers: reliable if all are.',
        choices=('auto', 'reliable', 'best_effort'),
    )
    max_pixels: int = parameter(
        2**25, 'Larger images are refused.', unit='pixels', low=1, high=2**30, live=True
    )

    def __post_init__(self) -> None:
        """Check once at the door."""
        check_fields(self)


@dataclass(frozen=True, slots=True)
class PerceptionConfig:
    """Everything that can be set."""

    preset: str = parameter(
        'robot',
        'Set of defaults that the other parameters start from.',
        choices=('robot', 'cpu', 'demo', 'stub'),
        startup=True,
    )
    device: str = parameter('auto', 'Where networks run: auto, cpu, cuda or cuda:N.')
    precision: str = parameter(
        'auto',
        'Arithmetic of the networks; auto = fp16 on CUDA, fp32 otherwise.',
        choices=('auto', 'fp32', 'bf16', 'fp16'),
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

    def __post_init__(self) -> None:
        """Check once at the door."""
        check_fields(self)

    @property
    def caveat(self) -> str:
        """What has to be known before results are believed; empty for nothing."""
        sections = (self.features, self.depth, self.detector, self.segmenter)
        if 'demo' not in {section.model for section in sections}:
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
            raise ConfigError(f'Unknown preset {name!r}. Available: {", ".join(PRESETS)}.')
        return with_values(cls(preset=name), {**PRESETS[name], **(overrides or {})})

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


PRESETS: Mapping[str, Mapping[str, object]] = {
    'robot': {},
    'cpu': {
        'features.input_size': 224,
        'features.every_k': 5,
        'depth.input_size': 252,
        'detector.model': 'ustc-community/dfine-nano-coco',
        'detector.max_objects': 8,
        'segmenter.input_size': 512,
    },
    'demo': {
        'cpu_threads': 1,
        'parallel': True,
        'features.model': 'demo',
        'depth.model': 'demo',
        'detector.model': 'demo',
        'detector.max_overlap': 0.7,
        'segmenter.model': 'demo',
        'segmenter.input_size': 352,
    },
    'stub': {
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
