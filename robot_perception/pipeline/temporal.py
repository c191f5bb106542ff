"""State that a pipeline carries from frame to frame: tracks, fits of depth, velocities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from robot_perception.core import (
    CameraModel,
    Depth,
    DepthFit,
    DepthSource,
    Detections,
    Float64Array,
    MetricDepth,
    non_max_suppression,
)
from robot_perception.models import Detector, PromptedDetector, UploadedImage
from robot_perception.pipeline.class_filter import choose_classes
from robot_perception.pipeline.config import PerceptionConfig
from robot_perception.pipeline.fusion import DepthFusion
from robot_perception.pipeline.ground import find_ground
from robot_perception.pipeline.score_calibration import ScoreCalibration
from robot_perception.pipeline.tracking import Tracker
from robot_perception.pipeline.velocity import VelocityEstimator

# Detections above this share of the threshold may continue an existing track.
_LOW_CONFIDENCE = 0.5
# Multiple of `detector.max_objects` that is detected before non-maximum suppression.
_CANDIDATES = 3


class TemporalState:
    """Tracks objects, smooths the scale of depth, and estimates velocities over frames.

    Attributes:
        frames: number of frames processed.
        velocities: of the tracked objects.
    """

    def __init__(self) -> None:
        """Start without frames."""
        self.frames = 0
        self._fusion = DepthFusion()
        self._tracker = Tracker()
        self.velocities = VelocityEstimator()

    def reset(self) -> None:
        """Drop all frames."""
        self.frames = 0
        self._fusion.reset()
        self._tracker.reset()
        self.velocities.reset()

    def state_dict(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        return {
            'frames': self.frames,
            'fusion': self._fusion.state_dict(),
            'tracker': self._tracker.state_dict(),
            'velocities': self.velocities.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load what `state_dict` returned."""
        self.frames = state['frames']
        self._fusion.load_state_dict(state['fusion'])
        self._tracker.load_state_dict(state['tracker'])
        self.velocities.load_state_dict(state['velocities'])

    def detect(
        self,
        detector: Detector | PromptedDetector,
        calibration: ScoreCalibration,
        frame: UploadedImage,
        time_ns: int,
        config: PerceptionConfig,
    ) -> Detections:
        """Detect objects; with tracking, those of low confidence keep existing tracks.

        Args:
            detector: the network.
            calibration: of its scores.
            frame: the image.
            time_ns: when it was taken, nanoseconds; 0 = not an image of a sequence.
            config: parameters of detector and tracking.
        """
        settings = config.detector
        tracking = config.tracking.enabled and time_ns
        candidates = choose_classes(detector, settings).detect(
            frame,
            threshold=calibration.raw(settings.threshold * (_LOW_CONFIDENCE if tracking else 1.0)),
            max_objects=_CANDIDATES * settings.max_objects,
        )
        candidates = calibration.apply(candidates)
        candidates = candidates[non_max_suppression(candidates.boxes_xyxy, settings.max_overlap)]
        is_high = candidates.scores > settings.threshold
        detections = candidates[np.flatnonzero(is_high)[: settings.max_objects]]
        if not tracking:
            return detections
        return self._tracker.update(
            detections, time_ns, config.tracking.max_lost_s, candidates[~is_high]
        )

    def scale_depth(
        self,
        predicted: Depth | None,
        measured: MetricDepth | None,
        camera: CameraModel | None,
        up_vector: Float64Array | None,
        config: PerceptionConfig,
    ) -> tuple[Depth | None, DepthFit | None]:
        """Bring predicted depth to the scale of the measured one or of the height of the camera.

        ``up_vector`` has length 1 and points away from the ground, None = unknown.

        Returns:
            The depth of the frame, and how the network's depth was fitted, None when it was not.
        """
        if not config.depth.source.uses_network:
            return measured, None
        if config.depth.source.uses_sensor and predicted is not None:
            return self._fusion.fuse(predicted, measured)
        height_m = config.camera.height_m
        if height_m and isinstance(predicted, MetricDepth):
            ground = find_ground(predicted, camera, up_vector, height_m)
            return self._fusion.scale_to_ground(predicted, ground, height_m)
        return predicted, None


def depth_source(
    depth: Depth | None,
    measured: MetricDepth | None,
    fit: DepthFit | None,
    configured: DepthSource,
) -> DepthSource | None:
    """Return where the depth of a frame comes from; without a fit nothing is fused."""
    if depth is None:
        return None
    if configured is not DepthSource.FUSED or fit is not None:
        return configured
    return DepthSource.SENSOR if depth is measured else DepthSource.MODEL
