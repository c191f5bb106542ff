"""The detector stage with classes that are words, which change while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from robot_perception.core import Detections
from robot_perception.models.families.interfaces import PromptedDetectorFamily
from robot_perception.models.prompted_stage import BoundPrompts, PromptedStage
from robot_perception.models.stages import MAX_OBJECTS, MIN_SCORE
from robot_perception.models.uploaded_image import UploadedImage


class NetworkPromptedDetector(PromptedStage[PromptedDetectorFamily]):
    """Detects what prompts describe."""

    missing = (
        'no_prompts',
        (
            'detector.prompts: expected what to detect, such as "red cup, chair", got nothing. '
            'Set it, or give --prompt to a command.'
        ),
    )

    def prompted(self, prompts: Sequence[str]) -> _BoundDetector:
        """Return a detector of these classes; see `PromptedDetector`."""
        return _BoundDetector(self, self.bind(prompts))

    def run(self, image: UploadedImage) -> Detections:
        """Run the whole stage with a few prompts."""
        return self.detect(image, self.bind_samples(), MIN_SCORE)[:MAX_OBJECTS]

    def detect(self, image: UploadedImage, bound: BoundPrompts, threshold: float) -> Detections:
        """Return the objects of an image with scores above ``threshold``, best first."""
        text = self.embed(bound)
        names = self.class_names
        prompts = tuple(names[index] for index in bound.ids)
        with self._computing():
            outputs = self._networks('image', self.prepare(image), *text)
            found = self.family.read(outputs, prompts, image.size_hw, threshold=threshold)
        return replace(found, class_ids=bound.ids[found.class_ids])


@dataclass(frozen=True, slots=True)
class _BoundDetector:
    """A prompted detector with its prompts."""

    network: NetworkPromptedDetector
    bound: BoundPrompts

    @property
    def class_names(self) -> Sequence[str]:
        return self.network.class_names

    def detect(self, image: UploadedImage, *, threshold: float, max_objects: int) -> Detections:
        return self.network.detect(image, self.bound, threshold)[:max_objects]
