"""Decodes the masks of several boxes in one image with SAM 2, without copies of the image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

# transformers publishes no types.
_Module = Any


def decode_masks(
    network: _Module, maps: Sequence[torch.Tensor], boxes: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute what transformers computes for boxes with ``multimask_output=False``.

    transformers repeats the image for each box before it is projected, and moves channels before
    rows and columns for transposed convolutions. Here all boxes read the same projections as long
    as these are equal, and channels stay last until a mask has one value per pixel.

    Args:
        network: ``Sam2Model``, ``EdgeTamModel`` or ``Sam3TrackerModel``.
        maps: of one image and no batch, as from its ``get_image_embeddings``: (1, C/8, 4h, 4w),
            (1, C/4, 2h, 2w) and (1, C, h, w).
        boxes: (1, N, 4) in pixels of the input.

    Returns:
        (1, N, 1, 4h, 4w) logits and (1, N, 1) scores.
    """
    finest, finer, image = maps
    decoder = network.mask_decoder
    prompts, dense = network.prompt_encoder(None, None, boxes, None)
    own = (decoder.obj_score_token, decoder.iou_token, decoder.mask_tokens)
    tokens = torch.cat([part.weight for part in own])
    # (N, T, C); objects are the batch from here on.
    tokens = torch.cat([tokens.expand(boxes.shape[1], -1, -1), prompts[0]], 1)
    position = network.get_image_wide_positional_embeddings()
    tokens, pixels = _transform(
        decoder.transformer, tokens, _channels_last(image + dense), _channels_last(position)
    )
    fine = _upscale(decoder.upscale_conv1, pixels) + _in_cells(finer, 1)
    fine = decoder.activation(_normalize(decoder.upscale_layer_norm, fine))
    fine = decoder.activation(_upscale(decoder.upscale_conv2, fine) + _in_cells(finest, 2))
    masks = tokens[:, 2 : 2 + decoder.num_mask_tokens].unbind(1)
    heads = zip(decoder.output_hypernetworks_mlps, masks, strict=True)
    kernels = torch.stack([head(token) for head, token in heads], 1)
    # (1, N, M, h * w, 16): choosing a mask is quicker before rows and columns are in order.
    logits = (fine @ kernels.transpose(1, 2)).transpose(1, 2).unflatten(2, (-1, 16))[None]
    scores = decoder.iou_prediction_head(tokens[:, 1])[None]
    if decoder.dynamic_multimask_via_stability:
        logits, scores = decoder._dynamic_multimask_via_stability(logits, scores)  # noqa: SLF001
    return _join_cells(logits[:, :, :1], image.shape[-2:]), scores[:, :, :1]


def _transform(
    transformer: _Module, tokens: torch.Tensor, pixels: torch.Tensor, position: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Let (N, T, C) tokens and (1, H * W, C) pixels attend to each other.

    Returns:
        (N, T, C) tokens, and (N, H * W, C) pixels of each object.
    """
    prompts, first = tokens, True
    for layer in transformer.layers:
        if layer.skip_first_layer_pe:
            tokens = _attend(layer.self_attn, tokens, tokens, tokens)
        else:
            asked = tokens + prompts
            tokens = tokens + _attend(layer.self_attn, asked, asked, tokens)
        tokens = layer.layer_norm1(tokens)
        placed = pixels + position
        tokens = tokens + _attend(
            layer.cross_attn_token_to_image, tokens + prompts, placed, pixels, shared=first
        )
        tokens = layer.layer_norm2(tokens)
        tokens = layer.layer_norm3(tokens + layer.mlp(tokens))
        pixels = pixels + _attend(
            layer.cross_attn_image_to_token, placed, tokens + prompts, tokens
        )
        pixels, first = layer.layer_norm4(pixels), False
    attention = transformer.final_attn_token_to_image
    tokens = tokens + _attend(attention, tokens + prompts, pixels + position, pixels, shared=first)
    return transformer.layer_norm_final_attn(tokens), pixels


def _attend(
    layer: _Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    shared: bool = False,
) -> torch.Tensor:
    """Compute attention of (N, Q, C) or (1, Q, C) queries to (N, K, C) keys and values.

    With ``shared`` keys and values, of (1, K, C), all queries attend to the same.
    """
    shape = query.shape
    if shared:
        query = query.reshape(1, -1, shape[-1])
    query, key, value = (
        projection(part).unflatten(-1, (layer.num_attention_heads, -1)).transpose(1, 2)
        for projection, part in (
            (layer.q_proj, query),
            (layer.k_proj, key),
            (layer.v_proj, value),
        )
    )
    query = query.expand(key.shape[0], -1, -1, -1)
    found = functional.scaled_dot_product_attention(query, key, value, scale=layer.scaling)
    found = layer.o_proj(found.transpose(1, 2).flatten(2))
    mixed: torch.Tensor = found.reshape(-1, *shape[1:]) if shared else found
    return mixed


def _channels_last(grid: torch.Tensor) -> torch.Tensor:
    """Rearrange (1, C, h, w) to (1, h * w, C)."""
    return grid.flatten(2).transpose(1, 2)


def _upscale(convolution: _Module, pixels: torch.Tensor) -> torch.Tensor:
    """Compute (N, 4 * P, D) from (N, P, C), where each pixel becomes a cell of 2 x 2.

    A transposed convolution whose stride is its size of 2 x 2 is a matrix product.
    """
    channels, width = convolution.weight.shape[:2]
    matrix = convolution.weight.permute(2, 3, 1, 0).reshape(4 * width, channels)
    found = functional.linear(pixels, matrix, convolution.bias.repeat(4))
    return found.reshape(found.shape[0], -1, width)


def _normalize(norm: nn.LayerNorm, pixels: torch.Tensor) -> torch.Tensor:
    shape = list(norm.normalized_shape)
    return functional.layer_norm(pixels, shape, norm.weight, norm.bias, norm.eps)


def _in_cells(grid: torch.Tensor, times: int) -> torch.Tensor:
    """Rearrange (1, C, 2h, 2w), or (1, C, 4h, 4w) for 2 ``times``, as `_upscale` orders pixels."""
    rows, columns = grid.shape[-2:]
    parts = grid[0].reshape(-1, rows >> times, *[2] * times, columns >> times, *[2] * times)
    # Coarse row and column, then row and column within each cell, from coarse to fine.
    order = [axis for level in range(times + 1) for axis in (1 + level, 2 + times + level)]
    return parts.permute(*order, 0).reshape(1, rows * columns, -1)


def _join_cells(values: torch.Tensor, size_hw: Sequence[int]) -> torch.Tensor:
    """Rearrange (1, N, 1, h * w, 16) in the order of `_upscale` to (1, N, 1, 4h, 4w)."""
    height, width = size_hw
    parts = values.reshape(-1, height, width, 2, 2, 2, 2)
    return parts.permute(0, 1, 3, 5, 2, 4, 6).reshape(1, -1, 1, 4 * height, 4 * width)
