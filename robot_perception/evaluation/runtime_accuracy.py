"""Accuracy in each runtime and precision, as a difference to torch in fp32 on the same frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from robot_perception.core import Detections, Float32Array, Float64Array, Int64Array, Stage
from robot_perception.evaluation.bootstrap import Bootstrap, Estimate, mean, Statistic, Values
from robot_perception.evaluation.evaluation_pipeline import EvaluationPipeline
from robot_perception.evaluation.frame import frame_errors
from robot_perception.evaluation.frame_matches import FrameMatches
from robot_perception.evaluation.ground_truth import GroundTruth
from robot_perception.evaluation.precision import check_installation, PrecisionCurves
from robot_perception.pipeline import load_networks, Networks, PerceptionConfig

if TYPE_CHECKING:
    from robot_perception.models import Backend

_REFERENCE = 'torch fp32'
# Metric -> worst end of its interval: half a point of AP and mask IoU, 1 % of AbsRel, and as much
# of the cosine as a result in bf16 may differ (docs/runtimes.md).
_LIMITS = {'AP': -0.005, 'AbsRel': 0.01, 'mask IoU': -0.005, 'cosine': -0.002}
_STAGES = {
    'AP': Stage.DETECTOR,
    'AbsRel': Stage.DEPTH,
    'mask IoU': Stage.SEGMENTER,
    'cosine': Stage.FEATURES,
}


@dataclass(frozen=True, slots=True)
class AccuracyDifference:
    """A metric of a stage in one runtime and precision, beside torch in fp32.

    Attributes:
        stage: whose network it judges.
        backend: runtime and precision of this network.
        metric: ``AP`` of boxes, ``AbsRel`` of depth, ``mask IoU`` of masks of true boxes, or
            ``cosine`` of the angle between feature vectors and those of torch in fp32.
        reference: value of torch in fp32.
        difference: to it, with the 95 % interval over frames; of AbsRel as a fraction of it.
        limit: smallest lower end of the interval that is accepted; of AbsRel the largest upper
            end.
    """

    stage: Stage
    backend: Backend
    metric: str
    reference: float
    difference: Estimate
    limit: float

    @property
    def is_kept(self) -> bool:
        """Whether the accuracy is that of torch in fp32, within the limit."""
        worst = self.difference.high if self.limit > 0 else self.difference.low
        if worst is None:
            return False
        return worst <= self.limit if self.limit > 0 else worst >= self.limit


def compare_accuracy(
    config: PerceptionConfig,
    frames: Iterable[GroundTruth],
    *,
    runtimes: Sequence[str] = (),
    precisions: Sequence[str] = (),
) -> list[AccuracyDifference]:
    """Compare the accuracy of each stage in all that ``auto`` can choose with torch in fp32.

    Those are the runtimes and precisions that take part where the parameters are ``auto``,
    whatever they are in ``config``. One that is rejected, since it cannot compute a network or not
    as torch in fp32 does, is left out. Intervals are of paired differences: each resample draws
    the same frames for both.

    Args:
        config: names the networks and the device.
        frames: images with their ground truth.
        runtimes: names of those to compare; empty for all.
        precisions: likewise.

    Raises:
        ConfigError, ModelError: the networks cannot be loaded.
        MissingLibraryError: faster-coco-eval is not installed.
    """
    check_installation()
    candidates = _candidates(config)
    expected = _Accuracy.load(config, dict.fromkeys(candidates, _REFERENCE))
    others = {
        one: _Accuracy.load(
            config,
            {stage: str(one) if one in own else _REFERENCE for stage, own in candidates.items()},
        )
        for one in dict.fromkeys(chain.from_iterable(candidates.values()))
        if str(one) != _REFERENCE
        and one.runtime in (runtimes or (one.runtime,))
        and one.precision in (precisions or (one.precision,))
    }
    class_names: set[str] = set()
    for frame in frames:
        names = frame.detections.class_names
        class_names.update(names[index] for index in np.flatnonzero(frame.counted))
        vector = expected.add(frame)
        for one in others.values():
            one.add(frame, vector)
    return list(_compare(expected, others, sorted(class_names)))


def _candidates(config: PerceptionConfig) -> Mapping[Stage, Sequence[Backend]]:
    """Return those among which ``auto`` chooses, by stages with networks."""
    automatic = config.with_values({'runtime': 'auto', 'precision': 'auto'})
    return load_networks(automatic.with_backends(dict.fromkeys(Stage, 'auto auto'))).candidates


def _compare(
    expected: _Accuracy, others: Mapping[Backend, _Accuracy], class_names: Sequence[str]
) -> Iterator[AccuracyDifference]:
    bootstrap = Bootstrap(len(expected.matches))
    known = expected.statistics(class_names)
    compared = {backend: one.statistics(class_names) for backend, one in others.items()}
    for metric, limit in _LIMITS.items():
        stage = expected.find_stage(metric)
        used = [one for one in others if others[one].backends.get(stage) == str(one)]
        reference, *differences = bootstrap.estimates(
            _differences(metric, known[metric], [compared[one][metric] for one in used])
        )
        if reference.value is not None:
            for backend, difference in zip(used, differences, strict=True):
                yield AccuracyDifference(
                    stage, backend, metric, reference.value, difference, limit
                )


@dataclass(slots=True)
class _Accuracy:
    """Metrics of a pipeline, frame by frame; empty where they are unknown.

    Attributes:
        networks: in this runtime and precision.
        pipeline: computes the frames with them.
        matches: of the boxes of each frame.
        abs_rel: of the depth of each frame.
        overlaps: IoU of the masks of the true boxes of each frame, or of the detected objects.
        cosines: of the angle between the features of each frame and the expected ones.
    """

    networks: Networks
    pipeline: EvaluationPipeline
    matches: list[FrameMatches] = field(default_factory=list)
    abs_rel: list[Values] = field(default_factory=list)
    overlaps: list[Values] = field(default_factory=list)
    cosines: list[Values] = field(default_factory=list)

    @classmethod
    def load(cls, config: PerceptionConfig, backends: Mapping[str, str]) -> _Accuracy:
        config = config.with_backends(backends)
        networks = load_networks(config)
        return cls(networks, EvaluationPipeline(config, networks))

    @property
    def backends(self) -> Mapping[str, str]:
        """Stage -> runtime and precision that compute it."""
        return self.networks.backends

    def find_stage(self, metric: str) -> Stage:
        """Return the stage whose network a metric judges; masks may be those of the detector."""
        if metric == 'mask IoU' and Stage.SEGMENTER not in self.backends:
            return Stage.DETECTOR
        return _STAGES[metric]

    def add(self, truth: GroundTruth, expected: Float32Array | None = None) -> Float32Array | None:
        """Add a frame and return its feature vector; ``expected`` is by default this one."""
        output = self.pipeline.process(truth)
        scene = output.scene
        errors = frame_errors(scene, truth, output.true_box_masks)
        self.matches.append(
            FrameMatches.of_boxes(
                output.candidates or Detections.empty(), truth.detections, truth.counted
            )
        )
        known = errors.depth.abs_rel
        self.abs_rel.append(() if known is None else (known,))
        # Masks of the detector exist for its own boxes only.
        self.overlaps.append(errors.true_box_masks.iou or errors.masks.iou)
        if scene.features is None:
            self.cosines.append(())
            return None
        vector = scene.features.vector
        self.cosines.append((_cosine(vector if expected is None else expected, vector),))
        return vector

    def statistics(self, class_names: Sequence[str]) -> dict[str, Statistic]:
        curves = PrecisionCurves(self.matches, class_names)
        return {
            'AP': lambda weights: np.array([curves.metrics(weights).ap]),
            'AbsRel': mean(self.abs_rel),
            'mask IoU': mean(self.overlaps),
            'cosine': mean(self.cosines),
        }


def _differences(metric: str, expected: Statistic, others: Sequence[Statistic]) -> Statistic:
    """Return the statistic of the expected value, and what the others have more.

    Of AbsRel that is a fraction.
    """

    def statistic(weights: Int64Array) -> Float64Array:
        before = expected(weights)
        away = np.array([other(weights)[0] for other in others]) - before
        return np.concatenate([before, away / before if metric == 'AbsRel' else away])

    return statistic


def _cosine(one: Float32Array, other: Float32Array) -> float:
    first, second = one.astype(np.float64), other.astype(np.float64)
    return float(first @ second / (np.linalg.norm(first) * np.linalg.norm(second)))
