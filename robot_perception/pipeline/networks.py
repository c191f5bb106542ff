"""Loading of the networks that a configuration names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TYPE_CHECKING

from robot_perception import models
from robot_perception.core import ConfigError, DepthSource, Scene, Stage
from robot_perception.models import (
    DepthEstimator,
    Detector,
    DetectorMasks,
    FeatureClassifier,
    FeatureExtractor,
    PromptedDetector,
    PromptedNetwork,
    PromptedSemanticSegmenter,
    SceneClassifier,
    Segmenter,
    SemanticSegmenter,
    SensorDepthEstimator,
)
from robot_perception.pipeline.class_filter import (
    choose_classes,
    choose_pixel_classes,
    find_class_ids,
)
from robot_perception.pipeline.config import PerceptionConfig
from robot_perception.pipeline.config_stages import DetectorConfig, FROM_DETECTOR
from robot_perception.pipeline.prompted_recovery import (
    RecoveringPromptedDetector,
    RecoveringPromptedNetwork,
    RecoveringPromptedSegmenter,
)
from robot_perception.pipeline.recovery import (
    RecoveringDepthEstimator,
    RecoveringDetector,
    RecoveringFeatureExtractor,
    RecoveringNetwork,
    RecoveringSceneClassifier,
    RecoveringSegmenter,
    RecoveringSemanticSegmenter,
    RecoveringSensorDepthEstimator,
)
from robot_perception.pipeline.scene_gallery import SceneGallery

if TYPE_CHECKING:
    from robot_perception.models import Backend

_DESCRIBED_FRAME = 2
NO_CLASSES: Mapping[Stage, Sequence[str]] = MappingProxyType({})
_EXAMPLE = 'facebook/sam2.1-hiera-tiny'
_NETWORKS: Mapping[Stage, type[RecoveringNetwork[Any]]] = {
    network.stage: network
    for network in (
        RecoveringFeatureExtractor,
        RecoveringDepthEstimator,
        RecoveringDetector,
        RecoveringSegmenter,
        RecoveringSemanticSegmenter,
        RecoveringSceneClassifier,
    )
}
_PROMPTED: Mapping[Stage, type[RecoveringPromptedNetwork[Any]]] = {
    network.stage: network for network in (RecoveringPromptedDetector, RecoveringPromptedSegmenter)
}


class Networks(NamedTuple):
    """Networks by stage; None for a stage that needs none.

    A `FeatureClassifier` takes the results of the features network. `DetectorMasks` are those of
    the detector.
    """

    features: FeatureExtractor | None = None
    depth: DepthEstimator | SensorDepthEstimator | None = None
    detector: Detector | PromptedDetector | None = None
    segmenter: Segmenter | DetectorMasks | None = None
    semantics: SemanticSegmenter | PromptedSemanticSegmenter | None = None
    scene: SceneClassifier | FeatureClassifier | None = None

    def renewed(self, stages: Collection[str]) -> Networks:
        """Return the same networks, of which those of ``stages`` are loaded again when used."""
        recovering = {one.stage.value: one.renewed() for one in self._recovering()}
        chosen: dict[str, Any] = {name: one for name, one in recovering.items() if name in stages}
        return self._replace(**chosen)

    @property
    def notes(self) -> tuple[str, ...]:
        """One sentence for each network that was moved to the CPU or to another runtime."""
        return tuple(one.note for one in self._recovering() if one.note)

    @property
    def backends(self) -> Mapping[str, str]:
        """Stage -> runtime and precision of its network; without stubs."""
        return {one.stage.value: one.backend for one in self._recovering() if one.backend}

    @property
    def candidates(self) -> Mapping[Stage, tuple[Backend, ...]]:
        """Stage -> runtimes and precisions, of which the fastest that is right is used."""
        return {one.stage: one.candidates for one in self._recovering()}

    @property
    def has_small_inputs(self) -> bool:
        """Whether any network is prepared to compute images at smaller inputs."""
        return any(one.has_small_inputs for one in self._recovering())

    def _recovering(self) -> list[RecoveringNetwork[Any]]:
        networks: tuple[object, ...] = self
        return [one for one in networks if isinstance(one, RecoveringNetwork)]

    @property
    def loaded(self) -> tuple[Stage, ...]:
        """Stages that have a network."""
        return tuple(stage for stage in Stage if getattr(self, stage.value) is not None)

    def describe(self, config: PerceptionConfig) -> str:
        """Return each stage with its model or gallery.

        >>> Networks().describe(PerceptionConfig())
        ''
        """
        models = {one.value: config.stage(one).model for one in self.loaded}
        if isinstance(self.scene, FeatureClassifier):
            models[Stage.SCENE.value] = config.scene.gallery
        return ', '.join(f'{stage} {model}' for stage, model in models.items())

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the detector's classes so far, by class id; empty without a detector."""
        return () if self.detector is None else tuple(self.detector.class_names)

    @property
    def semantic_class_names(self) -> tuple[str, ...]:
        """Names of the classes of pixels so far, by class id; empty without that network."""
        return () if self.semantics is None else tuple(self.semantics.class_names)

    @property
    def prompted_classes(self) -> Mapping[Stage, Sequence[str]]:
        """Stage -> names of the classes so far, by class id, where classes are prompts."""
        return {stage: tuple(one.class_names) for stage, one in self._prompted().items()}

    def number(self, prompted: Mapping[Stage, Sequence[str]]) -> None:
        """Number the classes that were prompts before, in their order; see `prompted_classes`."""
        for stage, network in self._prompted().items():
            network.number(prompted.get(stage, ()))

    def reset_prompts(self) -> None:
        """Number the classes that are prompts from 0 again."""
        for network in self._prompted().values():
            network.reset_prompts()

    def _prompted(self) -> dict[Stage, PromptedNetwork]:
        networks = self._asdict()
        return {
            stage: network
            for stage in Stage
            if isinstance(network := networks[stage.value], PromptedNetwork)
        }

    def check_classes(self, config: PerceptionConfig) -> None:
        """Check that the networks, as far as there are any, have what a configuration names.

        Networks that take prompts have these classes from now on.

        Raises:
            ConfigError: the detector lacks such a class, or ``semantics.labels`` or
                ``scene.labels`` cannot be scored.
        """
        if self.detector is not None:
            choose_classes(self.detector, config.detector)
        if self.semantics is not None:
            chosen = choose_pixel_classes(self.semantics, config.semantics)
            names = config.semantics.label_names or chosen.class_names
            wanted = config.points.ground_names
            find_class_ids('points.ground_classes', 'network', names, wanted)
        if self.scene is not None:
            self.scene.check_labels(config.scene.label_names)

    def check_loaded(self, config: PerceptionConfig) -> None:
        """Check that these are all networks that a configuration needs.

        Raises:
            ConfigError: a stage is enabled whose network was not loaded.
        """
        for stage in _stages_with_network(config):
            if stage not in self.loaded:
                raise ConfigError(
                    'network_not_loaded',
                    f'{stage}.enabled: the network was not loaded, because the stage was '
                    'disabled. Enable it before the networks are loaded.',
                )


class BackendReport:
    """Describes what computes each stage, after its second frame and after each change.

    The first frame is not typical: networks are compiled and compared with torch.
    """

    def __init__(self) -> None:
        """Start before the first frame."""
        self._frames: Counter[tuple[str, str]] = Counter()

    def add(self, scene: Scene) -> Iterator[str]:
        """Count a frame, and yield a line for each stage to be described."""
        for stage, backend in scene.backends.items():
            self._frames[stage, backend] += 1
            if self._frames[stage, backend] == _DESCRIBED_FRAME:
                yield f'{stage}: {backend}, {scene.timing_s[stage] * 1e3:.0f} ms'


def load_networks(
    config: PerceptionConfig, prompted: Mapping[Stage, Sequence[str]] = NO_CLASSES
) -> Networks:
    """Load the networks of a configuration.

    Args:
        config: names the networks.
        prompted: classes by id that networks had before whose classes are prompts.

    Raises:
        ModelError: a checkpoint is missing or unusable, or the device is not there.
    """
    needed = networks_needed(config)
    # Stubs need no torch.
    if config.cpu_threads > 0 and any(config.stage(one).model != models.STUB for one in needed):
        models.limit_cpu_threads(config.cpu_threads)
    networks: dict[str, Any] = {}
    if config.segmenter.enabled and config.segmenter.model == FROM_DETECTOR:
        _check_masks(config.detector)
        networks[Stage.SEGMENTER.value] = DetectorMasks()
    for stage in needed:
        networks[stage.value] = _network_class(stage, config)(config)
    if config.scene.enabled and config.scene.gallery:
        gallery = SceneGallery(Path(config.scene.gallery), networks[Stage.FEATURES.value])
        networks[Stage.SCENE.value] = gallery
    loaded = Networks(**networks)
    loaded.number(prompted)
    return loaded


def _check_masks(detector: DetectorConfig) -> None:
    """Check that a detector gives masks, if it is to run."""
    model = detector.model
    if detector.enabled and (
        model == models.STUB or not models.locate_checkpoint(model, Stage.DETECTOR).gives_masks
    ):
        raise ConfigError(
            'no_masks',
            f'segmenter.model: expected a segmenter, since {model} gives boxes without masks; got '
            f'{FROM_DETECTOR!r}. Set segmenter.model to a segmenter such as {_EXAMPLE}, or '
            'detector.model to a checkpoint for instance segmentation, such as one of '
            'RfDetrForInstanceSegmentation.',
        )


def _network_class(stage: Stage, config: PerceptionConfig) -> type[RecoveringNetwork[Any]]:
    model = config.stage(stage).model
    if model == models.STUB or stage not in {Stage.DEPTH, *_PROMPTED}:
        return _NETWORKS[stage]
    checkpoint = models.locate_checkpoint(model, stage)
    if not checkpoint.takes_depth:
        return _PROMPTED[stage] if checkpoint.takes_text else _NETWORKS[stage]
    if config.depth.source is not DepthSource.FUSED:
        raise ConfigError(
            'needs_sensor',
            f'depth.source: expected fused, since {model} takes the depth of a camera, got '
            f'{config.depth.source}. Set it to fused, and give that depth; or use another '
            'depth.model.',
        )
    return RecoveringSensorDepthEstimator


def networks_needed(config: PerceptionConfig) -> tuple[Stage, ...]:
    """Return the stages whose network is needed, in the order they run.

    A gallery of scenes needs that of the features, whether that stage is enabled or not. Masks of
    the detector need no segmenter.
    """
    needed = set(_stages_with_network(config))
    if Stage.SCENE in needed and config.scene.gallery:
        needed = (needed - {Stage.SCENE}) | {Stage.FEATURES}
    if config.segmenter.model == FROM_DETECTOR:
        needed -= {Stage.SEGMENTER}
    return tuple(stage for stage in Stage if stage in needed)


def _stages_with_network(config: PerceptionConfig) -> Iterator[Stage]:
    """Yield the enabled stages that do not take their results from a sensor alone."""
    for stage in Stage:
        if config.stage(stage).enabled and (
            stage is not Stage.DEPTH or config.depth.source.uses_network
        ):
            yield stage
