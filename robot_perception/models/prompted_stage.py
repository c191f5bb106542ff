"""Stages whose classes are words, which change while they run."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch

from robot_perception.core import ConfigError, Int32Array
from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.families.interfaces import PromptedFamily, Tensors
from robot_perception.models.numbered_classes import NumberedClasses
from robot_perception.models.runtimes import TORCH
from robot_perception.models.runtimes.long_work import compiling
from robot_perception.models.stages import NetworkStage

# Texts whose embeddings are kept.
_MAX_EMBEDDINGS = 1000
_SAMPLE_PROMPTS = ('person', 'chair', 'cup')
_Family = TypeVar('_Family', bound=PromptedFamily)


@dataclass(slots=True)
class BoundPrompts:
    """Prompts with their tokens and class ids; they are embedded when the first image comes."""

    prompts: tuple[str, ...]
    tokens: tuple[tuple[int, ...], ...]
    ids: Int32Array
    text: Tensors | None = field(default=None, init=False)


class PromptedStage(NetworkStage[_Family], NumberedClasses):
    """A stage whose classes are prompts; a text is embedded once.

    Prompts are numbered when they are used first, and keep their numbers until `reset_prompts`.
    """

    missing: ClassVar[tuple[str, str]]
    """Reason and message of the error for no prompts."""

    def __init__(self, checkpoint: Checkpoint, *, runtime: str = TORCH, **options: Any) -> None:  # noqa: ANN401
        """Load the networks; arguments as of `NetworkStage`."""
        NumberedClasses.__init__(self)
        NetworkStage.__init__(self, checkpoint, runtime=TORCH, **options)
        if runtime not in {'auto', TORCH}:
            self._problem = (
                f'{self.task}: networks that take prompts are computed with {TORCH}, not with '
                f'{runtime}.'
            )
        self._embeddings: dict[tuple[int, ...], Tensors] = {}
        self._last: BoundPrompts | None = None

    def reset_prompts(self) -> None:
        """Drop all prompts so far; the next are numbered from 0."""
        super().reset_prompts()
        self._last = None

    def bind(self, prompts: Sequence[str]) -> BoundPrompts:
        """Return the prompts with their numbers; the same prompts cost nothing.

        Raises:
            ConfigError: there are none, or the network cannot take them.
        """
        prompts = tuple(prompts)
        # Another thread may ask for others meanwhile.
        last = self._last
        if last is None or last.prompts != prompts:
            if not prompts:
                raise ConfigError(*self.missing)
            tokens = tuple(tuple(text) for text in self.family.tokenize(prompts))
            ids = np.array(self.number(prompts), np.int32)
            self._last = last = BoundPrompts(prompts, tokens, ids)
        return last

    def bind_samples(self) -> BoundPrompts:
        """Return a few prompts, to measure the stage with."""
        return self.bind(_SAMPLE_PROMPTS)

    def sample_text(self) -> Tensors:
        """Return what the network ``image`` takes besides the image, for a few prompts."""
        return self.embed(self.bind_samples())

    def embed(self, bound: BoundPrompts) -> Tensors:
        """Return what the network ``image`` takes besides the image."""
        if bound.text is None:
            is_new = any(text not in self._embeddings for text in bound.tokens)
            # Many texts take longer than any image.
            with self._computing(), compiling() if is_new else nullcontext():
                embeddings = [self._embed(text) for text in bound.tokens]
                bound.text = self.family.combine(bound.tokens, embeddings)
        return bound.text

    def _embed(self, tokens: tuple[int, ...]) -> Tensors:
        known = self._embeddings.pop(tokens, None)
        if known is None:
            on_device = torch.tensor([tokens], device=self.placement.device)
            known = tuple(one.float() for one in self._networks('text', on_device))
        self._embeddings[tokens] = known
        if len(self._embeddings) > _MAX_EMBEDDINGS:
            self._embeddings.pop(next(iter(self._embeddings)))
        return known
