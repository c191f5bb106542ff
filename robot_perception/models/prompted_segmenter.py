"""The stage of every pixel with classes that are words, which change while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robot_perception.core import NO_CLASS, Semantics
from robot_perception.models.families.interfaces import PromptedSemanticsFamily
from robot_perception.models.prompted_stage import BoundPrompts, PromptedStage
from robot_perception.models.uploaded_image import UploadedImage

_THRESHOLD = 0.5


class NetworkPromptedSegmenter(PromptedStage[PromptedSemanticsFamily]):
    """Finds which label describes each pixel best."""

    missing = (
        'no_labels',
        (
            'semantics.labels: expected the classes of pixels, such as "floor, wall, person", '
            'since this network has none of its own; got nothing. Set it, or set semantics.model '
            'to a network with classes of its own.'
        ),
    )

    def labeled(self, labels: Sequence[str], threshold: float) -> _BoundSegmenter:
        """Return a network of these classes; see `PromptedSemanticSegmenter`."""
        return _BoundSegmenter(self, self.bind(labels), threshold)

    def run(self, image: UploadedImage) -> Semantics:
        """Run the whole stage with a few labels."""
        return self.segment(image, self.bind_samples(), _THRESHOLD)

    def segment(self, image: UploadedImage, bound: BoundPrompts, threshold: float) -> Semantics:
        """Return the class of each pixel at the image's size."""
        text = self.embed(bound)
        with self._computing():
            outputs = self._networks('image', self.prepare(image), *text)
            indices = self.family.read(outputs, image.size_hw, threshold=threshold)
        ids = np.full(NO_CLASS + 1, NO_CLASS, np.uint16)
        ids[: len(bound.ids)] = bound.ids
        return Semantics(self._checkpoint.name, ids[indices], tuple(self.class_names))


@dataclass(frozen=True, slots=True)
class _BoundSegmenter:
    """A prompted network of every pixel with its labels."""

    network: NetworkPromptedSegmenter
    bound: BoundPrompts
    threshold: float

    @property
    def class_names(self) -> Sequence[str]:
        return self.network.class_names

    def segment(self, image: UploadedImage) -> Semantics:
        return self.network.segment(image, self.bound, self.threshold)
