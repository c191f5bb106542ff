"""Ground truth instead of networks, which isolates the errors of the other stages."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from robot_perception.core import (
    ConfigError,
    Depth,
    Detections,
    Float32Array,
    Image,
    InputError,
    Int64Array,
    Masks,
    Stage,
)
from robot_perception.evaluation.ground_truth import GroundTruth
from robot_perception.models import ImageEmbedding, UploadedImage
from robot_perception.pipeline import PerceptionConfig

# What can be given -> the stages that it replaces.
GIVEN_STAGES = {'depth': (Stage.DEPTH,), 'objects': (Stage.DETECTOR, Stage.SEGMENTER)}


def check_given(given: Collection[str], config: PerceptionConfig) -> None:
    """Check what is taken from the ground truth.

    Raises:
        ConfigError: ``'unknown_choice'``, something cannot be given; ``'conflicting_flags'``,
            depth is given although it comes from a sensor.
    """
    unknown = sorted(set(given) - set(GIVEN_STAGES))
    if unknown:
        raise ConfigError(
            'unknown_choice',
            f'--given: expected some of {", ".join(GIVEN_STAGES)}, got {", ".join(unknown)}. '
            'Separate them by commas.',
        )
    if 'depth' in given and config.depth.source.uses_sensor:
        raise ConfigError(
            'conflicting_flags',
            f'--given: expected no depth with depth.source={config.depth.source}, got true depth, '
            'which replaces that of a network. Set depth.source=model.',
        )


class GroundTruthStages:
    """A depth network, a detector and a segmenter that return the ground truth of one frame.

    Attributes:
        truth: of the frame that is processed next.
        class_names: empty, since they differ by frame.
    """

    class_names: Sequence[str] = ()

    def __init__(self) -> None:
        """Start without a frame."""
        self.truth: GroundTruth | None = None

    def estimate(self, frame: UploadedImage) -> Depth:
        """Return the true depth."""
        depth = self._known(frame.image).depth
        if depth is None:
            raise InputError(
                'missing_depth',
                'truth: expected true depth, got none. Let a network estimate it.',
            )
        return depth

    def detect(
        self,
        frame: UploadedImage,
        *,
        threshold: float,  # noqa: ARG002 - scores are 1
        max_objects: int,
    ) -> Detections:
        """Return the most visible objects, however little is visible, with scores of 1."""
        truth = self._known(frame.image)
        true = truth.detections[_most_visible_first(truth)[:max_objects]]
        return replace(true, scores=np.ones(len(true), np.float32), track_ids=None)

    def encode(self, frame: UploadedImage) -> ImageEmbedding:
        """Return an embedding that holds only the image, whose masks are known."""
        return ImageEmbedding(frame.image)

    def segment(self, embedding: ImageEmbedding, boxes_xyxy: Float32Array) -> Masks:
        """Return the masks of the N most visible objects: those that `detect` returned."""
        truth = self._known(embedding.image)
        if truth.masks is None:
            raise InputError(
                'missing_masks',
                'truth: expected true masks, got none. Let a network predict them.',
            )
        order = _most_visible_first(truth)[: len(boxes_xyxy)]
        return Masks(truth.masks.pixels[order], truth.masks.scores[order])

    def _known(self, image: Image) -> GroundTruth:
        if self.truth is None or self.truth.image is not image:
            raise InputError(
                'other_frame',
                'truth: expected that of the frame, got that of another. Set it first.',
            )
        return self.truth


def _most_visible_first(truth: GroundTruth) -> Int64Array:
    """Return the order of the objects; it decides matches between equal scores."""
    return np.argsort(-truth.detections.scores, kind='stable')
