"""Answers that are true, in the place of networks: what is wrong then comes from the rest."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from robot_perception.core import Depth, Detections, Masks
from robot_perception.core.arrays import Float32Array
from robot_perception.core.errors import ConfigError, InputError
from robot_perception.evaluation.truth import Truth
from robot_perception.models import Frame

# What can be given -> the stages that it takes the place of.
GIVEN_STAGES = {'depth': ('depth',), 'objects': ('detector', 'segmenter')}


def check_given(given: Collection[str]) -> None:
    """Raise ConfigError unless all of it can be given."""
    unknown = sorted(set(given) - set(GIVEN_STAGES))
    if unknown:
        raise ConfigError(
            f'--given: expected some of {", ".join(GIVEN_STAGES)}, got {", ".join(unknown)}. '
            'Separate them by commas.'
        )


class Oracle:
    """A depth network, a detector and a segmenter that say what is true of one frame.

    Attributes:
        truth: of the frame that is asked about next.
        class_names: none, since the truth has them by frame.

    """

    class_names: Sequence[str] = ()

    def __init__(self) -> None:
        """Start without a frame."""
        self.truth: Truth | None = None

    def estimate(self, frame: Frame) -> Depth:
        """Give the true depth."""
        depth = self._known(frame).depth
        if depth is None:
            raise InputError('truth: expected depth to give, got none. Let a network estimate it.')
        return depth

    def detect(
        self,
        frame: Frame,
        *,
        threshold: float,  # noqa: ARG002 - the truth is sure
        max_objects: int,
    ) -> Detections:
        """Give the first objects, however little of them is visible, with scores of 1."""
        true = self._known(frame).detections
        sure = replace(true, scores=np.ones(len(true), np.float32), track_ids=None)
        return sure.select(np.arange(min(max_objects, len(sure))))

    def segment(self, frame: Frame, boxes_xyxy: Float32Array) -> Masks:
        """Give the masks of the first N objects, which are those that `detect` gave."""
        masks = self._known(frame).masks
        if masks is None:
            raise InputError('truth: expected masks to give, got none. Let a network find them.')
        return Masks(masks.pixels[: len(boxes_xyxy)], masks.scores[: len(boxes_xyxy)])

    def _known(self, frame: Frame) -> Truth:
        if self.truth is None or self.truth.image is not frame.image:
            raise InputError('truth: expected that of the frame, got another. Set it first.')
        return self.truth
