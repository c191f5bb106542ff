"""Decodes the masks of several boxes in one image with SAM 2, without copies of the image."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from robot_perception.models.families.interfaces import Tensors
from robot_perception.models.resize import SizeHW

# transformers publishes no types.
_Module = Any
_POSITIONS = 'positions_of_map'


def embed_boxes(prompt_encoder: _Module, boxes: torch.Tensor) -> torch.Tensor:
    """Embed (1, N, 4) boxes in pixels of the input: (1, N, T, C)."""
    embeddings: torch.Tensor = prompt_encoder(None, None, boxes, None)[0]
    return embeddings


def decode_masks(
    network: _Module,
    finest: torch.Tensor,
    finer: torch.Tensor,
    image: torch.Tensor,
    prompts: torch.Tensor,
) -> Tensors:
    """Compute all masks that transformers computes for prompts.

    transformers repeats the image for each prompt before it is projected, and moves channels
    before rows and columns for transposed convolutions. Here all prompts read the same projections
    as long as these are equal, and channels stay last until a mask has one value per pixel.

    Args:
        network: ``Sam2Model``, ``EdgeTamModel`` or ``Sam3TrackerModel``.
        finest: map of one image in the order of `in_cells`, (1, h * w * 16, C/8).
        finer: the same with a quarter of the pixels, (1, h * w * 4, C/4).
        image: the map that the decoder attends to, (1, h, w, C).
        prompts: (1, N, T, C) from `embed_boxes`.

    Returns:
        (1, N, M, h * w, 16) logits, whose last two axes have the order of the first map, and
        (1, N, M) scores; see `MaskChoice`.
    """
    decoder = network.mask_decoder
    own = (decoder.obj_score_token, decoder.iou_token, decoder.mask_tokens)
    tokens = torch.cat([part.weight for part in own])
    # (N, T, C); objects are the batch from here on.
    tokens = torch.cat([tokens.expand(prompts.shape[1], *tokens.shape), prompts[0]], 1)
    pixels = (image + network.prompt_encoder.no_mask_embed.weight.to(image.dtype)).flatten(1, 2)
    position = getattr(network, _POSITIONS)
    if position.shape[:2] != image.shape[1:3]:
        position = _positions(network, (int(image.shape[1]), int(image.shape[2])))
    position = position.to(image.dtype).flatten(0, 1)
    tokens, pixels = _transform(decoder.transformer, tokens, pixels, position)
    fine = _upscale(decoder.upscale_conv1, pixels) + finer
    fine = decoder.activation(_normalize(decoder.upscale_layer_norm, fine))
    fine = decoder.activation(_upscale(decoder.upscale_conv2, fine) + finest)
    masks = tokens[:, 2 : 2 + decoder.num_mask_tokens].unbind(1)
    heads = zip(decoder.output_hypernetworks_mlps, masks, strict=True)
    kernels = torch.stack([head(token) for head, token in heads], 1)
    logits = (fine @ kernels.transpose(1, 2)).transpose(1, 2)
    logits = logits.reshape(1, -1, len(masks), image.shape[1] * image.shape[2], 16)
    return logits, decoder.iou_prediction_head(tokens[:, 1])[None]


def keep_positions(network: _Module, size_hw: SizeHW) -> None:
    """Compute the position encodings of the pixels of a map once, for all images."""
    with torch.no_grad():
        positions = _positions(network, size_hw)
    # Three axes, since the order of four may be changed for convolutions.
    network.register_buffer(_POSITIONS, positions, persistent=False)


def _positions(network: _Module, size_hw: SizeHW) -> torch.Tensor:
    """Compute the position encodings of the centers of all pixels: (h, w, C)."""
    embedding = network.shared_image_embedding
    like = embedding.positional_embedding
    rows, columns = (
        (torch.arange(side, dtype=like.dtype, device=like.device) + 0.5) / side for side in size_hw
    )
    down, across = torch.meshgrid(rows, columns, indexing='ij')
    encodings: torch.Tensor = embedding(torch.stack([across, down], -1))
    return encodings


def in_cells(grid: torch.Tensor, times: int) -> torch.Tensor:
    """Rearrange (B, H, W, C) to (B, H * W, C), as `_upscale` orders pixels after some ``times``.

    Cells of 2 ** ``times`` pixels a side follow row by row, in each its quarters, and so on.
    """
    batch, height, width, channels = grid.shape
    parts = grid.reshape(batch, height >> times, *[2] * times, width >> times, *[2] * times, -1)
    pairs = [axis for level in range(times + 1) for axis in (1 + level, 2 + times + level)]
    return parts.permute(0, *pairs, 3 + 2 * times).reshape(batch, -1, channels)


def in_rows(logits: torch.Tensor) -> torch.Tensor:
    """Rearrange (N, h * w, 16) logits of square masks from `decode_masks` to (N, 4h, 4w)."""
    side = math.isqrt(logits.shape[1])
    parts = logits.reshape(-1, side, side, 2, 2, 2, 2)
    return parts.permute(0, 1, 3, 5, 2, 4, 6).reshape(-1, 4 * side, 4 * side)


class MaskChoice(NamedTuple):
    """How one of several masks is chosen, as ``multimask_output=False`` of transformers does.

    Attributes:
        falls_back: whether to fall back from the first mask to the best of the others.
        delta: the first mask is stable if its area changes little within this distance of 0.
        threshold: smallest ratio of both areas of a stable mask.
    """

    falls_back: bool
    delta: float
    threshold: float

    def __call__(self, logits: torch.Tensor, scores: torch.Tensor) -> Tensors:
        """Choose a mask of (N, M, ...) logits with (N, M) scores: (N, ...) and (N,)."""
        first, others = logits[:, 0].flatten(1), scores[:, 1:]
        if not self.falls_back:
            return logits[:, 0], scores[:, 0]
        inner, outer = ((first > edge).sum(1) for edge in (self.delta, -self.delta))
        is_stable = torch.where(outer > 0, inner / outer, 1) >= self.threshold
        index = torch.where(is_stable, 0, 1 + others.argmax(1))
        rows = torch.arange(len(index), device=index.device)
        return logits[rows, index], scores[rows, index]


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
        # unflatten would make the number of prompts a constant when it is exported.
        projection(part).reshape(*part.shape[:2], layer.num_attention_heads, -1).transpose(1, 2)
        for projection, part in (
            (layer.q_proj, query),
            (layer.k_proj, key),
            (layer.v_proj, value),
        )
    )
    if query.shape[0] != key.shape[0]:
        query = query.expand(key.shape[0], *query.shape[1:])
    found = functional.scaled_dot_product_attention(query, key, value, scale=layer.scaling)
    found = layer.o_proj(found.transpose(1, 2).flatten(2))
    mixed: torch.Tensor = found.reshape(-1, *shape[1:]) if shared else found
    return mixed


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
