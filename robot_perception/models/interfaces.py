"""Interfaces of the networks, independent of their family."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable, TYPE_CHECKING

from robot_perception.core import (
    Answer,
    Depth,
    Detections,
    Float32Array,
    Image,
    Masks,
    MetricDepth,
    SceneClasses,
    SceneFeatures,
    Semantics,
)
from robot_perception.models.uploaded_image import UploadedImage

if TYPE_CHECKING:
    import torch

# Receives the whole answer so far, after each token.
OnText = Callable[[str], None]
# Returns whether to end the answer where it is; called after each token.
Stop = Callable[[], bool]


class FeatureExtractor(Protocol):
    """Computes features of an image."""

    def extract(self, image: UploadedImage) -> SceneFeatures:
        """Return the features of the whole image and of its patches."""


class DepthEstimator(Protocol):
    """Estimates the depth of each pixel."""

    def estimate(self, image: UploadedImage) -> Depth:
        """Return depth at the image's size, metric or relative depending on the checkpoint."""


@runtime_checkable
class SensorDepthEstimator(Protocol):
    """Estimates the depth of each pixel from the depth of a sensor."""

    def estimate_from(self, image: UploadedImage, sensor: MetricDepth | None) -> Depth:
        """Return metric depth at the image's size; relative if the sensor has none."""


class Detector(Protocol):
    """Detects objects."""

    @property
    def class_names(self) -> Sequence[str]:
        """Names by class id."""

    def detect(self, image: UploadedImage, *, threshold: float, max_objects: int) -> Detections:
        """Return at most ``max_objects`` objects with scores above ``threshold``, best first."""


@runtime_checkable
class PromptedNetwork(Protocol):
    """A network whose classes are prompts."""

    @property
    def class_names(self) -> Sequence[str]:
        """Names by class id, of all prompts so far."""

    def number(self, prompts: Sequence[str]) -> Sequence[int]:
        """Return the class id of each prompt; new ones get the next numbers.

        Upper and lower case make no difference.
        """

    def reset_prompts(self) -> None:
        """Drop all prompts so far; the next are numbered from 0."""


@runtime_checkable
class PromptedDetector(PromptedNetwork, Protocol):
    """Detects objects that words describe."""

    def prompted(self, prompts: Sequence[str]) -> Detector:
        """Return a detector of these classes; the same prompts cost nothing.

        Raises:
            ConfigError: there are none, or the network cannot take them.
        """


@dataclass(frozen=True, slots=True, eq=False)
class ImageEmbedding:
    """What a segmenter computed from one image, for use by the segmenter that computed it.

    Attributes:
        image: the encoded image.
        feature_maps: output of the image encoder on the network's device, if it has one.
    """

    image: Image
    feature_maps: tuple[torch.Tensor, ...] = ()


class Segmenter(Protocol):
    """Segments objects given their boxes."""

    def encode(self, image: UploadedImage) -> ImageEmbedding:
        """Return what can be computed without boxes."""

    def segment(self, embedding: ImageEmbedding, boxes_xyxy: Float32Array) -> Masks:
        """Return one mask at the image's size for each of (N, 4) boxes; N may be 0."""


class SemanticSegmenter(Protocol):
    """Finds the class of each pixel."""

    @property
    def class_names(self) -> Sequence[str]:
        """Names by class id."""

    def segment(self, image: UploadedImage) -> Semantics:
        """Return the class of each pixel at the image's size."""


@runtime_checkable
class PromptedSemanticSegmenter(PromptedNetwork, Protocol):
    """Finds which label, in any words, describes each pixel best."""

    def labeled(self, labels: Sequence[str], threshold: float) -> SemanticSegmenter:
        """Return a network of these classes; the same labels cost nothing.

        Args:
            labels: the classes.
            threshold: least score of a class; pixels without any higher one have no class.

        Raises:
            ConfigError: there are none, or the network cannot take them.
        """


class LabelScorer(Protocol):
    """Scores labels of whole images."""

    @property
    def class_names(self) -> Sequence[str]:
        """Names of its own classes by class id; empty if it takes any labels."""

    def check_labels(self, labels: Sequence[str]) -> None:
        """Raise ConfigError for labels that cannot be scored."""


class SceneClassifier(LabelScorer, Protocol):
    """Classifies whole images."""

    def classify(self, image: UploadedImage, labels: Sequence[str]) -> SceneClasses:
        """Return the scores of ``labels``; without any, those of its own classes."""


@runtime_checkable
class FeatureClassifier(LabelScorer, Protocol):
    """Classifies whole images by what a `FeatureExtractor` returns."""

    def classify_features(self, features: SceneFeatures, labels: Sequence[str]) -> SceneClasses:
        """Return the scores of ``labels``; without any, those of its own classes."""


@runtime_checkable
class ImageTextEncoder(Protocol):
    """Computes vectors of images and texts; the smaller the angle, the better they fit."""

    def embed_image(self, image: UploadedImage) -> Float32Array:
        """Return the vector of an image: (D,), of length 1."""

    def embed_text(self, text: str) -> Float32Array:
        """Return the vector of a text: (D,), of length 1."""


class Describer(Protocol):
    """Answers questions about images."""

    def answer(
        self,
        image: Image,
        question: str,
        *,
        max_new_tokens: int,
        on_text: OnText,
        stop: Stop,
    ) -> Answer:
        """Answer a question.

        Args:
            image: what is asked about.
            question: any words.
            max_new_tokens: the answer ends there.
            on_text: receives the answer so far.
            stop: ends the answer early.

        Raises:
            InputError: the question has words that control the network.
            ModelError: the network failed.
        """
