"""Accuracy in each runtime, as a difference to torch in fp32 over the same frames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from robot_perception.core import Detections, Float64Array, Int64Array, Stage
from robot_perception.evaluation.bootstrap import Bootstrap, Estimate, mean, Statistic, Values
from robot_perception.evaluation.evaluation_pipeline import EvaluationPipeline
from robot_perception.evaluation.frame import frame_errors
from robot_perception.evaluation.frame_matches import FrameMatches
from robot_perception.evaluation.ground_truth import GroundTruth
from robot_perception.evaluation.precision import check_installation, PrecisionCurves
from robot_perception.models import RUNTIME_CHOICES, TORCH
from robot_perception.pipeline import load_networks, Networks, PerceptionConfig

# Worst ends of the intervals: half a point of AP and mask IoU, and 1 % of AbsRel.
_LIMITS = {'AP': -0.005, 'AbsRel': 0.01, 'mask IoU': -0.005}


@dataclass(frozen=True, slots=True)
class AccuracyDifference:
    """A metric in one runtime, beside torch in fp32.

    Attributes:
        runtime: as asked for.
        backends: stage -> runtime and precision that computed it.
        metric: ``AP`` of boxes, ``AbsRel`` of depth, or ``mask IoU`` of masks of true boxes.
        reference: value of torch in fp32; None without such a stage or objects.
        difference: to it, with the 95 % interval over frames; of AbsRel as a fraction of it.
        limit: what the lower end of the interval, of AbsRel the upper one, may be at most.
    """

    runtime: str
    backends: Mapping[str, str]
    metric: str
    reference: float | None
    difference: Estimate
    limit: float

    @property
    def is_kept(self) -> bool:
        """Whether the accuracy is that of torch in fp32, within the limit."""
        worst = self.difference.high if self.limit > 0 else self.difference.low
        if worst is None:
            return self.reference is None
        return worst <= self.limit if self.limit > 0 else worst >= self.limit


def compare_accuracy(
    config: PerceptionConfig, frames: Iterable[GroundTruth], runtimes: Sequence[str] = ()
) -> list[AccuracyDifference]:
    """Compare the accuracy in runtimes that ``auto`` can choose with torch in fp32.

    Each of ``runtimes``, empty for all, computes in the precisions that ``auto`` gives it on this
    processor; one that is not installed, or that computes all stages as torch in fp32, is left
    out. Intervals are of paired differences: each resample draws the same frames for both.

    Raises:
        ConfigError, ModelError: the networks cannot be loaded.
        MissingLibraryError: faster-coco-eval is not installed.
    """
    check_installation()
    expected = _Accuracy.load(config, TORCH, 'fp32')
    others = {
        name: _Accuracy.load(config, name, 'auto')
        for name in runtimes or RUNTIME_CHOICES
        if name != 'auto'
    }
    class_names: set[str] = set()
    for frame in frames:
        names = frame.detections.class_names
        class_names.update(names[index] for index in np.flatnonzero(frame.counted))
        for one in (expected, *others.values()):
            one.add(frame)
        others = {name: one for name, one in others.items() if one.backends != expected.backends}
    bootstrap = Bootstrap(len(expected.matches))
    known = expected.statistics(sorted(class_names))
    return [
        AccuracyDifference(
            name,
            one.backends,
            metric,
            bootstrap.estimates(known[metric])[0].value,
            bootstrap.estimates(_difference(metric, known[metric], statistic))[0],
            _LIMITS[metric],
        )
        for name, one in others.items()
        for metric, statistic in one.statistics(sorted(class_names)).items()
    ]


@dataclass(slots=True)
class _Accuracy:
    """Errors of a pipeline, frame by frame.

    Attributes:
        networks: in this runtime.
        pipeline: computes the frames with them.
        matches: of the boxes of each frame.
        abs_rel: of the depth of each frame; empty where it is unknown.
        overlaps: IoU of the masks of the true boxes of each frame, or of the detected objects.
    """

    networks: Networks
    pipeline: EvaluationPipeline
    matches: list[FrameMatches] = field(default_factory=list)
    abs_rel: list[Values] = field(default_factory=list)
    overlaps: list[Values] = field(default_factory=list)

    @classmethod
    def load(cls, config: PerceptionConfig, runtime: str, precision: str) -> _Accuracy:
        values: dict[str, object] = {'runtime': runtime, 'precision': precision}
        for stage in Stage:
            values |= {f'{stage}.runtime': 'auto', f'{stage}.precision': 'auto'}
        config = config.with_values(values)
        networks = load_networks(config)
        return cls(networks, EvaluationPipeline(config, networks))

    @property
    def backends(self) -> Mapping[str, str]:
        """Stage -> runtime and precision that compute it."""
        return self.networks.backends

    def add(self, truth: GroundTruth) -> None:
        output = self.pipeline.process(truth)
        errors = frame_errors(output.scene, truth, output.true_box_masks)
        self.matches.append(
            FrameMatches.of_boxes(
                output.candidates or Detections.empty(), truth.detections, truth.counted
            )
        )
        known = errors.depth.abs_rel
        self.abs_rel.append(() if known is None else (known,))
        # Masks of the detector exist for its own boxes only.
        self.overlaps.append(errors.true_box_masks.iou or errors.masks.iou)

    def statistics(self, class_names: Sequence[str]) -> dict[str, Statistic]:
        curves = PrecisionCurves(self.matches, class_names)
        return {
            'AP': lambda weights: np.array([curves.metrics(weights).ap]),
            'AbsRel': mean(self.abs_rel),
            'mask IoU': mean(self.overlaps),
        }


def _difference(metric: str, one: Statistic, other: Statistic) -> Statistic:
    """Return the statistic that computes what ``other`` has more, of AbsRel as a fraction."""

    def statistic(weights: Int64Array) -> Float64Array:
        before = one(weights)
        away: Float64Array = other(weights) - before
        return away / before if metric == 'AbsRel' else away

    return statistic
