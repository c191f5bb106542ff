"""Depth Anything: monocular depth."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from robot_perception.core import Depth, MetricDepth, RelativeDepth
from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.families.interfaces import NamedNetwork, Tensors
from robot_perception.models.network import load_network
from robot_perception.models.outputs import to_numpy
from robot_perception.models.preprocess import BICUBIC, read_preprocessor, read_size
from robot_perception.models.resize import check_input_size, SizeHW, WholePatches

_SIDE = 518


class DepthAnything:
    """Estimates metric or relative inverse depth, depending on the checkpoint's config.

    Depth is upsampled bilinearly: the bicubic filter that transformers uses overshoots at edges
    and can leave the range of depths.
    """

    def __init__(self, checkpoint: Checkpoint, input_size: int) -> None:
        """Load the network; ``input_size`` as in `build_depth_estimator`."""
        check_input_size('depth.input_size', input_size, 1)
        network = load_network(checkpoint)
        self._is_metric = network.config.depth_estimation_type == 'metric'
        side = input_size or read_size(checkpoint).get('height') or _SIDE
        rule = WholePatches(side, network.config.backbone_config.patch_size)
        self.prepare = read_preprocessor(checkpoint, rule, resample=BICUBIC, normalize=True)

        def raw_depth(pixels: torch.Tensor) -> Tensors:
            return (network(pixel_values=pixels).predicted_depth,)

        self.networks = (NamedNetwork('image', network, raw_depth, in_half=(network,)),)

    def read(self, outputs: Tensors, size_hw: SizeHW) -> Depth:
        """Upsample (1, h, w) depth to the image's size."""
        raw = outputs[0][None].float()
        full = functional.interpolate(raw, size_hw, mode='bilinear', align_corners=False)
        values = to_numpy(full[0, 0])
        if self._is_metric:
            return MetricDepth.from_meters(values)
        return RelativeDepth(np.maximum(values, np.float32(0)))
