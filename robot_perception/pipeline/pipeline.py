"""What happens to one frame: features, depth, objects, masks, and their place in space."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
import os
from typing import Any

import numpy as np

from robot_perception.core import (
    CameraModel,
    ConfigError,
    Depth,
    DepthFit,
    Detections,
    Float64Array,
    Image,
    Masks,
    MetricDepth,
    non_max_suppression,
    ObjectPosition,
    Plane,
    Pose,
    Scene,
    SceneObject,
    ShapeError,
    Stage,
    UInt8Array,
    Vector3,
)
from robot_perception.models import (
    DepthEstimator,
    Detector,
    FeatureExtractor,
    ImageEmbedding,
    Segmenter,
    UploadedImage,
)
from robot_perception.pipeline.config import PerceptionConfig
from robot_perception.pipeline.fusion import DepthFusion
from robot_perception.pipeline.ground import find_ground
from robot_perception.pipeline.image_file import read_image
from robot_perception.pipeline.lifting import lift_objects
from robot_perception.pipeline.networks import load_networks, networks_needed
from robot_perception.pipeline.side_by_side import one_by_one, side_by_side
from robot_perception.pipeline.timing import PIPELINE, STAGES, Stopwatch
from robot_perception.pipeline.tracking import Tracker
from robot_perception.pipeline.upright_box import unit_vector
from robot_perception.pipeline.velocity import VelocityEstimator
from robot_perception.pipeline.visibility import measure_visibility, Visibility

# Detections above this share of the threshold may continue an existing track.
_LOW_CONFIDENCE = 0.5
# Multiple of `detector.max_objects` that is detected before non-maximum suppression.
_CANDIDATES = 3
_ALL_STAGES = frozenset(Stage)


class PerceptionPipeline:
    """The four networks on one frame, from one upload of its pixels.

    They run one after the other, or with the parameter ``parallel`` SAM 2 and DINOv2 beside
    detector, depth and lifting: the scene is the same.

    `process` is for one thread at a time; `reconfigure` may be called from another meanwhile and
    takes effect with the next frame.
    """

    def __init__(
        self,
        config: PerceptionConfig,
        *,
        features: FeatureExtractor | None = None,
        depth: DepthEstimator | None = None,
        detector: Detector | None = None,
        segmenter: Segmenter | None = None,
    ) -> None:
        """Join ready networks; `from_preset` and `from_config` load them by name.

        A stage without a network does not run.
        """
        self._config = config
        self._features = features
        self._depth = depth
        self._detector = detector
        self._segmenter = segmenter
        self._fusion = DepthFusion()
        self._tracker = Tracker()
        self._velocities = VelocityEstimator()
        self._frames = 0

    @classmethod
    def from_preset(
        cls, name: str, overrides: Mapping[str, object] | None = None
    ) -> PerceptionPipeline:
        """Load the networks of a preset: robot, cpu, demo or stub.

        Args:
            name: the preset.
            overrides: parameters by dotted name, for example ``{'detector.threshold': 0.7}``.

        """
        return cls.load(PerceptionConfig.from_preset(name, overrides))

    @classmethod
    def from_config(cls, path: str | os.PathLike[str]) -> PerceptionPipeline:
        """Load the networks that a ROS parameter file names."""
        return cls.load(PerceptionConfig.from_file(path))

    @classmethod
    def load(cls, config: PerceptionConfig) -> PerceptionPipeline:
        """Load the networks of a configuration.

        Raises:
            ModelError: a checkpoint is missing or unusable, or the device is not there.

        """
        return cls(config, **load_networks(config)._asdict())

    @property
    def config(self) -> PerceptionConfig:
        """The parameters in force."""
        return self._config

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the detector's classes, by class id; empty without a detector."""
        return () if self._detector is None else tuple(self._detector.class_names)

    def reconfigure(self, config: PerceptionConfig) -> None:
        """Change live parameters from the next frame on.

        Raises:
            ConfigError: a parameter differs that is fixed once the networks are loaded.

        """
        current = self._config.to_values()
        for item in config.parameters():
            if item.default != current[item.name] and not item.constraint.live:
                raise ConfigError(
                    f'{item.name}: fixed at {current[item.name]!r} while the networks are loaded. '
                    'Make a new pipeline; a node takes it after cleanup, before configure.'
                )
        for stage in networks_needed(config):
            if stage not in self._loaded():
                raise ConfigError(
                    f'{stage}.enabled: the network was not loaded, because the stage was off. '
                    'Switch it on before the networks are loaded.'
                )
        self._config = config

    def _loaded(self) -> set[Stage]:
        networks = {
            Stage.FEATURES: self._features,
            Stage.DEPTH: self._depth,
            Stage.DETECTOR: self._detector,
            Stage.SEGMENTER: self._segmenter,
        }
        return {stage for stage, network in networks.items() if network is not None}

    def reset(self) -> None:
        """Forget what earlier frames left behind, as after a jump of time."""
        self._frames = 0
        self._fusion.reset()
        self._tracker.reset()
        self._velocities.reset()

    def state_dict(self) -> dict[str, Any]:
        """Return the state that earlier frames left, as JSON values.

        Another pipeline of the same configuration that loads it with `load_state_dict` processes
        the following frames as this one would.
        """
        return {
            'frames': self._frames,
            'fusion': self._fusion.state_dict(),
            'tracker': self._tracker.state_dict(),
            'velocities': self._velocities.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load what `state_dict` returned."""
        self._frames = state['frames']
        self._fusion.load_state_dict(state['fusion'])
        self._tracker.load_state_dict(state['tracker'])
        self._velocities.load_state_dict(state['velocities'])

    def process(
        self,
        image: Image | UInt8Array | str | os.PathLike[str],
        camera: CameraModel | None = None,
        *,
        sensor_depth: MetricDepth | None = None,
        up: Vector3 | None = None,
        fixed: Pose | None = None,
        stages: Collection[Stage] = _ALL_STAGES,
    ) -> Scene:
        """See one frame.

        Args:
            image: (H, W, 3) uint8 RGB, an `Image` with stamp and frame, or a picture file.
            camera: calibration at the image's size; without it there is no 3D.
            sensor_depth: registered depth at the image's size, which takes the place of the
                depth network when ``depth.source`` is ``sensor``, and joins it when ``fused``.
            up: direction away from the ground in the optical frame, of any length, as an IMU or
                the pose of the camera tells; boxes in space are upright then, with a heading, and
                otherwise lie along the camera's axes.
            fixed: a frame that stands still, such as odom, from the optical frame; tracked objects
                have velocities then.
            stages: what to compute; a stage switched off in the configuration stays off.

        Raises:
            InputError: the image, camera or depth do not fit each other, or ``up`` is no
                direction.
            ModelError: a network failed.

        """
        frame = UploadedImage(_as_image(image))
        _check_size('camera', camera, frame.image)
        _check_size('sensor_depth', sensor_depth, frame.image)
        upwards = None if up is None else unit_vector('up', up)
        watch = Stopwatch()
        config = self._config
        due = self._due(stages, config)
        extractor = self._features if Stage.FEATURES in due else None
        detector = self._detector if Stage.DETECTOR in due else None
        segmenter = self._segmenter if Stage.SEGMENTER in due else None
        features = depth = fit = detections = masks = None
        meanwhile = side_by_side if config.parallel else one_by_one
        with watch.stage(PIPELINE), meanwhile() as begin:
            encoded = segmented = extracted = None
            if segmenter is not None and detector is not None:
                encoded = begin(watch.timed(Stage.SEGMENTER, partial(segmenter.encode, frame)))
            if extractor is not None:
                extracted = begin(watch.timed(Stage.FEATURES, partial(extractor.extract, frame)))
            if detector is not None:
                with watch.stage(Stage.DETECTOR):
                    detections = self._detect(detector, frame, config)
                if segmenter is not None and encoded is not None:
                    segmented = begin(
                        partial(_segment, segmenter, encoded, frame, detections, watch)
                    )
            if Stage.DEPTH in due:
                with watch.stage(Stage.DEPTH):
                    depth, fit = self._measure(frame, sensor_depth, camera, upwards, config)
            if segmented is not None:
                masks = segmented()
            with watch.stage('lifting'):
                objects = _objects(detections, masks, depth, camera, upwards)
                objects = self._velocities.update(objects, frame.image.stamp_ns, fixed)
                ground = (
                    _ground(depth, camera, upwards, config)
                    if config.points.remove_ground
                    else None
                )
            if extracted is not None:
                features = extracted()
        self._frames += 1
        return Scene(
            image=frame.image,
            camera=camera,
            features=features,
            depth=depth,
            detections=detections,
            masks=masks,
            objects=objects,
            depth_fit=fit,
            ground=ground,
            timing_s=_in_order(watch.seconds),
        )

    def due(self, stages: Collection[Stage]) -> frozenset[Stage]:
        """Return which of ``stages`` the next frame runs: enabled, and due by ``every_k``."""
        return self._due(stages, self._config)

    def _due(self, stages: Collection[Stage], config: PerceptionConfig) -> frozenset[Stage]:
        return frozenset(
            stage
            for stage in stages
            if config.stage(stage).enabled and self._frames % config.stage(stage).every_k == 0
        )

    def _detect(
        self, detector: Detector, frame: UploadedImage, config: PerceptionConfig
    ) -> Detections:
        """Detect objects; with tracking, those of low confidence keep existing tracks."""
        settings, stamp_ns = config.detector, frame.image.stamp_ns
        # Images without a stamp are not a sequence.
        tracking = config.tracking.enabled and stamp_ns
        candidates = detector.detect(
            frame,
            threshold=settings.threshold * (_LOW_CONFIDENCE if tracking else 1.0),
            max_objects=_CANDIDATES * settings.max_objects,
        )
        candidates = candidates[non_max_suppression(candidates.boxes_xyxy, settings.max_overlap)]
        is_high = candidates.scores > settings.threshold
        detections = candidates[np.flatnonzero(is_high)[: settings.max_objects]]
        if not tracking:
            return detections
        low_confidence = candidates[np.flatnonzero(~is_high)]
        return self._tracker.update(
            detections, stamp_ns, config.tracking.max_lost_s, low_confidence
        )

    def _measure(
        self,
        frame: UploadedImage,
        sensor_depth: MetricDepth | None,
        camera: CameraModel | None,
        up: Float64Array | None,
        config: PerceptionConfig,
    ) -> tuple[Depth | None, DepthFit | None]:
        if not config.depth.source.uses_network:
            return sensor_depth, None
        predicted = None if self._depth is None else self._depth.estimate(frame)
        if config.depth.source.uses_sensor and predicted is not None:
            return self._fusion.fuse(predicted, sensor_depth)
        height_m = config.camera.height_m
        if height_m and isinstance(predicted, MetricDepth):
            ground = _ground(predicted, camera, up, config)
            return self._fusion.scale_to_ground(predicted, ground, height_m)
        return predicted, None


def _in_order(seconds: Mapping[str, float]) -> dict[str, float]:
    """Tell stages in the same order, whichever thread was first."""
    return {name: seconds[name] for name in (*STAGES, PIPELINE) if name in seconds}


def _as_image(image: Image | UInt8Array | str | os.PathLike[str]) -> Image:
    if isinstance(image, Image):
        return image
    if isinstance(image, np.ndarray):
        return Image(image)
    return read_image(image)


def _check_size(name: str, part: CameraModel | MetricDepth | None, image: Image) -> None:
    if part is not None and part.size_hw != image.size_hw:
        raise ShapeError(
            f'{name}: expected the size of the image {image.size_hw}, got {part.size_hw} '
            '(rows, columns). Use the calibration or depth that belongs to this image.'
        )


def _segment(
    segmenter: Segmenter,
    encoded: Callable[[], ImageEmbedding],
    frame: UploadedImage,
    detections: Detections,
    watch: Stopwatch,
) -> Masks:
    """Segment the boxes; without any, the embedding is not asked for."""
    if not len(detections):
        with watch.stage(Stage.SEGMENTER):
            return Masks.empty(frame.size_hw)
    embedding = encoded()
    with watch.stage(Stage.SEGMENTER):
        return segmenter.segment(embedding, detections.boxes_xyxy)


def _ground(
    depth: Depth | None,
    camera: CameraModel | None,
    up: Float64Array | None,
    config: PerceptionConfig,
) -> Plane | None:
    if camera is None or not isinstance(depth, MetricDepth):
        return None
    return find_ground(depth, camera, up, config.camera.height_m or None)


def _objects(
    detections: Detections | None,
    masks: Masks | None,
    depth: Depth | None,
    camera: CameraModel | None,
    up: Float64Array | None,
) -> tuple[SceneObject, ...]:
    if detections is None:
        return ()
    positions: tuple[ObjectPosition | None, ...] = (None,) * len(detections)
    if isinstance(depth, MetricDepth) and camera is not None:
        positions = lift_objects(detections, masks, depth, camera, up)
    visibilities: tuple[Visibility, ...] = (Visibility(),) * len(detections)
    if masks is not None:
        visibilities = measure_visibility(masks, depth)
    return tuple(
        SceneObject.from_detections(
            detections,
            index,
            position,
            truncated=visibility.truncated,
            occluded=visibility.occluded,
        )
        for index, (position, visibility) in enumerate(zip(positions, visibilities, strict=True))
    )
