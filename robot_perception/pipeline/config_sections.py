"""Sections of the configuration for everything but the networks."""

from __future__ import annotations

from dataclasses import dataclass

from robot_perception.pipeline.choices import (
    CameraAxes,
    Rectification,
    Reliability,
    TfPolicy,
    Transport,
)
from robot_perception.pipeline.config_stages import split_names
from robot_perception.pipeline.parameters import parameter, Section


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
        'detector and segmenter, or semantics without one of these.',
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
    ground_classes: str = parameter(
        '',
        'Classes of the ground for points/ground and points/obstacles, separated by commas, such '
        'as "floor, rug"; of the network of every pixel, if semantics.enabled. Empty = by the '
        'plane, with points.remove_ground.',
        live=True,
    )
    ground_tolerance_m: float = parameter(
        0.03,
        'Maximum height above the ground plane of points that are removed as ground.',
        unit='meters',
        limits=(0.0, 10.0),
        live=True,
    )

    @property
    def ground_names(self) -> tuple[str, ...]:
        """The classes of the ground."""
        return split_names(self.ground_classes)


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
        'features less often, then smaller inputs if it was set before the networks were loaded, '
        'then drops frames (docs/performance.md); 0 = unlimited.',
        unit='seconds',
        limits=(0.0, 10.0),
        live=True,
    )
