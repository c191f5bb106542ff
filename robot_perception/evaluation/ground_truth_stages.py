"""Answers that are true, in the place of networks: what is wrong then comes from the rest."""

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

# What can be given -> the stages that it takes the place of.
GIVEN_STAGES = {'depth': (Stage.DEPTH,), 'objects': (Stage.DETECTOR, Stage.SEGMENTER)}


def check_given(given: Collection[str]) -> None:
    """Raise ConfigError unless all of it can be given."""
    unknown = sorted(set(given) - set(GIVEN_STAGES))
    if unknown:
        raise ConfigError(
            'unknown_choice',
            f'--given: expected some of {", ".join(GIVEN_STAGES)}, got {", ".join(unknown)}. '
            'Separate them by commas.',
        )


class GroundTruthStages:
    """A depth network, a detector and a segmenter that say what is true of one frame.

    Attributes:
        truth: of the frame that is asked about next.
        class_names: none, since the truth has them by frame.

    """

    class_names: Sequence[str] = ()

    def __init__(self) -> None:
        """Start without a frame."""
        self.truth: GroundTruth | None = None

    def estimate(self, frame: UploadedImage) -> Depth:
        """Give the true depth."""
        depth = self._known(frame.image).depth
        if depth is None:
            raise InputError(
                'missing_depth',
                'truth: expected depth to give, got none. Let a network estimate it.',
            )
        return depth

    def detect(
        self,
        frame: UploadedImage,
        *,
        threshold: float,  # noqa: ARG002 - the truth is sure
        max_objects: int,
    ) -> Detections:
        """Give the most visible objects, however little that is, with scores of 1."""
        truth = self._known(frame.image)
        true = truth.detections[_most_visible_first(truth)[:max_objects]]
        return replace(true, scores=np.ones(len(true), np.float32), track_ids=None)

    def encode(self, frame: UploadedImage) -> ImageEmbedding:
        """Keep the image, whose masks are known."""
        return ImageEmbedding(frame.image)

    def segment(self, embedding: ImageEmbedding, boxes_xyxy: Float32Array) -> Masks:
        """Give the masks of the N most visible objects, which are those that `detect` gave."""
        truth = self._known(embedding.image)
        if truth.masks is None:
            raise InputError(
                'missing_masks',
                'truth: expected masks to give, got none. Let a network find them.',
            )
        order = _most_visible_first(truth)[: len(boxes_xyxy)]
        return Masks(truth.masks.pixels[order], truth.masks.scores[order])

    def _known(self, image: Image) -> GroundTruth:
        if self.truth is None or self.truth.image is not image:
            raise InputError(
                'other_frame', 'truth: expected that of the frame, got another. Set it first.'
            )
        return self.truth


def _most_visible_first(truth: GroundTruth) -> Int64Array:
    """Order the objects: of equal scores the first chooses whom it is compared with."""
    return np.argsort(-truth.detections.scores, kind='stable')
