"""Depth Anything: monocular depth."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from robot_perception.core import Depth, MetricDepth, RelativeDepth
from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.network import load_network
from robot_perception.models.preprocess import BICUBIC, read_preprocessor, read_size
from robot_perception.models.resize import check_input_size, SizeHW, WholePatches
from robot_perception.models.uploaded_image import UploadedImage

_SIDE = 518


class DepthAnything:
    """Estimates metric or relative inverse depth, depending on the checkpoint's config.

    Depth is upsampled bilinearly: the bicubic filter that transformers uses overshoots at edges
    and can leave the range of depths.

    Attributes:
        network: the loaded network.
    """

    def __init__(
        self, checkpoint: Checkpoint, *, device: str, precision: str, input_size: int
    ) -> None:
        """Load the network; arguments as in `build_depth_estimator`."""
        check_input_size('depth.input_size', input_size, 1)
        self.network = load_network(checkpoint, device=device, precision=precision)
        config = self.network.module.config
        self._is_metric = config.depth_estimation_type == 'metric'
        side = input_size or read_size(checkpoint).get('height') or _SIDE
        rule = WholePatches(side, config.backbone_config.patch_size)
        self._preprocessor = read_preprocessor(checkpoint, rule, resample=BICUBIC, normalize=True)

    def estimate(self, image: UploadedImage) -> Depth:
        """Estimate depth at the image's size."""
        with self.network.running():
            raw = self._forward(self.preprocess(image))
            return self._postprocess(raw, image.size_hw)

    def preprocess(self, image: UploadedImage) -> torch.Tensor:
        """Return the network's input: (1, 3, H, W) float32 on its device."""
        return self._preprocessor(image.on(self.network.device_spec.device))

    def _forward(self, pixels: torch.Tensor) -> torch.Tensor:
        raw: torch.Tensor = self.network.module(pixel_values=pixels).predicted_depth
        return raw

    def _postprocess(self, raw: torch.Tensor, size_hw: SizeHW) -> Depth:
        full = functional.interpolate(
            raw[None].float(), size_hw, mode='bilinear', align_corners=False
        )
        values = self.network.to_numpy(full[0, 0])
        if self._is_metric:
            return MetricDepth.from_meters(values)
        return RelativeDepth(np.maximum(values, np.float32(0)))
