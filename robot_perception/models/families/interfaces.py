"""What each stage asks of its families."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

import torch
from torch import nn

from robot_perception.core import (
    Answer,
    Depth,
    Detections,
    Float32Array,
    Masks,
    MetricDepth,
    SceneFeatures,
    Semantics,
    UInt8Array,
    UInt16Array,
)
from robot_perception.models.resize import SizeHW

Tensors = tuple[torch.Tensor, ...]


@dataclass(frozen=True, slots=True, eq=False)
class NamedNetwork:
    """A network of a family: tensors in, tensors out.

    Attributes:
        name: unique in the family.
        network: owner of all weights, in evaluation mode.
        call: calls the network with tensors by position.
        in_half: modules that may hold and compute everything in fp16 or bf16 on a GPU. Empty if
            some values need fp32; then only matrix products and convolutions use less (autocast).
        varying: index of the input, and its axis, whose length differs from call to call; None
            if the shapes of all inputs follow from the size of the image.
    """

    name: str
    # transformers publishes no types.
    network: Any
    call: Callable[..., Tensors]
    in_half: tuple[nn.Module, ...] = ()
    varying: tuple[int, int] | None = None


class Family(Protocol):
    """What all families offer."""

    @property
    def networks(self) -> tuple[NamedNetwork, ...]:
        """The networks that a runtime computes."""

    def prepare(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the input of the first network.

        Args:
            pixels: (B, 3, H, W) uint8 on any device, channels red, green, blue; not written to.

        Returns:
            (B, 3, h, w) float32 on the same device.
        """


class FeatureFamily(Family, Protocol):
    """A family of feature extractors, with the network ``image``."""

    def read(self, outputs: Tensors, input_hw: SizeHW) -> SceneFeatures:
        """Return the features in the outputs for one input of ``input_hw`` pixels."""


class DepthFamily(Family, Protocol):
    """A family of depth networks, with the network ``image``."""

    def read(self, outputs: Tensors, size_hw: SizeHW) -> Depth:
        """Return the depth in the outputs for one image of ``size_hw`` pixels."""


class SensorDepthFamily(Family, Protocol):
    """A family of depth networks that take the depth of a sensor.

    The network ``image`` takes the prepared image and, if there is one, its prompt.
    """

    def prompt(self, sensor: MetricDepth | None) -> Tensors:
        """Return the prompt of one image, (1, 1, H, W) float32 meters; empty without one."""

    def read(self, outputs: Tensors, size_hw: SizeHW, *, has_prompt: bool) -> Depth:
        """Return the depth in the outputs for one image of ``size_hw`` pixels."""


class DetectorFamily(Family, Protocol):
    """A family of detectors, with the network ``image``."""

    @property
    def class_names(self) -> Sequence[str]:
        """Names by class id."""

    def read(
        self, outputs: Tensors, size_hw: SizeHW, *, threshold: float, max_objects: int
    ) -> Detections:
        """Return at most ``max_objects`` objects with scores above ``threshold``, best first."""


class PromptedFamily(Family, Protocol):
    """A family whose classes are prompts.

    The network ``text`` computes embeddings of the tokens of one text, (1, T) int64. The network
    ``image`` takes the prepared image and what ``combine`` returns.
    """

    def tokenize(self, prompts: Sequence[str]) -> Sequence[Sequence[int]]:
        """Return the tokens of each text that the network ``text`` is to embed.

        Raises:
            ConfigError: the network cannot take these prompts.
        """

    def combine(self, tokens: Sequence[Sequence[int]], embeddings: Sequence[Tensors]) -> Tensors:
        """Return the further inputs of the network ``image`` for all texts."""


class PromptedDetectorFamily(PromptedFamily, Protocol):
    """A family of detectors whose classes are prompts."""

    def read(
        self, outputs: Tensors, prompts: Sequence[str], size_hw: SizeHW, *, threshold: float
    ) -> Detections:
        """Return the objects of one image with scores above ``threshold``, best first.

        Class ids are indices of ``prompts``.
        """


class SegmenterFamily(Family, Protocol):
    """A family of segmenters.

    The network ``encoder`` computes feature maps of the image, the network ``decoder`` masks from
    these maps and prompts.
    """

    def prompts(self, boxes_xyxy: Float32Array, size_hw: SizeHW) -> torch.Tensor:
        """Return the last input of the decoder for (N, 4) boxes in pixels: (1, N, ...) float32."""

    def read(self, outputs: Tensors, size_hw: SizeHW) -> Masks:
        """Return the masks in the outputs of the decoder for one image of ``size_hw`` pixels."""


class SceneFamily(Family, Protocol):
    """A family of classifiers of whole images, with the network ``image``."""

    @property
    def class_names(self) -> Sequence[str]:
        """Names by class id."""

    def read(self, outputs: Tensors) -> Float32Array:
        """Return the probability of each class in the outputs for one image: (L,) in [0, 1]."""


class ImageTextFamily(Family, Protocol):
    """A family that compares images with texts.

    The network ``image`` computes the vector of an image, and the network ``text`` that of the
    tokens of a text: (1, D), of length 1.
    """

    template: ClassVar[str]
    """The text of a label, with braces in its place."""

    def tokenize(self, text: str) -> torch.Tensor:
        """Return the tokens of a text: (1, T) int64.

        Raises:
            ConfigError: the network cannot take this text.
        """

    def read(self, image: torch.Tensor, texts: torch.Tensor) -> Float32Array:
        """Return the score of each text for an image: (1, D) and (N, D) to (N,) in [0, 1]."""


class GenerativeFamily(Protocol):
    """A family of networks that write text, constructed with a checkpoint and a dtype."""

    @property
    def network(self) -> Any:  # noqa: ANN401 - transformers publishes no types
        """The network, whose ``generate`` writes the tokens."""


@dataclass(frozen=True, slots=True)
class WrittenQuery:
    """What a network is to detect, as tokens.

    Attributes:
        task: of the network.
        name: class of all objects; empty where the network writes their names.
        tokens: of the text, in which the image takes a fixed number of them.
    """

    task: str
    name: str
    tokens: tuple[int, ...]


class WrittenObject(NamedTuple):
    """An object as a network wrote it.

    Attributes:
        name: its class.
        box_xyxy: left, top, right and bottom in pixels, which may have no area.
        score: in [0, 1].
    """

    name: str
    box_xyxy: tuple[float, float, float, float]
    score: float


class GenerativeDetectorFamily(GenerativeFamily, Protocol):
    """A family of detectors that write names and boxes as text."""

    @property
    def max_new_tokens(self) -> int:
        """Tokens after which a text is cut."""

    def queries(self, prompts: Sequence[str]) -> Sequence[WrittenQuery]:
        """Return what is to be detected: prompts, or all objects without any.

        Raises:
            ConfigError: the network cannot take these prompts.
        """

    def prepare_image(self, rgb: UInt8Array) -> torch.Tensor:
        """Return the input of an image of (H, W, 3) pixels, on the CPU."""

    def encode(
        self, pixels: torch.Tensor, queries: Sequence[WrittenQuery]
    ) -> Iterator[tuple[Mapping[str, Any], Sequence[WrittenQuery]]]:
        """Yield inputs of ``generate`` for some queries, and these, until all had their turn."""

    def read_objects(
        self,
        tokens: Sequence[int],
        probabilities: Sequence[float],
        query: WrittenQuery,
        size_hw: SizeHW,
    ) -> Iterator[WrittenObject]:
        """Yield the objects in generated tokens, in an image of ``size_hw`` pixels.

        Args:
            tokens: without that of the start.
            probabilities: of each token, in [0, 1].
            query: what was asked.
            size_hw: rows and columns.
        """


class DescriberFamily(GenerativeFamily, Protocol):
    """A family of networks that answer questions."""

    @property
    def reserved_words(self) -> Sequence[str]:
        """Words that stand for something else than text, and no question may have."""

    def prepare(self, rgb: UInt8Array, question: str) -> dict[str, torch.Tensor]:
        """Return the inputs of the network for (H, W, 3) pixels and a question, on the CPU."""

    def read_text(self, tokens: list[int]) -> str:
        """Return the text of generated tokens."""

    def read(
        self,
        tokens: list[int],
        size_hw: SizeHW,
        question: str,
        inputs: Mapping[str, torch.Tensor],
    ) -> Answer:
        """Return the answer of generated tokens, about an image of ``size_hw`` pixels."""


class SemanticsFamily(Family, Protocol):
    """A family of networks for the class of every pixel, with the network ``image``."""

    @property
    def class_names(self) -> Sequence[str]:
        """Names by class id."""

    def read(self, outputs: Tensors, size_hw: SizeHW) -> Semantics:
        """Return the classes in the outputs for one image of ``size_hw`` pixels."""


class PromptedSemanticsFamily(PromptedFamily, Protocol):
    """A family of networks of every pixel whose classes are prompts."""

    def read(self, outputs: Tensors, size_hw: SizeHW, *, threshold: float) -> UInt16Array:
        """Return the index of the prompt with the highest score at each pixel: (H, W).

        Where no score is above ``threshold`` it is 65535.
        """
