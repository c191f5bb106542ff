"""Networks that survive a GPU without memory, and can be loaded again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import copy
from typing import Any, Generic, TYPE_CHECKING, TypeVar

from robot_perception import models
from robot_perception.core import (
    Depth,
    Detections,
    Float32Array,
    Masks,
    MetricDepth,
    ModelError,
    SceneClasses,
    SceneFeatures,
    Semantics,
    Stage,
)
from robot_perception.models import (
    DepthEstimator,
    Detector,
    FeatureExtractor,
    ImageEmbedding,
    SceneClassifier,
    Segmenter,
    SemanticSegmenter,
    SensorDepthEstimator,
    UploadedImage,
)
from robot_perception.pipeline.config import PerceptionConfig

if TYPE_CHECKING:
    from typing_extensions import Self  # typing has it from Python 3.11 on

    from robot_perception.models import Backend

_Network = TypeVar('_Network')
_Result = TypeVar('_Result')
_Classifier = TypeVar('_Classifier', Detector, SemanticSegmenter, SceneClassifier)
DEVICE_LOST = 'device_lost'
"""Reason of an error after which no network of this process can run on its GPU."""

_ATTEMPTS = 2
BUILDERS: dict[Stage, Callable[..., Any]] = {
    Stage.FEATURES: models.build_feature_extractor,
    Stage.DEPTH: models.build_depth_estimator,
    Stage.DETECTOR: models.build_detector,
    Stage.SEGMENTER: models.build_segmenter,
    Stage.SEMANTICS: models.build_semantic_segmenter,
    Stage.SCENE: models.build_scene_classifier,
}


class RecoveringNetwork(Generic[_Network]):
    """The network of one stage.

    If it runs out of GPU memory, unused memory is freed and it runs again; if that fails too, it
    is moved to the CPU and stays there.
    """

    stage: Stage

    def __init__(self, config: PerceptionConfig) -> None:
        """Load the network.

        Raises:
            ModelError: its checkpoint is missing or unusable, or its device is not there.
        """
        self._moved = ''
        self._config = config
        self._network: _Network | None = self._load(config)

    @property
    def note(self) -> str:
        """States that it was moved to the CPU or to another runtime, empty if not."""
        return self._moved or getattr(self._network, 'note', '')

    @property
    def backend(self) -> str:
        """Runtime and precision in use; empty for a stub."""
        return getattr(self._network, 'backend', '')

    @property
    def candidates(self) -> tuple[Backend, ...]:
        """Runtimes and precisions, of which the fastest that is right is used."""
        return getattr(self._network, 'candidates', ())

    @property
    def has_small_inputs(self) -> bool:
        """Whether it is prepared to compute images at smaller inputs."""
        return getattr(self._network, 'has_small_inputs', False)

    def renewed(self) -> Self:
        """Return the same network, to be loaded again when it is first used."""
        other = copy.copy(self)
        other._network = None  # noqa: SLF001 - of the same class
        return other

    def _load(self, config: PerceptionConfig) -> _Network:
        section = config.stage(self.stage)
        network: _Network = BUILDERS[self.stage](
            section.model,
            device=config.device,
            precision=config.choose_precision(self.stage).value,
            runtime=config.choose_runtime(self.stage),
            input_size=section.input_size,
            small_inputs=config.budget.max_age_s > 0,
        )
        return network

    def _run(self, call: Callable[[_Network], _Result]) -> _Result:
        for _ in range(_ATTEMPTS):
            try:
                return call(self._loaded())
            except Exception as error:
                self._check_fatal(error)
                if self._moved or not models.is_out_of_memory(error):
                    raise
            # Outside of the handler, since the error keeps the memory of the failed call.
            models.free_device_memory()
        return self._run_on_cpu(call)

    def _run_many(
        self,
        name: str,
        images: Sequence[UploadedImage],
        call: Callable[..., _Result],
        **options: float,
    ) -> list[_Result]:
        """Compute images together with a method of the network, if it has it and it succeeds.

        Otherwise ``call`` computes one after another, which needs less memory.
        """
        together = getattr(self._loaded(), name, None)
        if together is not None and len(images) > 1:
            try:
                results: list[_Result] = together(images, **options)
            except Exception as error:
                self._check_fatal(error)
                if not models.is_out_of_memory(error):
                    raise
            else:
                return results
            models.free_device_memory()
        return [call(image, **options) for image in images]

    def _check_fatal(self, error: Exception) -> None:
        if models.is_fatal(error):
            raise ModelError(
                DEVICE_LOST,
                f'{self.stage}: the GPU refuses every further call of this process ({error}). '
                'Restart the process.',
            ) from error

    def _loaded(self) -> _Network:
        if self._network is None:
            self._network = self._load(self._config)
        return self._network

    def _run_on_cpu(self, call: Callable[[_Network], _Result]) -> _Result:
        """Move the network to the CPU for good, unless it fails there as well."""
        self._network = None
        models.free_device_memory()
        stage = self.stage
        config = self._config.with_values(
            {'device': 'cpu', f'{stage}.precision': 'fp32', f'{stage}.runtime': 'torch'}
        )
        network = self._load(config)
        result = call(network)
        self._network, self._config = network, config
        self._moved = (
            f'{self.stage}: the GPU ran out of memory twice, so this network now runs on the CPU '
            f'and is slow. Lower {self.stage}.input_size or free memory of the GPU, then '
            'deactivate, clean up and configure the node again.'
        )
        return result


class RecoveringFeatureExtractor(RecoveringNetwork[FeatureExtractor]):
    """A feature extractor."""

    stage = Stage.FEATURES

    def extract(self, image: UploadedImage) -> SceneFeatures:
        """Return the features of the whole image and of its patches."""
        return self._run(lambda network: network.extract(image))

    def extract_many(self, images: Sequence[UploadedImage]) -> list[SceneFeatures]:
        """Return the features of images of one size, computed together if that is possible."""
        return self._run_many('extract_many', images, self.extract)


class RecoveringDepthEstimator(RecoveringNetwork[DepthEstimator]):
    """A depth network."""

    stage = Stage.DEPTH

    def estimate(self, image: UploadedImage) -> Depth:
        """Return depth at the image's size."""
        return self._run(lambda network: network.estimate(image))

    def estimate_many(self, images: Sequence[UploadedImage]) -> list[Depth]:
        """Return the depth of images of one size, computed together if that is possible."""
        return self._run_many('estimate_many', images, self.estimate)


class RecoveringSensorDepthEstimator(RecoveringNetwork[SensorDepthEstimator]):
    """A depth network that takes the depth of a sensor."""

    stage = Stage.DEPTH

    def estimate_from(self, image: UploadedImage, sensor: MetricDepth | None) -> Depth:
        """Return depth at the image's size; relative if the sensor has none."""
        return self._run(lambda network: network.estimate_from(image, sensor))


class _WithClasses(RecoveringNetwork[_Classifier]):
    """A network with classes of its own."""

    def __init__(self, config: PerceptionConfig) -> None:
        """Load the network."""
        super().__init__(config)
        self._class_names = self._run(lambda network: tuple(network.class_names))

    @property
    def class_names(self) -> Sequence[str]:
        """Names by class id; empty if the network takes any labels."""
        return self._class_names


class RecoveringDetector(_WithClasses[Detector]):
    """A detector."""

    stage = Stage.DETECTOR

    def detect(self, image: UploadedImage, *, threshold: float, max_objects: int) -> Detections:
        """Return at most ``max_objects`` objects with scores above ``threshold``, best first."""
        return self._run(
            lambda network: network.detect(image, threshold=threshold, max_objects=max_objects)
        )

    def detect_many(
        self, images: Sequence[UploadedImage], *, threshold: float, max_objects: int
    ) -> list[Detections]:
        """Return the objects of images of one size, computed together if that is possible."""
        return self._run_many(
            'detect_many', images, self.detect, threshold=threshold, max_objects=max_objects
        )


class RecoveringSegmenter(RecoveringNetwork[Segmenter]):
    """A segmenter."""

    stage = Stage.SEGMENTER

    def encode(self, image: UploadedImage) -> ImageEmbedding:
        """Return what can be computed without boxes."""
        return self._run(lambda network: network.encode(image))

    def encode_many(self, images: Sequence[UploadedImage]) -> list[ImageEmbedding]:
        """Encode images of one size, together if that is possible."""
        return self._run_many('encode_many', images, self.encode)

    def segment(self, embedding: ImageEmbedding, boxes_xyxy: Float32Array) -> Masks:
        """Return one mask at the image's size for each of (N, 4) boxes."""
        return self._run(lambda network: network.segment(embedding, boxes_xyxy))


class RecoveringSemanticSegmenter(_WithClasses[SemanticSegmenter]):
    """A network of every pixel."""

    stage = Stage.SEMANTICS

    def segment(self, image: UploadedImage) -> Semantics:
        """Return the class of each pixel at the image's size."""
        return self._run(lambda network: network.segment(image))


class RecoveringSceneClassifier(_WithClasses[SceneClassifier]):
    """A classifier of the whole image."""

    stage = Stage.SCENE

    def check_labels(self, labels: Sequence[str]) -> None:
        """Raise ConfigError for labels that cannot be scored."""
        self._run(lambda network: network.check_labels(labels))

    def classify(self, image: UploadedImage, labels: Sequence[str]) -> SceneClasses:
        """Return the scores of ``labels``; without any, those of the network's own classes."""
        return self._run(lambda network: network.classify(image, labels))
