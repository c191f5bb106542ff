"""The text of Grounding DINO: phrases, each with a period, joined to one text.

A phrase attends to itself only and counts its own positions, so its tokens have the same
embeddings in every text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import nn
from transformers.models.grounding_dino.modeling_grounding_dino import (
    generate_masks_with_special_tokens_and_transfer_map,
)

from robot_perception.core import ConfigError
from robot_perception.models.families.interfaces import Tensors
from robot_perception.models.tokenizer import shorten

# Tokens of a phrase without words: start, period and end.
_EMPTY = 3


def check_phrases(
    prompts: Sequence[str], tokens: Sequence[Sequence[int]], max_tokens: int
) -> None:
    """Raise a ConfigError for tokens of phrases that cannot be joined to one text of words."""
    if any(len(each) == _EMPTY for each in tokens):
        raise ConfigError(
            'empty_prompt',
            f'detector.prompts: expected words, got {", ".join(map(shorten, prompts))}. Leave '
            'out those that have none.',
        )
    count = sum(len(each) - 2 for each in tokens) + 2
    if count > max_tokens:
        raise ConfigError(
            'too_many_prompts',
            f'detector.prompts: expected at most {max_tokens} tokens for this network, got '
            f'{count} in {len(prompts)} prompts. Use fewer or shorter prompts, or OWLv2, which '
            'takes each by itself.',
        )


def embed_phrase(backbone: Any, tokens: torch.Tensor, special: torch.Tensor) -> torch.Tensor:  # noqa: ANN401 - transformers publishes no types
    """Return (1, T, D) embeddings of (1, T) tokens: of the start, a phrase, a period, the end."""
    mask, positions = generate_masks_with_special_tokens_and_transfer_map(tokens, special)
    types = torch.zeros_like(tokens)
    embeddings: torch.Tensor = backbone(tokens, mask[:, None], types, positions).last_hidden_state
    return embeddings


def join_phrases(tokens: Sequence[Sequence[int]], embeddings: Sequence[torch.Tensor]) -> Tensors:
    """Join phrases to one text with one start and one end.

    Args:
        tokens: of each phrase with start, period and end.
        embeddings: (1, T, D) of each.

    Returns:
        (1, T, D) embeddings, (1, T) tokens, and (1, 1, T) the index of the phrase of each token,
        T for start, periods and end.
    """
    first, last = embeddings[0], embeddings[-1]
    joined = [tokens[0][0], *(one for each in tokens for one in each[1:-1]), tokens[-1][-1]]
    nothing = len(joined)
    owners = [nothing]
    for index, each in enumerate(tokens):
        owners += [*[index] * (len(each) - 3), nothing]
    device = first.device
    return (
        torch.cat([first[:, :1], *(each[:, 1:-1] for each in embeddings), last[:, -1:]], dim=1),
        torch.tensor([joined], device=device),
        torch.tensor([[[*owners, nothing]]], device=device),
    )


def best_of_phrases(logits: torch.Tensor, owners: torch.Tensor) -> torch.Tensor:
    """Return (B, Q, T + 1), the best of each phrase, and 0 beyond, given logits of the tokens.

    Args:
        logits: (B, Q, T or more).
        owners: (1, 1, T), see `join_phrases`.
    """
    count = owners.shape[-1]
    best = logits.new_zeros((*logits.shape[:2], count + 1))
    index = owners.expand(*logits.shape[:2], -1)
    return best.scatter_reduce_(-1, index, logits[..., :count], 'amax', include_self=False)


class _Output(NamedTuple):
    last_hidden_state: torch.Tensor


class Embedded(nn.Module):
    """Takes the place of a text backbone; returns embeddings, passed as types of tokens."""

    def forward(self, *arguments: torch.Tensor, **_: object) -> _Output:
        """Return the third argument."""
        return _Output(arguments[2])
