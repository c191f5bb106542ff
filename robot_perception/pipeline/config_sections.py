"""Sections of the configuration."""

from __future__ import annotations

from dataclasses import dataclass

from robot_perception.core import DepthSource
from robot_perception.models import RUNTIME_CHOICES
from robot_perception.pipeline.choices import (
    CameraAxes,
    Precision,
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

_MODEL = 'Catalog name, folder of a checkpoint, demo, or stub.'


@dataclass(frozen=True, slots=True)
class StageSection(Section):
    """Parameters that every network has."""

    enabled: bool = parameter(True, 'Run this stage.', live=True)
    model: str = parameter('stub', _MODEL)
    input_size: int = parameter(
        0,
        'Side of the network input: the short side if the aspect ratio is kept, the side of the '
        'square otherwise; 0 = as in the checkpoint.',
        unit='pixels',
        limits=(0, 4096),
    )
    runtime: str = parameter(
        'auto',
        'Library that computes this network; auto = that of the parameter runtime.',
        choices=RUNTIME_CHOICES,
    )
    precision: Precision = parameter(
        Precision.AUTO, 'Precision of this network; auto = that of the parameter precision.'
    )
    every_k: int = parameter(
        1,
        'Run on every k-th frame; the frames between have no result of this stage.',
        unit='frames',
        limits=(1, 10000),
        live=True,
    )


@dataclass(frozen=True, slots=True)
class FeaturesConfig(StageSection, name='features'):
    """Scene encoder."""

    model: str = parameter(_ROBOT_FEATURES, _MODEL)
    publish_patches: bool = parameter(
        False, 'Publish the patch grid along with the global vector.', live=True
    )


@dataclass(frozen=True, slots=True)
class DepthConfig(StageSection, name='depth'):
    """Depth estimation."""

    model: str = parameter(_ROBOT_DEPTH, _MODEL)
    source: DepthSource = parameter(
        DepthSource.MODEL,
        'Source of metric depth: the network, a depth camera, or both fused: network depth is '
        'scaled to that of the camera and fills its holes.',
    )
    calibration: str = parameter(
        '',
        'JSON file of the uncertainty of positions (docs/uncertainty.md); '
        'empty = that of the demo networks, for others general values marked as uncalibrated.',
    )
    max_offset_s: float = parameter(
        0.02,
        'Maximum difference between the stamps of an image and of the sensor depth used for it.',
        unit='seconds',
        limits=(0.0, 10.0),
        live=True,
    )
    max_wait_s: float = parameter(
        0.1,
        'Maximum time to wait for the sensor depth of an image; after that it is processed '
        'without 3D.',
        unit='seconds',
        limits=(0.0, 10.0),
        live=True,
    )
    unit_m: float = parameter(
        0.0,
        'Unit of the sensor depth: 0.001 = millimeters, 1 = meters; 0 = by the encoding, as '
        'REP 118 has it: 16UC1 is millimeters, 32FC1 is meters.',
        unit='meters',
        limits=(0.0, 1.0),
        live=True,
    )
    registered: bool = parameter(
        False,
        'Take the sensor depth as registered to the image, whatever frame it names; otherwise '
        'depth of another frame is registered by both calibrations and TF.',
        live=True,
    )


@dataclass(frozen=True, slots=True)
class DetectorConfig(StageSection, name='detector'):
    """Object detection."""

    model: str = parameter(_ROBOT_DETECTOR, _MODEL)
    calibration: str = parameter(
        '',
        'JSON file that maps scores to the share of right detections '
        '(docs/uncertainty.md); empty = that of the demo detector, none for others.',
    )
    threshold: float = parameter(0.5, 'Minimum score of an object.', limits=(0.0, 1.0), live=True)
    classes: str = parameter(
        '',
        'Names of the classes to detect, separated by commas, such as "person, dining table"; '
        'empty = all of the detector.',
        live=True,
    )
    max_objects: int = parameter(
        20,
        'Maximum number of objects in a frame; those with the highest scores are kept.',
        limits=(1, 1000),
        live=True,
    )
    max_overlap: float = parameter(
        0.85,
        'Maximum overlap (IoU) of two boxes of any class; of boxes that overlap more, the one '
        'with the lower score is dropped. 1 = keep all.',
        limits=(0.0, 1.0),
        live=True,
    )


@dataclass(frozen=True, slots=True)
class SegmenterConfig(StageSection, name='segmenter'):
    """Instance segmentation of the detected objects."""

    model: str = parameter(_ROBOT_SEGMENTER, _MODEL)


@dataclass(frozen=True, slots=True)
class TrackingConfig(Section, name='tracking'):
    """Tracking of objects over frames."""

    enabled: bool = parameter(
        True, 'Assign track ids that stay with an object from frame to frame.', live=True
    )
    max_lost_s: float = parameter(
        1.0,
        'Maximum time for which an object may go undetected and keep its track id.',
        unit='seconds',
        limits=(0.0, 3600.0),
        live=True,
    )


@dataclass(frozen=True, slots=True)
class PointsConfig(Section, name='points'):
    """Point clouds."""

    labels: bool = parameter(
        False,
        'Add the fields label (class id + 1) and instance (index + 1) to points, which then needs '
        'detector and segmenter.',
        live=True,
    )
    max_range_m: float = parameter(
        0.0,
        'Maximum distance from the camera of the points in points/objects and points/background; '
        '0 = unlimited.',
        unit='meters',
        limits=(0.0, 1000.0),
        live=True,
    )
    voxel_m: float = parameter(
        0.0,
        'Voxel size: points/objects and points/background have at most one point of each object '
        'in a voxel; 0 = all points.',
        unit='meters',
        limits=(0.0, 10.0),
        live=True,
    )
    remove_ground: bool = parameter(
        False,
        'Remove the ground from points/background: the lowest horizontal surface in view. Set '
        'camera.height_m where that may be a table.',
        live=True,
    )
    ground_tolerance_m: float = parameter(
        0.03,
        'Maximum height above the ground plane of points that are removed as ground.',
        unit='meters',
        limits=(0.0, 10.0),
        live=True,
    )


@dataclass(frozen=True, slots=True)
class FramesConfig(Section, name='frames'):
    """Coordinate frames of the results, and the direction of gravity."""

    target_frame: str = parameter(
        '',
        'Frame of detections_3d, markers, points/objects and points/background, for example map, '
        'odom or base_link; empty = optical frame of the image.',
        live=True,
    )
    gravity_frame: str = parameter(
        '',
        'Frame whose z axis points up, for example map, odom or a leveled base. With it 3D boxes '
        "are upright and have a heading; empty = boxes are aligned with the camera's axes.",
        live=True,
    )
    fixed_frame: str = parameter(
        '',
        'Frame that does not move, for example odom or map, in which velocities of tracked '
        'objects are measured; empty = no velocities.',
        live=True,
    )
    tf_policy: TfPolicy = parameter(
        TfPolicy.STAMP,
        'Transforms to use: those at the stamp of the image, or the latest, which are inaccurate '
        'while the camera moves.',
        live=True,
    )
    tf_wait_s: float = parameter(
        0.1,
        'Maximum time to wait for the transforms of an image; after that it is processed without '
        'them.',
        unit='seconds',
        limits=(0.0, 10.0),
        live=True,
    )

    @property
    def needs_tf(self) -> bool:
        """Whether transforms are looked up."""
        return bool(self.target_frame or self.gravity_frame or self.fixed_frame)


@dataclass(frozen=True, slots=True)
class CameraConfig(Section, name='camera'):
    """Interpretation of the calibration."""

    rectified: Rectification = parameter(
        Rectification.AUTO,
        'Whether the images are rectified, so that P of the CameraInfo applies and the distortion '
        'does not; auto = if rect, rectified or undistorted is a part of the name of the image '
        'topic, as in image_rect_color and rectified/image.',
        live=True,
    )
    info_url: str = parameter(
        '',
        'Calibration file to use instead of CameraInfo messages: YAML as camera_calibration and '
        'camera drivers write it; a path, file:///path or package://package/path. Empty = the '
        'messages.',
        live=True,
    )
    frame_id: str = parameter(
        '',
        'Frame of the images and of their calibration, instead of the frame_id that either names; '
        'outputs carry it. Empty = that of the image.',
        live=True,
    )
    optical: CameraAxes = parameter(
        CameraAxes.AUTO,
        'Axes of the frame that images and sensor depth are stamped with: optical = z forward, '
        'body = x forward and z up, auto = optical, with a warning if TF indicates body.',
        live=True,
    )
    fallback_hfov_deg: float = parameter(
        0.0,
        'Horizontal field of view to assume without any CameraInfo; 0 = no 3D in that case.',
        unit='degrees',
        limits=(0.0, 179.0),
        live=True,
    )
    height_m: float = parameter(
        0.0,
        'Height of the camera above the ground: sets the scale of a metric network if '
        'depth.source is model, and distinguishes the ground from tables; 0 = unknown.',
        unit='meters',
        limits=(0.0, 100.0),
        live=True,
    )


@dataclass(frozen=True, slots=True)
class InputConfig(Section, name='input'):
    """Inputs of the node."""

    transport: Transport = parameter(
        Transport.AUTO,
        'raw = Image on "image", compressed = CompressedImage on "image/compressed", '
        'auto = the one that is published, raw if both are.',
    )
    reliability: Reliability = parameter(
        Reliability.AUTO,
        'Reliability of the subscriptions; auto = reliable if all publishers are, else best '
        'effort.',
    )
    mono16_bits: int = parameter(
        0,
        'Significant bits of 16-bit images, 8 to 16; 0 = by the largest value of the first ten '
        'images.',
        unit='bits',
        limits=(0, 16),
        live=True,
    )
    max_pixels: int = parameter(
        2**25,
        'Maximum size of an image; larger ones are rejected. At least 64 x 64, below which no '
        'image of a camera is left.',
        unit='pixels',
        limits=(64 * 64, 2**30),
        live=True,
    )


@dataclass(frozen=True, slots=True)
class BudgetConfig(Section, name='budget'):
    """Budget of the node."""

    max_age_s: float = parameter(
        0.0,
        'Maximum age of results when they are published. To keep it the node computes masks and '
        'features less often, then drops frames (docs/performance.md); 0 = unlimited.',
        unit='seconds',
        limits=(0.0, 10.0),
        live=True,
    )
