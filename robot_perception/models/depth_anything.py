"""Depth Anything: how far each pixel is."""

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
    """Gives metres or relative inverse depth, by what the checkpoint's config says of itself.

    Upsampling to the image is bilinear: bicubic, which transformers uses, overshoots at edges
    and can leave the range of depths altogether.
    """

    def __init__(
        self, checkpoint: Checkpoint, *, device: str, precision: str, input_size: int
    ) -> None:
        """Load the network; arguments as in `build_depth_estimator`."""
        check_input_size('depth.input_size', input_size, 1)
        self._network = load_network(checkpoint, device=device, precision=precision)
        config = self._network.module.config
        self._is_metric = config.depth_estimation_type == 'metric'
        side = input_size or read_size(checkpoint).get('height') or _SIDE
        rule = WholePatches(side, config.backbone_config.patch_size)
        self._pixels = read_preprocessor(checkpoint, rule, resample=BICUBIC, normalise=True)

    def estimate(self, image: UploadedImage) -> Depth:
        """Estimate depth at the image's size."""
        with self._network.running():
            raw = self._forward(self._preprocess(image))
            return self._postprocess(raw, image.size_hw)

    def _preprocess(self, image: UploadedImage) -> torch.Tensor:
        return self._pixels(image.on(self._network.device_spec.device))

    def _forward(self, pixels: torch.Tensor) -> torch.Tensor:
        raw: torch.Tensor = self._network.module(pixel_values=pixels).predicted_depth
        return raw

    def _postprocess(self, raw: torch.Tensor, size_hw: SizeHW) -> Depth:
        full = functional.interpolate(
            raw[None].float(), size_hw, mode='bilinear', align_corners=False
        )
        values = self._network.to_numpy(full[0, 0])
        if self._is_metric:
            return MetricDepth.from_meters(values)
        return RelativeDepth(np.maximum(values, np.float32(0)))
