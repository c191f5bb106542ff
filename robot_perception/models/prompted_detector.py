"""The detector stage with classes that are words, which change while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
import threading
from typing import Any

import numpy as np
import torch

from robot_perception.core import ConfigError, Detections, Int32Array
from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.families.interfaces import PromptedDetectorFamily, Tensors
from robot_perception.models.runtimes import TORCH
from robot_perception.models.runtimes.compiling import compiling
from robot_perception.models.stages import MAX_OBJECTS, MIN_SCORE, NetworkStage
from robot_perception.models.uploaded_image import UploadedImage

# Texts whose embeddings are kept.
_MAX_EMBEDDINGS = 1000
_SAMPLE_PROMPTS = ('person', 'chair', 'cup')
_Tokens = tuple[tuple[int, ...], ...]


class NetworkPromptedDetector(NetworkStage[PromptedDetectorFamily]):
    """Detects what prompts describe; a text is embedded once.

    Prompts are numbered when they are used first, and keep their numbers until `reset_prompts`.
    """

    def __init__(self, checkpoint: Checkpoint, *, runtime: str = TORCH, **options: Any) -> None:  # noqa: ANN401
        """Load the networks; arguments as of `NetworkStage`."""
        super().__init__(checkpoint, runtime=TORCH, **options)
        if runtime not in {'auto', TORCH}:
            self._problem = (
                f'{self.task}: networks that take prompts are computed with {TORCH}, not with '
                f'{runtime}.'
            )
        # Name in lower case -> class id. The parameters are changed by another thread.
        self._ids: dict[str, int] = {}
        self._names: list[str] = []
        self._numbering = threading.Lock()
        self._embeddings: dict[tuple[int, ...], Tensors] = {}
        self._last: _BoundDetector | None = None

    @property
    def class_names(self) -> Sequence[str]:
        """Names by class id: all prompts so far, as they were spelled first."""
        return tuple(self._names)

    def number(self, prompts: Sequence[str]) -> tuple[int, ...]:
        """Return the class id of each prompt; new ones get the next numbers."""
        with self._numbering:
            for prompt in prompts:
                if prompt.casefold() not in self._ids:
                    self._ids[prompt.casefold()] = len(self._names)
                    self._names.append(prompt)
            return tuple(self._ids[prompt.casefold()] for prompt in prompts)

    def reset_prompts(self) -> None:
        """Drop all prompts so far; the next are numbered from 0."""
        with self._numbering:
            self._ids, self._names, self._last = {}, [], None

    def prompted(self, prompts: Sequence[str]) -> _BoundDetector:
        """Return a detector of these classes; see `PromptedDetector`."""
        prompts = tuple(prompts)
        # Another thread may ask for others meanwhile.
        detector = self._last
        if detector is None or detector.prompts != prompts:
            if not prompts:
                raise ConfigError(
                    'no_prompts',
                    'detector.prompts: expected what to detect, such as "red cup, chair", got '
                    'nothing. Set it, or give --prompt to a command.',
                )
            tokens = tuple(tuple(text) for text in self.family.tokenize(prompts))
            ids = np.array(self.number(prompts), np.int32)
            self._last = detector = _BoundDetector(self, prompts, tokens, ids)
        return detector

    def run(self, image: UploadedImage) -> Detections:
        """Run the whole stage with a few prompts."""
        detector = self.prompted(_SAMPLE_PROMPTS)
        return detector.detect(image, threshold=MIN_SCORE, max_objects=MAX_OBJECTS)

    def sample_text(self) -> Tensors:
        """Return what the network ``image`` takes besides the image, for a few prompts."""
        return self.embed(self.prompted(_SAMPLE_PROMPTS).tokens)

    def embed(self, tokens: _Tokens) -> Tensors:
        """Return what the network ``image`` takes besides the image."""
        is_new = any(text not in self._embeddings for text in tokens)
        # Many texts take longer than any image.
        with self._computing(), compiling() if is_new else nullcontext():
            return self.family.combine(tokens, [self._embed(text) for text in tokens])

    def _embed(self, tokens: tuple[int, ...]) -> Tensors:
        known = self._embeddings.pop(tokens, None)
        if known is None:
            on_device = torch.tensor([tokens], device=self.placement.device)
            known = tuple(one.float() for one in self._networks('text', on_device))
        self._embeddings[tokens] = known
        if len(self._embeddings) > _MAX_EMBEDDINGS:
            self._embeddings.pop(next(iter(self._embeddings)))
        return known

    def detect(
        self, image: UploadedImage, prompts: Sequence[str], text: Tensors, threshold: float
    ) -> Detections:
        """Return the objects of an image; ``text`` is from `embed`, class ids index prompts."""
        with self._computing():
            outputs = self._networks('image', self.prepare(image), *text)
            return self.family.read(outputs, prompts, image.size_hw, threshold=threshold)


@dataclass(slots=True)
class _BoundDetector:
    """A prompted detector with its prompts, which are embedded when the first image comes."""

    network: NetworkPromptedDetector
    prompts: tuple[str, ...]
    tokens: _Tokens
    ids: Int32Array
    text: Tensors | None = field(default=None, init=False)

    @property
    def class_names(self) -> Sequence[str]:
        return self.network.class_names

    def detect(self, image: UploadedImage, *, threshold: float, max_objects: int) -> Detections:
        if self.text is None:
            self.text = self.network.embed(self.tokens)
        names = self.class_names
        prompts = tuple(names[index] for index in self.ids)
        found = self.network.detect(image, prompts, self.text, threshold)[:max_objects]
        return replace(found, class_ids=self.ids[found.class_ids])
