"""Families whose network embeds each text by itself."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.families.interfaces import Tensors
from robot_perception.models.tokenizer import Tokenizer


class SeparateTexts:
    """Tokens and embeddings of texts, of which none depends on the others."""

    def __init__(self, checkpoint: Checkpoint, parameter: str, max_tokens: int) -> None:
        """Read the tokenizer; ``parameter`` names the texts in messages."""
        self._tokenizer = Tokenizer(checkpoint, parameter)
        self._max_tokens = max_tokens

    def tokenize(self, prompts: Sequence[str]) -> list[list[int]]:
        """Return the tokens of each text."""
        return [self._tokenizer(prompt, self._max_tokens) for prompt in prompts]

    def combine(self, tokens: Sequence[Sequence[int]], embeddings: Sequence[Tensors]) -> Tensors:  # noqa: ARG002 - part of the interface
        """Return (P, D) embeddings of P texts."""
        return (torch.cat([embedding for (embedding,) in embeddings]),)
