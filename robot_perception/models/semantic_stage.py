"""The stage that finds the class of every pixel."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from robot_perception.core import Semantics
from robot_perception.models.families.interfaces import SemanticsFamily
from robot_perception.models.stages import NetworkStage
from robot_perception.models.uploaded_image import UploadedImage


class NetworkSemanticSegmenter(NetworkStage[SemanticsFamily]):
    """Finds the class of each pixel."""

    def run(self, image: UploadedImage) -> Semantics:
        """Run the whole stage."""
        return self.segment(image)

    @property
    def class_names(self) -> Sequence[str]:
        """Names by class id, as in config.json."""
        return self.family.class_names

    def segment(self, image: UploadedImage) -> Semantics:
        """Return the class of each pixel at the image's size."""
        return self.segment_many([image])[0]

    def segment_many(self, images: Sequence[UploadedImage]) -> list[Semantics]:
        """Return the classes in images of one size, computed together."""
        self._check(images[0])
        with self._computing():
            pixels = self.prepare(*images)
            outputs = self._networks('image', pixels)
            # Of one image there may be several crops.
            count = len(pixels) // len(images)
            parts = [torch.split(output, count) for output in outputs]
            return [self.family.read(part, images[0].size_hw) for part in zip(*parts, strict=True)]
