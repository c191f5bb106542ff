"""Encodes images with the encoder of SAM 2 and its kin.

transformers rearranges the image before and after each attention within windows, computes the
weights of attention twice, position encodings for each image, and maps of full width that the
decoder reads through a narrower convolution. Here none of this is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch.nn import functional

from robot_perception.core import WeightsInvalidError
from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.families.interfaces import Tensors
from robot_perception.models.families.pixel_order import PixelOrder
from robot_perception.models.families.sam2_decoder import in_cells
from robot_perception.models.resize import SizeHW

# transformers publishes no types.
_Module = Any
_POSITIONS = 'positions_of_input'
_STRIDE = (2, 2)


class FeatureMap(NamedTuple):
    """A map as (..., C) tokens in an order."""

    tokens: torch.Tensor
    order: PixelOrder

    @classmethod
    def in_rows(cls, grid: torch.Tensor) -> FeatureMap:
        """Return (B, H, W, C) pixels as tokens row by row."""
        size_hw = int(grid.shape[1]), int(grid.shape[2])
        return cls(grid.flatten(1, 2), PixelOrder(size_hw, size_hw))


def check_settings(checkpoint: Checkpoint, config: _Module) -> None:
    """Check that an encoder is like those that were published.

    Args:
        checkpoint: of the network.
        config: its ``vision_config``.

    Raises:
        WeightsInvalidError: it has settings that `run_hiera` and `fuse_maps` do not cover.
    """
    backbone = config.backbone_config
    settings = {
        'fpn_kernel_size': (config.fpn_kernel_size, 1),
        'fpn_stride': (config.fpn_stride, 1),
        'fpn_padding': (config.fpn_padding, 0),
        # The coarsest map has none above it, whether named or not.
        'fpn_top_down_levels': (sorted({*config.fpn_top_down_levels} - {3}), [2]),
        'num_feature_levels': (config.num_feature_levels, 3),
        'backbone_channel_list': (len(config.backbone_channel_list), 4),
        'query_stride': (tuple(getattr(backbone, 'query_stride', _STRIDE)), _STRIDE),
    }
    other = {name: got for name, (got, expected) in settings.items() if got != expected}
    if other:
        expected = {name: settings[name][1] for name in other}
        raise WeightsInvalidError(
            'unsupported_encoder',
            f'{checkpoint.where}: expected an encoder of SAM 2 with '
            f'{expected}, got {other}. Use a checkpoint with such an encoder.',
        )


def keep_positions(backbone: _Module, side: int) -> None:
    """Compute the position encodings of inputs of a size once, for all images."""
    rows, columns = (side // stride for stride in backbone.config.patch_stride)
    with torch.no_grad():
        positions = backbone._get_pos_embed((rows, columns))[0].contiguous()  # noqa: SLF001
    # Three axes, since the order of four may be changed for convolutions.
    backbone.register_buffer(_POSITIONS, positions, persistent=False)


def run_hiera(backbone: _Module, pixels: torch.Tensor) -> list[FeatureMap]:
    """Compute what transformers' ``Sam2HieraDetModel`` computes (Hiera, Ryali et al. 2023).

    Attention does not depend on the order of tokens. So where windows fit the image, they stay
    together from block to block, in an order in which pooling is quick.

    Args:
        backbone: ``Sam2HieraDetModel``, prepared by `keep_positions`.
        pixels: (B, 3, H, W).

    Returns:
        The map at the end of each stage, from fine to coarse.
    """
    grid = backbone.patch_embed(pixels)
    positions = getattr(backbone, _POSITIONS)
    if positions.shape[:2] != grid.shape[1:3]:
        positions = backbone._get_pos_embed(tuple(map(int, grid.shape[1:3])))  # noqa: SLF001
    one = FeatureMap.in_rows(grid + positions)
    maps = []
    for index, block in enumerate(backbone.blocks):
        one = _run_block(block, one, _pools_ahead(backbone.blocks[index:], one.order.size_hw))
        if index in backbone.stage_ends:
            maps.append(one)
    return maps


def _window(block: _Module, size_hw: SizeHW) -> SizeHW:
    """Return rows and columns of the windows of a block."""
    return (block.window_size, block.window_size) if block.window_size else size_hw


def _pools_ahead(blocks: Sequence[_Module], size_hw: SizeHW) -> int:
    """Return how often pixels are pooled before the windows of the first block end."""
    pools, window_hw = 0, _window(blocks[0], size_hw)
    for block in blocks:
        if _window(block, size_hw) != window_hw:
            break
        if block.query_stride:
            pools += 1
            size_hw, window_hw = ((h // 2, w // 2) for h, w in (size_hw, window_hw))
    return pools


def _run_block(block: _Module, one: FeatureMap, pools_ahead: int) -> FeatureMap:
    tokens, order = one
    size_hw, window_hw = order.size_hw, _window(block, order.size_hw)
    padding = [-side % part for side, part in zip(size_hw, window_hw, strict=True)]
    pools = int(bool(block.query_stride))
    wanted = PixelOrder(size_hw, window_hw, pools_ahead)
    if any(padding):
        wanted = PixelOrder(size_hw, size_hw, pools)
    if order != wanted:
        tokens, order = wanted.split(order.join(tokens)), wanted
    normalized = block.layer_norm1(tokens)
    if block.dim != block.dim_out:
        tokens = block.proj(normalized)
    after = order
    if pools:
        tokens, after = _pool(tokens), order.pooled()
    if any(padding):
        height, width = (side + more for side, more in zip(size_hw, padding, strict=True))
        padded = PixelOrder((height, width), window_hw, pools)
        grid = functional.pad(order.join(normalized), (0, 0, 0, padding[1], 0, padding[0]))
        found = _attend(block.attn, padded.split(grid))
        rows, columns = after.size_hw
        found = (padded.pooled() if pools else padded).join(found)[:, :rows, :columns]
        tokens = tokens + after.split(found)
    else:
        tokens = tokens + _attend(block.attn, normalized)
    return FeatureMap(tokens + block.mlp(block.layer_norm2(tokens)), after)


def _attend(layer: _Module, tokens: torch.Tensor) -> torch.Tensor:
    """Let the tokens of each window attend to each other: (N, T, C) to (N, T or T / 4, D)."""
    weights, biases = layer.qkv.weight.chunk(3), layer.qkv.bias.chunk(3)
    query, key, value = map(functional.linear, [tokens] * 3, weights, biases)
    if layer.query_stride:
        query = _pool(query)
    heads = layer.num_attention_heads
    # OpenVINO 2026.4 confuses both axes in bf16 if there are as many queries as heads.
    axes = (2, 0, 1, 3) if query.shape[1] == heads else (0, 2, 1, 3)
    query, key, value = (
        part.reshape(*part.shape[:2], heads, -1).permute(axes) for part in (query, key, value)
    )
    found = functional.scaled_dot_product_attention(query, key, value, scale=layer.scale)
    found = found.permute([axes.index(axis) for axis in range(4)])
    attended: torch.Tensor = layer.proj(found.flatten(2))
    return attended


def _pool(tokens: torch.Tensor) -> torch.Tensor:
    """Return the maxima of the four quarters of the tokens: (N, T, C) to (N, T / 4, C)."""
    windows, _, channels = tokens.shape
    # OpenVINO takes three times as long to find the maximum along another axis.
    return tokens.reshape(windows, 4, -1).amax(1).reshape(windows, -1, channels)


def fuse_maps(network: _Module, maps: Sequence[FeatureMap]) -> Tensors:
    """Compute the inputs of `decode_masks` from the maps of a backbone.

    A convolution of one pixel after another is one with the product of their matrices.

    Args:
        network: ``Sam2Model`` or ``EdgeTamModel``.
        maps: four, from fine to coarse.
    """
    neck, decoder = network.vision_encoder.neck, network.mask_decoder
    finest, finer, image, coarsest = (
        (one, convolution.weight.flatten(1), convolution.bias)
        for one, convolution in zip(maps, reversed(neck.convs), strict=True)
    )
    coarse = _project(*coarsest)
    doubled = coarse[:, :, None, :, None].expand(-1, -1, 2, -1, 2, -1).flatten(3, 4).flatten(1, 2)
    fused = _project(*image) + doubled + network.no_memory_embedding
    return (
        in_cells(_project(*_narrowed(decoder.conv_s0, *finest)), 2),
        in_cells(_project(*_narrowed(decoder.conv_s1, *finer)), 1),
        fused,
    )


def _narrowed(
    narrower: _Module, one: FeatureMap, weight: torch.Tensor, bias: torch.Tensor
) -> tuple[FeatureMap, torch.Tensor, torch.Tensor]:
    """Return a map, and weight and bias of its convolution followed by another one."""
    matrix = narrower.weight.flatten(1)
    return one, matrix @ weight, matrix @ bias + narrower.bias


def _project(one: FeatureMap, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Compute (B, H, W, D) from a map."""
    return one.order.join(functional.linear(one.tokens, weight, bias))
