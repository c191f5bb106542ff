"""A pipeline that also returns what an evaluation needs: all candidates, masks of true boxes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from robot_perception.core import (
    Detections,
    Masks,
    MetricDepth,
    non_max_suppression,
    Scene,
    Stage,
)
from robot_perception.evaluation.frame_matches import MAX_DETECTIONS
from robot_perception.evaluation.ground_truth import GroundTruth
from robot_perception.evaluation.ground_truth_stages import (
    check_given,
    GIVEN_STAGES,
    GroundTruthStages,
)
from robot_perception.models import Detector, DetectorMasks, Segmenter, UploadedImage
from robot_perception.pipeline import (
    choose_classes,
    load_networks,
    Networks,
    PerceptionConfig,
    PerceptionPipeline,
    ScoreCalibration,
)

# Average precision uses all predictions; lower scores hardly change it.
MIN_SCORE = 0.01
# More than are kept, since some overlap too much.
_CANDIDATES = 3 * MAX_DETECTIONS


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationOutput:
    """The output of a pipeline for one image.

    Attributes:
        scene: the result of the pipeline as it is configured, with its times.
        candidates: predictions down to a raw score of 0.01, at most 100; None without a detector.
        true_box_masks: masks that the segmenter predicts for all true boxes; None without one, or
            where objects are given.
    """

    scene: Scene
    candidates: Detections | None
    true_box_masks: Masks | None


class EvaluationPipeline:
    """A pipeline that also returns predictions of low score, and masks of the true boxes.

    The detector runs once for each frame and returns all candidates; those above the configured
    threshold go on through the pipeline. The segmenter runs a second time, for the true boxes,
    outside the measured times.
    """

    def __init__(
        self, config: PerceptionConfig, networks: Networks, given: Collection[str] = ()
    ) -> None:
        """Use loaded networks; `load` loads them by name.

        Every stage runs on every frame, whatever its ``every_k``: frames of a test need not be
        consecutive. What is given, 'depth' or 'objects' with their boxes, names and masks, is
        taken from the ground truth.

        Raises:
            ConfigError: ``'unknown_choice'``, something cannot be given; ``'conflicting_flags'``,
                depth is given although it comes from a sensor.
        """
        check_given(given, config)
        self._ground_truth_stages = GroundTruthStages()
        if 'depth' in given:
            networks = networks._replace(depth=self._ground_truth_stages)
        if 'objects' in given:
            # True objects may overlap to any degree.
            config = config.with_values({'detector.max_overlap': 1.0, 'detector.model': 'stub'})
            networks = networks._replace(
                detector=self._ground_truth_stages, segmenter=self._ground_truth_stages
            )
        every_frame = {f'{stage}.every_k': 1 for stage in Stage}
        self._detector = None
        if networks.detector is not None:
            self._detector = _RecordingDetector(choose_classes(networks.detector, config.detector))
        chosen = {'detector.classes': '', 'detector.prompts': ''}
        self._config = config.with_values({**every_frame, **chosen})
        self._segmenter: Segmenter | None = None
        if 'objects' not in given and not isinstance(networks.segmenter, DetectorMasks):
            self._segmenter = networks.segmenter
        self._scores = ScoreCalibration.from_config(self._config)
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
        check_given(given, config)
        stages = [stage for part in given for stage in GIVEN_STAGES[part]]
        unloaded = config.with_values({f'{stage}.enabled': False for stage in stages})
        return cls(config, load_networks(unloaded), given)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the detector's classes; empty without a detector."""
        return self._pipeline.class_names

    def process(
        self, truth: GroundTruth, sensor_depth: MetricDepth | None = None
    ) -> EvaluationOutput:
        """Process the image of a frame, with the direction of gravity where it is known.

        Frames are independent of each other: nothing is tracked or smoothed from one to the next.
        ``sensor_depth`` is used according to ``depth.source``; without it there is no depth
        where depth comes from a sensor alone.
        """
        self._ground_truth_stages.truth = truth
        self._pipeline.reset()
        scene = self._pipeline.process(
            truth.image, truth.camera, sensor_depth=sensor_depth, gravity_up=truth.up
        )
        segmenter = self._segmenter
        masks = None if segmenter is None else self._segment_true_boxes(segmenter, truth)
        if self._detector is None:
            return EvaluationOutput(scene, None, masks)
        candidates = self._scores.apply(self._detector.last)
        kept = non_max_suppression(candidates.boxes_xyxy, self._config.detector.max_overlap)
        candidates = replace(candidates[kept[:MAX_DETECTIONS]], mask_logits=None)
        return EvaluationOutput(scene, candidates, masks)

    def _segment_true_boxes(self, segmenter: Segmenter, truth: GroundTruth) -> Masks:
        boxes = truth.detections.boxes_xyxy
        if not len(boxes):
            return Masks.empty(truth.image.size_hw)
        image = UploadedImage(truth.image, small_inputs=self._config.small_inputs)
        return segmenter.segment(segmenter.encode(image), boxes)


class _RecordingDetector:
    """A detector that also stores the candidates below the threshold."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self.last = Detections.empty()

    @property
    def class_names(self) -> Sequence[str]:
        return self._detector.class_names

    def detect(self, frame: UploadedImage, *, threshold: float, max_objects: int) -> Detections:
        self.last = self._detector.detect(
            frame, threshold=min(threshold, MIN_SCORE), max_objects=max(max_objects, _CANDIDATES)
        )
        # Best first, so that these equal what the detector returns for this threshold.
        return self.last[np.flatnonzero(self.last.scores > threshold)[:max_objects]]
