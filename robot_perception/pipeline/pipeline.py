"""The pipeline: features, depth, objects, masks, classes and 3D positions of one frame."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
import os
from typing import Any

from robot_perception.core import (
    CameraModel,
    Image,
    MetricDepth,
    Pose,
    Scene,
    Stage,
    Vector3,
)
from robot_perception.models import (
    DepthEstimator,
    Detector,
    DetectorMasks,
    FeatureClassifier,
    FeatureExtractor,
    PromptedDetector,
    PromptedSemanticSegmenter,
    SceneClassifier,
    Segmenter,
    SemanticSegmenter,
    SensorDepthEstimator,
    UploadedImage,
)
from robot_perception.pipeline.checkpoints import check_checkpoints
from robot_perception.pipeline.config import PerceptionConfig
from robot_perception.pipeline.deferred import lazy_execution, Promise, threaded_execution
from robot_perception.pipeline.frame_lifting import FrameGeometry, lift_frame
from robot_perception.pipeline.image_input import as_image, ImageInput
from robot_perception.pipeline.location_uncertainty import LocationUncertainty
from robot_perception.pipeline.network_batch import NetworkBatch, share_times, WaitingBatches
from robot_perception.pipeline.network_run import NetworkRun
from robot_perception.pipeline.networks import load_networks, Networks, NO_CLASSES
from robot_perception.pipeline.score_calibration import ScoreCalibration
from robot_perception.pipeline.temporal import TemporalState
from robot_perception.pipeline.timing import PIPELINE, STAGES, Stopwatch

_ALL_STAGES = frozenset(Stage)


class PerceptionPipeline:
    """Runs the networks on one frame, whose pixels are uploaded once.

    The networks run one after another. With the parameter ``parallel``, masks and what describes
    the whole image are computed on a second thread while detector, depth and lifting run on the
    first. The scene is the same.

    Call `process` from one thread at a time. `reconfigure` may be called from another thread; it
    takes effect with the next frame.

    >>> PerceptionPipeline.from_preset('stub', device='cpu')
    PerceptionPipeline(stub on cpu: features stub, depth stub, detector stub, segmenter stub)
    """

    def __init__(
        self,
        config: PerceptionConfig,
        *,
        features: FeatureExtractor | None = None,
        depth: DepthEstimator | SensorDepthEstimator | None = None,
        detector: Detector | PromptedDetector | None = None,
        segmenter: Segmenter | DetectorMasks | None = None,
        semantics: SemanticSegmenter | PromptedSemanticSegmenter | None = None,
        scene: SceneClassifier | FeatureClassifier | None = None,
    ) -> None:
        """Create a pipeline of loaded networks; `from_preset` and `from_config` load them by name.

        A stage without a network does not run.

        Raises:
            ConfigError: a file of calibration is missing or invalid, or the detector has no such
                class as ``detector.classes`` names.
        """
        self._config = config
        self._networks = Networks(features, depth, detector, segmenter, semantics, scene)
        self._networks.check_classes(config)
        self._batches = WaitingBatches()
        self._state = TemporalState()
        self._scores = ScoreCalibration.from_config(config)
        self._uncertainty = LocationUncertainty.from_config(config)

    @classmethod
    def from_preset(
        cls,
        name: str,
        overrides: Mapping[str, object] | None = None,
        *,
        device: str | None = None,
    ) -> PerceptionPipeline:
        """Load the networks of a preset.

        Args:
            name: robot, cpu, words, demo or stub.
            overrides: parameters by dotted name, for example ``{'detector.threshold': 0.7}``.
            device: auto, cpu, cuda or cuda:N; None leaves it to the preset and the overrides.

        Raises:
            ConfigError: a preset or parameter does not exist, or a value is invalid.
            ModelError: a checkpoint is missing or unusable, or the device is not available.
        """
        extra = {} if device is None else {'device': device}
        return cls.load(PerceptionConfig.from_preset(name, {**(overrides or {}), **extra}))

    @classmethod
    def from_config(cls, path: str | os.PathLike[str]) -> PerceptionPipeline:
        """Load the networks that a ROS parameter file names."""
        return cls.load(PerceptionConfig.from_file(path))

    @classmethod
    def load(
        cls, config: PerceptionConfig, prompted: Mapping[Stage, Sequence[str]] = NO_CLASSES
    ) -> PerceptionPipeline:
        """Load the networks of a configuration; raises as `from_preset`.

        Args:
            config: names the networks.
            prompted: `prompted_classes` of an earlier pipeline; they keep their ids.
        """
        check_checkpoints(config)
        return cls(config, **load_networks(config, prompted)._asdict())

    def resumed(self, stages: Collection[str]) -> PerceptionPipeline:
        """Return a pipeline that goes on where this one hangs, with new networks of ``stages``."""
        other = type(self)(self._config, **self._networks.renewed(stages)._asdict())
        return other.sibling(self.state_dict())

    def sibling(self, state: Mapping[str, Any] | None = None) -> PerceptionPipeline:
        """Return a pipeline of the same networks for another camera.

        Args:
            state: from `state_dict` of an earlier pipeline of that camera; None = no frames.
        """
        other = type(self)(self._config, **self._networks._asdict())
        if state is not None:
            other.load_state_dict(state)
        return other

    @property
    def notes(self) -> tuple[str, ...]:
        """One sentence for each network that was moved to the CPU or to another runtime."""
        return self._networks.notes

    @property
    def backends(self) -> Mapping[str, str]:
        """Stage -> runtime and precision that compute its network, for example openvino fp32."""
        return self._networks.backends

    @property
    def has_small_inputs(self) -> bool:
        """Whether any network is prepared for the parameter ``small_inputs``."""
        return self._networks.has_small_inputs

    @property
    def config(self) -> PerceptionConfig:
        """The parameters in force."""
        return self._config

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the detector's classes, by class id; empty without a detector."""
        return self._networks.class_names

    @property
    def semantic_class_names(self) -> tuple[str, ...]:
        """Names of the classes of pixels, by class id; empty without that network."""
        return self._networks.semantic_class_names

    @property
    def prompted_classes(self) -> Mapping[Stage, Sequence[str]]:
        """Stage -> names of the classes so far, by class id, where classes are prompts."""
        return self._networks.prompted_classes

    @property
    def scene_labels(self) -> tuple[str, ...]:
        """Names of the classes of the whole image, by number; empty without that stage."""
        scene = self._networks.scene
        return () if scene is None else tuple(scene.class_names) or self._config.scene.label_names

    def reconfigure(self, config: PerceptionConfig) -> None:
        """Change live parameters from the next frame on.

        Raises:
            ConfigError: a parameter that is fixed once the networks are loaded has changed, or a
                stage is enabled whose network was not loaded, or the detector has no such class.
        """
        self._config.check_change(config)
        self._networks.check_loaded(config)
        self._networks.check_classes(config)
        self._config = config

    def __repr__(self) -> str:
        """Name the preset, the device and the networks."""
        networks = self._networks.describe(self._config) or 'no networks'
        return f'PerceptionPipeline({self._config.preset} on {self._config.device}: {networks})'

    def reset(self) -> None:
        """Drop the state of earlier frames, as after a time jump."""
        self._state.reset()

    def reset_prompts(self) -> None:
        """Number the classes that are prompts or labels from 0 again, in the next frame.

        Without it every prompt is kept. Call it between images that have nothing to do with each
        other, not while tracks go on.
        """
        self._networks.reset_prompts()

    def state_dict(self) -> dict[str, Any]:
        """Return the state kept from earlier frames, as JSON values.

        A pipeline of the same configuration that loads it with `load_state_dict` processes the
        following frames exactly as this one would.
        """
        return {**self._state.state_dict(), 'prompted': dict(self.prompted_classes)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load what `state_dict` returned."""
        self._state.load_state_dict(state)
        self._networks.number(state['prompted'])

    def compute_together(
        self,
        images: Sequence[Image],
        cameras: Sequence[tuple[PerceptionPipeline, Collection[Stage]]] = (),
        config: PerceptionConfig | None = None,
    ) -> None:
        """Let networks compute the images of the coming frames together, in batches.

        `process` is called with each, in order; others are computed alone. Rounding differs.

        Args:
            images: of the coming frames, or of several cameras.
            cameras: pipeline of each image, and the stages due for it; none = all are of this one.
            config: parameters of their frames; None for those in force.
        """
        stages = [needed for _, needed in cameras]
        batch = NetworkBatch(self._networks, images, config or self._config, stages)
        for pipeline in [one for one, _ in cameras] or [self]:
            pipeline._batches.add(batch)  # noqa: SLF001 - of the same class

    def discard_batches(self) -> None:
        """Drop what `compute_together` has for images that are not processed."""
        self._batches.clear()

    def process_many(
        self, images: Iterable[ImageInput], camera: CameraModel | None = None
    ) -> Iterator[Scene]:
        """Process images one after another and yield a scene for each; see `process`."""
        for image in images:
            yield self.process(image, camera)

    def process(
        self,
        image: ImageInput,
        camera: CameraModel | None = None,
        *,
        sensor_depth: Promise[MetricDepth | None] = None,
        gravity_up: Promise[Vector3 | None] = None,
        fixed_from_optical: Promise[Pose | None] = None,
        time_ns: int | None = None,
        stages: Collection[Stage] = _ALL_STAGES,
        config: PerceptionConfig | None = None,
        watch: Stopwatch | None = None,
    ) -> Scene:
        """Process one frame.

        Depth and pose may be functions without arguments. Each is called at most once, where its
        value is used, so that the detector can run before a late message arrives.

        Args:
            image: an `Image` with stamp and frame, an image file, or pixels; see `as_image`.
            camera: calibration at the image's size; without it there is no 3D.
            sensor_depth: registered depth at the image's size. It replaces the output of the depth
                network if ``depth.source`` is ``sensor``, and is fused with it if ``fused``.
            gravity_up: direction away from the ground in the optical frame, of any length, as
                measured by an IMU or known from the pose of the camera. 3D boxes are then upright
                with a heading; otherwise they are aligned with the camera's axes.
            fixed_from_optical: pose of the optical frame in a frame that does not move, such as
                odom; tracked objects then have velocities.
            time_ns: when the image was taken, nanoseconds, for tracks and velocities; None = its
                stamp, of which 0 means that it belongs to no sequence.
            stages: what to compute; a stage that is disabled in the configuration stays off.
            config: parameters of this frame, if `config` was read before; None for those in force.
            watch: times the stages; another thread can read which of them is running.

        Returns:
            The scene. ``timing_s['pipeline']`` includes the time spent waiting for depth and pose.

        Raises:
            InputError: the sizes of image, camera and depth differ, or ``gravity_up`` has no
                direction.
            ModelError: a network failed.
        """
        config = config or self._config
        frame = UploadedImage(as_image(image), small_inputs=config.small_inputs)
        networks, upload = self._batches.take(frame) or (self._networks, frame)
        geometry = FrameGeometry(
            frame.image.size_hw, camera, sensor_depth, gravity_up, fixed_from_optical
        )
        watch = watch or Stopwatch()
        time_ns = frame.image.stamp_ns if time_ns is None else time_ns
        due = self.due(stages, config)
        results: dict[str, Any] = {}
        execution = threaded_execution if config.parallel else lazy_execution
        with watch.stage(PIPELINE), execution() as submit:
            run = NetworkRun(
                networks, due, upload, geometry.measured_depth, config, watch=watch, submit=submit
            )
            run.run(lambda one: self._state.detect(one, self._scores, upload, time_ns, config))
            if not config.parallel:
                results = run.image_results()
            # Work that needs neither sensor depth nor pose is done, or runs on the other thread.
            lifted = lift_frame(
                *(run, geometry, self._state, self._uncertainty, config),
                has_depth=Stage.DEPTH in due,
                time_ns=time_ns,
                watch=watch,
            )
            if config.parallel:
                results = run.image_results()
        self._state.frames += 1
        seconds = share_times(watch.seconds, networks, upload)
        return Scene(
            image=frame.image,
            camera=camera,
            detections=run.detections,
            masks=run.masks,
            timing_s={name: seconds[name] for name in (*STAGES, PIPELINE) if name in seconds},
            backends={name: one for name, one in self.backends.items() if name in seconds},
            **lifted._asdict(),
            **results,
        )

    def due(
        self, stages: Collection[Stage], config: PerceptionConfig | None = None
    ) -> frozenset[Stage]:
        """Return those of ``stages`` that the next frame runs: enabled, and due by ``every_k``."""
        config, frames = config or self._config, self._state.frames
        return frozenset(
            stage
            for stage in stages
            if config.stage(stage).enabled and frames % config.stage(stage).every_k == 0
        )
