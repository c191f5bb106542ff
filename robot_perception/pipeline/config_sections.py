"""Sections of the configuration."""

from __future__ import annotations

from dataclasses import dataclass

from robot_perception.pipeline.choices import (
    DepthSource,
    Rectification,
    Reliability,
    TfPolicy,
    Transport,
)
from robot_perception.pipeline.parameters import parameter, Section

_ROBOT_FEATURES = 'facebook/dinov2-small'
_ROBOT_DEPTH = 'depth-anything/Depth-Anything-V2-Metric-Indoor-Small-hf'
_ROBOT_DETECTOR = 'facebook/detr-resnet-50'
_ROBOT_SEGMENTER = 'facebook/sam2.1-hiera-tiny'

_MODEL = 'Catalogue name, folder of a checkpoint, demo, or stub.'


@dataclass(frozen=True, slots=True)
class StageSection(Section):
    """Parameters that every network has."""

    enabled: bool = parameter(True, 'Run this stage.', live=True)
    model: str = parameter('stub', _MODEL)
    input_size: int = parameter(
        0,
        'Side of the network input: the short side where the aspect is kept, the side of the '
        "square otherwise; 0 = the checkpoint's own.",
        unit='pixels',
        low=0,
        high=4096,
    )
    every_k: int = parameter(
        1,
        'Run on every k-th frame; the frames between carry no result of this stage.',
        unit='frames',
        low=1,
        high=10000,
        live=True,
    )


@dataclass(frozen=True, slots=True)
class FeaturesConfig(StageSection, name='features'):
    """Scene encoder."""

    model: str = parameter(_ROBOT_FEATURES, _MODEL)
    publish_patches: bool = parameter(
        False, 'Send the patch grid along with the global vector.', live=True
    )


@dataclass(frozen=True, slots=True)
class DepthConfig(StageSection, name='depth'):
    """Depth of every pixel."""

    model: str = parameter(_ROBOT_DEPTH, _MODEL)
    source: DepthSource = parameter(
        DepthSource.MODEL,
        'Where metres come from: the network, a depth camera, or both: '
        'the network scaled to the camera, whose holes it fills.',
    )
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


@dataclass(frozen=True, slots=True)
class DetectorConfig(StageSection, name='detector'):
    """Objects in the picture."""

    model: str = parameter(_ROBOT_DETECTOR, _MODEL)
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


@dataclass(frozen=True, slots=True)
class SegmenterConfig(StageSection, name='segmenter'):
    """Pixels of the objects."""

    model: str = parameter(_ROBOT_SEGMENTER, _MODEL)


@dataclass(frozen=True, slots=True)
class TrackingConfig(Section, name='tracking'):
    """Identity of objects over frames."""

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


@dataclass(frozen=True, slots=True)
class PointsConfig(Section, name='points'):
    """Clouds of points."""

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


@dataclass(frozen=True, slots=True)
class FramesConfig(Section, name='frames'):
    """In which frame places are said, and what is up."""

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
    tf_policy: TfPolicy = parameter(
        TfPolicy.STAMP,
        'Which transforms count: those at the stamp of the image, or the latest, which are wrong '
        'while the camera moves.',
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


@dataclass(frozen=True, slots=True)
class CameraConfig(Section, name='camera'):
    """How the calibration is read."""

    rectified: Rectification = parameter(
        Rectification.AUTO,
        'Whether the images are rectified, so that P of the CameraInfo counts and no distortion; '
        'auto = if the name of their topic says rect.',
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


@dataclass(frozen=True, slots=True)
class InputConfig(Section, name='input'):
    """What the node accepts."""

    transport: Transport = parameter(
        Transport.AUTO,
        'raw = Image on "image", compressed = CompressedImage on "image/compressed", '
        'auto = whichever is published, raw if both are.',
    )
    reliability: Reliability = parameter(
        Reliability.AUTO,
        'Quality of service of the inputs; auto follows the publishers: reliable if all are.',
    )
    max_pixels: int = parameter(
        2**25, 'Larger images are refused.', unit='pixels', low=1, high=2**30, live=True
    )
