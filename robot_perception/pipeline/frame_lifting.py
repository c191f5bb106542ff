"""Lifting of a frame to 3D: scale of depth, positions and velocities of objects, the ground."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from robot_perception.core import (
    CameraModel,
    Depth,
    DepthFit,
    DepthSource,
    Float64Array,
    MetricDepth,
    Plane,
    Pose,
    SceneObject,
    ShapeError,
    Stage,
    Vector3,
)
from robot_perception.pipeline.config import PerceptionConfig
from robot_perception.pipeline.deferred import Promise, resolve
from robot_perception.pipeline.ground import find_ground
from robot_perception.pipeline.lifting import locate_objects
from robot_perception.pipeline.location_uncertainty import LocationUncertainty
from robot_perception.pipeline.network_run import NetworkRun
from robot_perception.pipeline.temporal import depth_source, TemporalState
from robot_perception.pipeline.timing import Stopwatch
from robot_perception.pipeline.upright_box import unit_vector


@dataclass(frozen=True, slots=True)
class FrameGeometry:
    """Calibration, measured depth, gravity and pose of a frame; see `PerceptionPipeline.process`.

    Attributes:
        size_hw: rows and columns of the image.
        camera: calibration at that size, None = unknown.
        sensor_depth: registered depth at that size.
        gravity_up: direction away from the ground in the optical frame, of any length.
        fixed_from_optical: pose of the optical frame in a frame that does not move.
    """

    size_hw: tuple[int, int]
    camera: CameraModel | None
    sensor_depth: Promise[MetricDepth | None]
    gravity_up: Promise[Vector3 | None]
    fixed_from_optical: Promise[Pose | None]

    def __post_init__(self) -> None:
        """Raise a `ShapeError` unless the calibration has the size of the image."""
        self._check_size('camera', self.camera)

    def measured_depth(self) -> MetricDepth | None:
        """Wait for the measured depth, None without one; raises a `ShapeError` for its size."""
        measured = resolve(self.sensor_depth)
        self._check_size('sensor_depth', measured)
        return measured

    def up_vector(self) -> Float64Array | None:
        """Wait for the direction away from the ground, (3,) of length 1; None = unknown.

        Raises:
            InputError: ``gravity_up`` has no direction.
        """
        direction = resolve(self.gravity_up)
        return None if direction is None else unit_vector('gravity_up', direction)

    def _check_size(self, name: str, part: CameraModel | MetricDepth | None) -> None:
        if part is not None and part.size_hw != self.size_hw:
            raise ShapeError(
                'wrong_shape',
                f'{name}: expected the size of the image {self.size_hw}, got {part.size_hw} '
                '(rows, columns). Use the calibration or depth that belongs to this image.',
            )


class LiftedFrame(NamedTuple):
    """Fields of a `Scene` that depend on depth and calibration."""

    depth: Depth | None
    depth_source: DepthSource | None
    depth_fit: DepthFit | None
    objects: tuple[SceneObject, ...]
    ground: Plane | None


def lift_frame(
    run: NetworkRun,
    geometry: FrameGeometry,
    state: TemporalState,
    uncertainty: LocationUncertainty,
    config: PerceptionConfig,
    *,
    has_depth: bool,
    time_ns: int,
    watch: Stopwatch,
) -> LiftedFrame:
    """Bring the depth of a frame to scale, and locate its objects and the ground.

    Args:
        run: results of the networks.
        geometry: what the frame is lifted with.
        state: of earlier frames; has this one afterwards.
        uncertainty: adds the uncertainty of positions.
        config: parameters of the frame.
        has_depth: whether the stage of depth runs.
        time_ns: when the image was taken, nanoseconds; 0 = not an image of a sequence.
        watch: times the stages.

    Raises:
        InputError: the size of measured depth is another, or ``gravity_up`` has no direction.
    """
    depth = fit = measured = None
    camera, up_vector = geometry.camera, geometry.up_vector()
    if has_depth:
        measured = run.measured_depth()
        with watch.stage(Stage.DEPTH):
            depth, fit = state.scale_depth(run.depth, measured, camera, up_vector, config)
    pose = resolve(geometry.fixed_from_optical)
    with watch.stage('lifting'):
        source = depth_source(depth, measured, fit, config.depth.source)
        objects = locate_objects(run.detections, run.masks, depth, camera, up_vector)
        if config.small_inputs:
            # A calibration is that of the usual inputs.
            uncertainty = LocationUncertainty.general()
        objects = uncertainty.add(objects, run.masks, source, camera, measured)
        objects = state.velocities.update(objects, time_ns, pose)
        ground = (
            find_ground(depth, camera, up_vector, config.camera.height_m or None)
            if config.points.remove_ground
            else None
        )
    return LiftedFrame(depth, source, fit, objects, ground)
