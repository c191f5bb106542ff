"""The networks of one frame, in order or on two threads."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import cache, cached_property, partial
from typing import Any

from robot_perception.core import (
    Depth,
    Detections,
    Masks,
    MetricDepth,
    SceneClasses,
    SceneFeatures,
    Stage,
)
from robot_perception.models import (
    DepthEstimator,
    Detector,
    DetectorMasks,
    FeatureClassifier,
    ImageEmbedding,
    PromptedDetector,
    SceneClassifier,
    Segmenter,
    SensorDepthEstimator,
    UploadedImage,
)
from robot_perception.pipeline.class_filter import choose_pixel_classes
from robot_perception.pipeline.config import PerceptionConfig
from robot_perception.pipeline.deferred import Submit
from robot_perception.pipeline.networks import Networks
from robot_perception.pipeline.timing import Stopwatch


class NetworkRun:
    """Runs the networks of one frame.

    Detector and depth run on this thread. The others are submitted: they run on the second thread,
    or where their results are used.

    Attributes:
        detections: of the detector; None if it did not run.
        masks: one for each detection; None if detector or segmenter did not run.
        depth: of the network; None if it did not run.
        measured_depth: returns the depth of a sensor, which is waited for once.
    """

    def __init__(
        self,
        networks: Networks,
        stages: Collection[Stage],
        frame: UploadedImage,
        measured_depth: Callable[[], MetricDepth | None],
        config: PerceptionConfig,
        *,
        watch: Stopwatch,
        submit: Submit,
    ) -> None:
        """Choose the networks of ``stages``."""
        self._networks = Networks(**{one.value: getattr(networks, one.value) for one in stages})
        # Its caller waits for a message.
        self.measured_depth = cache(measured_depth)
        # Classifiers by features need it in other frames, too.
        self._extractor = networks.features
        self._frame, self._config, self._watch, self._submit = frame, config, watch, submit
        self.detections: Detections | None = None
        self.masks: Masks | None = None
        self.depth: Depth | None = None
        self._image_results: dict[str, Callable[[], Any]] = {}

    def run(self, detect: Callable[[Detector | PromptedDetector], Detections]) -> None:
        """Run detector, segmenter and depth network, and submit those of the whole image.

        Args:
            detect: finds the objects of the frame with the detector.
        """
        detector, segmenter = self._networks.detector, self._networks.segmenter
        segmented = None
        if detector is not None:
            encoded = None
            if segmenter is not None and not isinstance(segmenter, DetectorMasks):
                encoded = self._submitted(Stage.SEGMENTER, segmenter.encode)
            with self._watch.stage(Stage.DETECTOR):
                found = detect(detector)
            self.detections = replace(found, mask_logits=None)
            if isinstance(segmenter, DetectorMasks):
                segmented = self._submitted(Stage.SEGMENTER, partial(segmenter.read, found))
            elif segmenter is not None and encoded is not None:
                segmented = self._submit(
                    partial(self._segment, segmenter, encoded, self.detections)
                )
        # Nothing else waits for these: on a second thread they come last.
        self._submit_image_results()
        if self._networks.depth is not None and self._config.depth.source.uses_network:
            self.depth = self._estimate(self._networks.depth)
        if segmented is not None:
            self.masks = segmented()

    def _estimate(self, network: DepthEstimator | SensorDepthEstimator) -> Depth:
        if isinstance(network, SensorDepthEstimator):
            sensor = self.measured_depth()
            with self._watch.stage(Stage.DEPTH):
                return network.estimate_from(self._frame, sensor)
        with self._watch.stage(Stage.DEPTH):
            return network.estimate(self._frame)

    def image_results(self) -> dict[str, Any]:
        """Return the results of the whole image, once: fields of a `Scene`."""
        return {name: result() for name, result in self._image_results.items()}

    def _submit_image_results(self) -> None:
        networks, results = self._networks, self._image_results
        if networks.features is not None:
            results['features'] = self._features
        if networks.semantics is not None:
            chosen = choose_pixel_classes(networks.semantics, self._config.semantics)
            results['semantics'] = self._submitted(Stage.SEMANTICS, chosen.segment)
        if networks.scene is not None:
            results['scene_classes'] = self._classified(networks.scene)

    @cached_property
    def _features(self) -> Callable[[], SceneFeatures]:
        """The features, submitted once; they may be asked for several times."""
        assert self._extractor is not None  # noqa: S101 - given with such classifiers
        return cache(self._submitted(Stage.FEATURES, self._extractor.extract))

    def _classified(
        self, classifier: SceneClassifier | FeatureClassifier
    ) -> Callable[[], SceneClasses]:
        labels = self._config.scene.label_names
        if not isinstance(classifier, FeatureClassifier):
            return self._submitted(Stage.SCENE, partial(classifier.classify, labels=labels))
        features = self._features

        def classify() -> SceneClasses:
            found = features()
            with self._watch.stage(Stage.SCENE):
                return classifier.classify_features(found, labels)

        return classify

    def _submitted(self, stage: Stage, work: Callable[[UploadedImage], Any]) -> Callable[[], Any]:
        return self._submit(self._watch.timed(stage, partial(work, self._frame)))

    def _segment(
        self,
        segmenter: Segmenter,
        encoded: Callable[[], ImageEmbedding],
        detections: Detections,
    ) -> Masks:
        """Segment the boxes; without boxes, do not wait for the embedding."""
        if not len(detections):
            with self._watch.stage(Stage.SEGMENTER):
                return Masks.empty(self._frame.size_hw)
        embedding = encoded()
        with self._watch.stage(Stage.SEGMENTER):
            return segmenter.segment(embedding, detections.boxes_xyxy)
