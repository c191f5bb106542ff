"""Depth Anything and DPT (MiDaS): monocular depth."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from robot_perception.core import Depth, MetricDepth, RelativeDepth, WeightsInvalidError
from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.families.interfaces import NamedNetwork, Tensors
from robot_perception.models.network import load_network
from robot_perception.models.outputs import to_numpy
from robot_perception.models.preprocess import (
    BICUBIC,
    HALVES,
    IMAGENET,
    read_preprocessor,
    read_size,
    Statistics,
)
from robot_perception.models.resize import check_input_size, SizeHW, WholePatches


class _Variant(NamedTuple):
    """Side of the input, its aspect ratio and statistics unless the checkpoint states them.

    Attributes:
        stride: what the sides must be multiples of; 0 = they are rounded to whole patches.
        in_half: whether every layer computes in half precision.
    """

    side: int
    stride: int
    keep_aspect_ratio: bool
    statistics: Statistics
    in_half: bool


_VARIANTS = {
    'depth_anything': _Variant(518, 0, keep_aspect_ratio=True, statistics=IMAGENET, in_half=True),
    # Each stage of its neck halves the one before.
    'dpt': _Variant(384, 32, keep_aspect_ratio=False, statistics=HALVES, in_half=False),
}


class DepthAnything:
    """Estimates metric or relative inverse depth, depending on the checkpoint's config.

    DPT is the network that Depth Anything is built on; its published checkpoints (MiDaS) estimate
    relative inverse depth.

    Depth is upsampled bilinearly: the bicubic filter that transformers uses overshoots at edges
    and can leave the range of depths.
    """

    def __init__(self, checkpoint: Checkpoint, input_size: int) -> None:
        """Load the network; ``input_size`` as in `build_depth_estimator`."""
        variant = _VARIANTS[checkpoint.family]
        check_input_size('depth.input_size', input_size, variant.stride or 1)
        backbone = checkpoint.config.get('backbone_config') or {}
        if checkpoint.family == 'dpt' and backbone.get('model_type') == 'dinov2':
            raise WeightsInvalidError(
                'invalid_config',
                f'depth.model: {checkpoint.folder}: expected a DPT of MiDaS, which estimates '
                'inverse depth, got one on DINOv2, of which config.json does not state what it '
                'estimates. Use a checkpoint of Depth Anything V2.',
            )
        network = load_network(checkpoint)
        self._is_metric = getattr(network.config, 'depth_estimation_type', '') == 'metric'
        size = read_size(checkpoint)
        multiple = variant.stride or network.config.backbone_config.patch_size
        rule = WholePatches(
            input_size or size.get('height', variant.side),
            input_size or size.get('width', variant.side),
            multiple,
            keep_aspect_ratio=bool(
                checkpoint.preprocessor.get('keep_aspect_ratio', variant.keep_aspect_ratio)
            ),
        )
        self.prepare = read_preprocessor(
            checkpoint,
            rule,
            resample=BICUBIC,
            normalize=True,
            statistics=variant.statistics,
            multiple=multiple,
        )

        def raw_depth(pixels: torch.Tensor) -> Tensors:
            return (network(pixel_values=pixels).predicted_depth,)

        in_half = (network,) if variant.in_half else ()
        self.networks = (NamedNetwork('image', network, raw_depth, in_half),)

    def read(self, outputs: Tensors, size_hw: SizeHW) -> Depth:
        """Upsample (1, h, w) depth to the image's size."""
        raw = outputs[0][None].float()
        full = functional.interpolate(raw, size_hw, mode='bilinear', align_corners=False)
        values = to_numpy(full[0, 0])
        if self._is_metric:
            return MetricDepth.from_meters(values)
        return RelativeDepth(np.maximum(values, np.float32(0)))
