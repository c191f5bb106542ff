"""Runs a pipeline on pictures whose truth is known, and asks it for what only a test wants."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from robot_perception.core import ConfigError, Detections, Masks, non_max_suppression, Scene, Stage
from robot_perception.evaluation.ground_truth import GroundTruth
from robot_perception.evaluation.ground_truth_stages import (
    check_given,
    GIVEN_STAGES,
    GroundTruthStages,
)
from robot_perception.evaluation.precision import MAX_DETECTIONS
from robot_perception.models import Detector, Segmenter, UploadedImage
from robot_perception.pipeline import (
    load_networks,
    Networks,
    PerceptionConfig,
    PerceptionPipeline,
)

# Average precision looks at all predictions; those scoring less change nothing in it.
LEAST_SCORE = 0.01
# More than those, since some overlap too much.
_CANDIDATES = 3 * MAX_DETECTIONS


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationOutput:
    """What a pipeline says of one picture.

    Attributes:
        scene: the result of the pipeline as it is configured, with its times.
        candidates: predictions down to a score of 0.01, at most 100; None without a detector.
        true_box_masks: masks that the segmenter made of all true boxes; None without one, or where
            objects are given.

    """

    scene: Scene
    candidates: Detections | None
    true_box_masks: Masks | None


class EvaluationPipeline:
    """A pipeline that also tells its unlikely predictions, and its masks of true boxes.

    The detector runs once for each frame: it is asked for all candidates, which are kept as far as
    they do not overlap too much, and those above the configured threshold go on through the pipeline. The segmenter runs a second
    time, for the true boxes, outside the measured times.
    """

    def __init__(
        self, config: PerceptionConfig, networks: Networks, given: Collection[str] = ()
    ) -> None:
        """Join ready networks; `load` loads them by name.

        Every stage runs on every frame, whatever its ``every_k``: frames of a test do not follow
        one another.

        Args:
            config: parameters of the pipeline.
            networks: those of its stages.
            given: what is taken from the truth instead: 'depth', or 'objects' with their boxes,
                names and masks.

        Raises:
            ConfigError: depth comes from a sensor, of which there is nothing to evaluate; or
                something cannot be given.

        """
        check_config(config)
        check_given(given)
        self._oracle = GroundTruthStages()
        if 'depth' in given:
            networks = networks._replace(depth=self._oracle)
        if 'objects' in given:
            # True objects may overlap as much as they like.
            config = config.with_values({'detector.max_overlap': 1.0})
            networks = networks._replace(detector=self._oracle, segmenter=self._oracle)
        every_frame = {f'{stage}.every_k': 1 for stage in Stage}
        self._config = config.with_values(every_frame)
        self._detector = (
            None if networks.detector is None else _RememberingDetector(networks.detector)
        )
        self._segmenter = None if 'objects' in given else networks.segmenter
        self._pipeline = PerceptionPipeline(
            self._config, **networks._replace(detector=self._detector)._asdict()
        )

    @classmethod
    def load(cls, config: PerceptionConfig, given: Collection[str] = ()) -> EvaluationPipeline:
        """Load the networks of a configuration, but for the stages that are ``given``.

        Raises:
            ConfigError: as above, before anything is loaded.
            ModelError: a checkpoint is missing or unusable, or the device is not there.

        """
        check_config(config)
        check_given(given)
        stages = [stage for part in given for stage in GIVEN_STAGES[part]]
        unloaded = config.with_values({f'{stage}.enabled': False for stage in stages})
        return cls(config, load_networks(unloaded), given)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the detector's classes; empty without a detector."""
        return self._pipeline.class_names

    def process(self, truth: GroundTruth) -> EvaluationOutput:
        """Process the picture of a frame, told what is up where that is known."""
        self._oracle.truth = truth
        scene = self._pipeline.process(truth.image, truth.camera, gravity_up=truth.up)
        masks = None
        if self._segmenter is not None:
            masks = _segment_true_boxes(self._segmenter, truth)
        if self._detector is None:
            return EvaluationOutput(scene, None, masks)
        candidates = self._detector.last
        picked = non_max_suppression(candidates.boxes_xyxy, self._config.detector.max_overlap)
        return EvaluationOutput(scene, candidates[picked[:MAX_DETECTIONS]], masks)


def _segment_true_boxes(segmenter: Segmenter, truth: GroundTruth) -> Masks:
    boxes = truth.detections.boxes_xyxy
    if not len(boxes):
        return Masks.empty(truth.image.size_hw)
    return segmenter.segment(segmenter.encode(UploadedImage(truth.image)), boxes)


def check_config(config: PerceptionConfig) -> None:
    """Raise ConfigError unless there is a network behind every stage."""
    if config.depth.enabled and config.depth.source.uses_sensor:
        raise ConfigError(
            'unsupported_source',
            f'depth.source: expected model, got {config.depth.source}: a sensor is not evaluated. '
            'Set depth.source=model or depth.enabled=false.',
        )


class _RememberingDetector:
    """A detector that keeps what it left out."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self.last = Detections.empty()

    @property
    def class_names(self) -> Sequence[str]:
        return self._detector.class_names

    def detect(self, frame: UploadedImage, *, threshold: float, max_objects: int) -> Detections:
        self.last = self._detector.detect(
            frame,
            threshold=min(threshold, LEAST_SCORE),
            max_objects=max(max_objects, _CANDIDATES),
        )
        # Best first, so that these are what the detector gives when it is asked for them only.
        return self.last[np.flatnonzero(self.last.scores > threshold)[:max_objects]]
