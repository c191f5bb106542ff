"""Recovering networks whose classes are prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from robot_perception.core import Detections, Semantics, Stage
from robot_perception.models import (
    Detector,
    PromptedDetector,
    PromptedNetwork,
    PromptedSemanticSegmenter,
    SemanticSegmenter,
    UploadedImage,
)
from robot_perception.pipeline.config import PerceptionConfig
from robot_perception.pipeline.recovery import RecoveringNetwork

_Network = TypeVar('_Network', bound=PromptedNetwork)


class RecoveringPromptedNetwork(RecoveringNetwork[_Network]):
    """A network that takes prompts, whose classes keep their numbers."""

    def __init__(self, config: PerceptionConfig) -> None:
        """Load the network."""
        self._names: tuple[str, ...] = ()
        super().__init__(config)

    def _load(self, config: PerceptionConfig) -> _Network:
        network = super()._load(config)
        network.number(self._names)
        return network

    @property
    def class_names(self) -> Sequence[str]:
        """Names by class id, of all prompts so far."""
        return self._names

    def number(self, prompts: Sequence[str]) -> Sequence[int]:
        """Return the class id of each prompt; new ones get the next numbers."""
        ids = self._run(lambda network: network.number(prompts))
        self._keep_names()
        return ids

    def reset_prompts(self) -> None:
        """Drop all prompts so far; the next are numbered from 0."""
        self._names = ()
        self._run(lambda network: network.reset_prompts())

    def _keep_names(self) -> None:
        names = self._run(lambda network: tuple(network.class_names))
        # Another thread may have added more meanwhile.
        self._names = max(self._names, names, key=len)


class RecoveringPromptedDetector(RecoveringPromptedNetwork[PromptedDetector]):
    """A detector that takes prompts."""

    stage = Stage.DETECTOR

    def prompted(self, prompts: Sequence[str]) -> Detector:
        """Return a detector of these classes; see `PromptedDetector`."""
        self._run(lambda network: network.prompted(prompts))
        self._keep_names()
        return _Prompted(self, tuple(prompts))

    def detect(
        self, image: UploadedImage, prompts: Sequence[str], threshold: float, max_objects: int
    ) -> Detections:
        """Return the objects of an image."""
        detections = self._run(
            lambda network: network.prompted(prompts).detect(
                image, threshold=threshold, max_objects=max_objects
            )
        )
        # Some networks name what they find.
        self._keep_names()
        return detections


@dataclass(frozen=True, slots=True)
class _Prompted:
    """A detector that takes prompts, with its prompts."""

    detector: RecoveringPromptedDetector
    prompts: tuple[str, ...]

    @property
    def class_names(self) -> Sequence[str]:
        return self.detector.class_names

    def detect(self, image: UploadedImage, *, threshold: float, max_objects: int) -> Detections:
        return self.detector.detect(image, self.prompts, threshold, max_objects)


class RecoveringPromptedSegmenter(RecoveringPromptedNetwork[PromptedSemanticSegmenter]):
    """A network of every pixel that takes labels."""

    stage = Stage.SEMANTICS

    def labeled(self, labels: Sequence[str], threshold: float) -> SemanticSegmenter:
        """Return a network of these classes; see `PromptedSemanticSegmenter`."""
        self._run(lambda network: network.labeled(labels, threshold))
        self._keep_names()
        return _Labeled(self, tuple(labels), threshold)

    def segment(self, image: UploadedImage, labels: Sequence[str], threshold: float) -> Semantics:
        """Return the class of each pixel at the image's size."""
        return self._run(lambda network: network.labeled(labels, threshold).segment(image))


@dataclass(frozen=True, slots=True)
class _Labeled:
    """A network that takes labels, with its labels."""

    segmenter: RecoveringPromptedSegmenter
    labels: tuple[str, ...]
    threshold: float

    @property
    def class_names(self) -> Sequence[str]:
        return self.segmenter.class_names

    def segment(self, image: UploadedImage) -> Semantics:
        return self.segmenter.segment(image, self.labels, self.threshold)
