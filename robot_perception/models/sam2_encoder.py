"""What transformers reckons in SAM 2's encoder and nobody needs: a third of the demo's."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast
import weakref

import torch
from torch.nn import functional

# Private in transformers, so that another version may lack them.
_POSITION = '_get_pos_embed'
_ATTENTION = 'Sam2MultiScaleAttention'


def spare_work(encoder: Any) -> None:  # noqa: ANN401 - transformers publishes no types
    """Leave out of an encoder what changes nothing, in place; its answers stay, to the bit.

    - Encodings of place depend on the size of the input alone: those of the backbone are reckoned
      once, not for each image. Those of the neck are for the memory of a video, which is not used.
    - Attention reckons weights that it does not use before it reckons them again.
    """
    encoder.neck.position_encoding.forward = _no_position
    position = getattr(encoder.backbone, _POSITION, None)
    if position is not None:
        setattr(encoder.backbone, _POSITION, _once(position))
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


def _once(method: Callable[[Any], torch.Tensor]) -> Callable[[Any], torch.Tensor]:
    """Remember what a method gives; not the network, whose memory is freed once it is dropped."""
    of_network, known = weakref.WeakMethod(method), {}

    def remembered(size_hw: Any) -> torch.Tensor:  # noqa: ANN401 - transformers publishes no types
        if size_hw not in known:
            known[size_hw] = cast('Callable[[Any], torch.Tensor]', of_network())(size_hw)
        return known[size_hw]

    return remembered


def _attend(layer: Any, hidden_states: torch.Tensor, **_: object) -> torch.Tensor:  # noqa: ANN401 - as above
    """Attend within a window, as Hiera does: queries may be pooled (Ryali et al. 2023).

    Args:
        layer: with the weights.
        hidden_states: (B, H, W, C).

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
    seen = functional.scaled_dot_product_attention(query, key, value, scale=layer.scale)
    mixed: torch.Tensor = layer.proj(seen.transpose(1, 2).reshape(batch, height, width, -1))
    return mixed
