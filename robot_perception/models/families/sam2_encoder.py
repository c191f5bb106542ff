"""Skips computations of transformers' encoders of SAM 2 and its kin whose results are not used.

They take a third of the encoder's time in the demo model.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast
import weakref

import torch
from torch.nn import functional

# Private names of transformers, which another version may lack.
_POSITION = '_get_pos_embed'
_ATTENTION = 'Sam2MultiScaleAttention'


def skip_unused_work(encoder: Any) -> None:  # noqa: ANN401 - transformers publishes no types
    """Patch an encoder in place; its outputs stay equal bit for bit.

    - Position encodings depend on the input size only. Those of the backbone are computed once
      instead of for each image. Those of the neck serve the memory of videos, which is not used.
    - Attention computes its weights twice and uses the second result.
    """
    encoder.neck.position_encoding.forward = _no_position
    position = getattr(encoder.backbone, _POSITION, None)
    if position is not None:
        setattr(encoder.backbone, _POSITION, _cache_by_size(position))
    for module in encoder.backbone.modules():
        if type(module).__name__ == _ATTENTION:
            module.forward = partial(_attend, weakref.proxy(module))


def _no_position(
    shape: torch.Size,
    device: torch.device,
    dtype: torch.dtype,
    mask: torch.Tensor | None = None,  # noqa: ARG001 - transformers may pass it
) -> torch.Tensor:
    return torch.zeros((), device=device, dtype=dtype).expand(shape)


def _cache_by_size(method: Callable[[Any], torch.Tensor]) -> Callable[[Any], torch.Tensor]:
    """Cache results of a method; references it weakly, so that its network can be freed."""
    reference, cache = weakref.WeakMethod(method), {}

    def cached(size_hw: Any) -> torch.Tensor:  # noqa: ANN401 - transformers publishes no types
        if size_hw not in cache:
            cache[size_hw] = cast('Callable[[Any], torch.Tensor]', reference())(size_hw)
        return cache[size_hw]

    return cached


def _attend(layer: Any, hidden_states: torch.Tensor, **_: object) -> torch.Tensor:  # noqa: ANN401
    """Compute attention within a window as in Hiera; queries may be pooled (Ryali et al. 2023).

    ``hidden_states`` is (B, H, W, C).
    """
    batch, height, width, _channels = hidden_states.shape
    heads = layer.num_attention_heads
    joined = layer.qkv(hidden_states).reshape(batch, height * width, 3, heads, -1)
    query, key, value = joined.unbind(2)
    if layer.query_stride:
        pooled = functional.max_pool2d(
            query.reshape(batch, height, width, -1).permute(0, 3, 1, 2),
            kernel_size=layer.query_stride,
            stride=layer.query_stride,
        )
        height, width = pooled.shape[-2:]
        query = pooled.permute(0, 2, 3, 1).reshape(batch, height * width, heads, -1)
    query, key, value = (part.transpose(1, 2) for part in (query, key, value))
    attended = functional.scaled_dot_product_attention(query, key, value, scale=layer.scale)
    mixed: torch.Tensor = layer.proj(attended.transpose(1, 2).reshape(batch, height, width, -1))
    return mixed
