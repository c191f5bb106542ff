"""SAM 2: masks of objects given their boxes."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from torch.nn import functional

from robot_perception.core import Float32Array, Masks
from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.families.interfaces import NamedNetwork, Tensors
from robot_perception.models.families.mask_upsampling import upsample_and_threshold
from robot_perception.models.families.sam2_decoder import decode_masks
from robot_perception.models.families.sam2_encoder import skip_unused_work
from robot_perception.models.network import load_network
from robot_perception.models.outputs import to_numpy
from robot_perception.models.preprocess import (
    BILINEAR,
    IMAGENET,
    read_preprocessor,
    Statistics,
)
from robot_perception.models.resize import check_input_size, Exactly, SizeHW


class Sam2:
    """Predicts one mask for each box; the image is encoded once for any number of boxes.

    The single-mask output is used rather than the best of three: a box is hardly ambiguous, and
    the network itself falls back to the best of three where the single mask is unstable.
    """

    multiple: ClassVar[int] = 32
    """Of the sides of its input, pixels."""
    cell: ClassVar[int] = 16
    """Side of a cell of the coarsest of its three feature maps, pixels."""
    statistics: ClassVar[Statistics] = IMAGENET
    """Mean and standard deviation of its inputs, unless the checkpoint states them."""
    has_rotary: ClassVar[bool] = False
    """Whether its encoder rotates by positions, which are of one input size and need fp32."""

    def __init__(self, checkpoint: Checkpoint, input_size: int) -> None:
        """Load the network; ``input_size`` as in `build_segmenter`."""
        check_input_size('segmenter.input_size', input_size, self.multiple)
        network = self.load(checkpoint, input_size)
        self._side = int(network.config.prompt_encoder_config.image_size)
        self.prepare = read_preprocessor(
            checkpoint,
            Exactly(self._side, self._side),
            resample=BILINEAR,
            normalize=True,
            statistics=self.statistics,
            multiple=0 if self.has_rotary else self.multiple,
        )

        # Without a reference to the family, which would keep the network alive.
        cell = self.cell

        def encode(pixels: torch.Tensor) -> Tensors:
            network.backbone_feature_sizes = _feature_sizes(int(pixels.shape[-1]), cell)
            return tuple(network.get_image_embeddings(pixels))

        def decode(*inputs: torch.Tensor) -> Tensors:
            *maps, prompts = inputs
            # Prompts stay in pixels of the own input size, of which shares count.
            network.prompt_encoder.image_embedding_size = tuple(map(int, maps[-1].shape[-2:]))
            return decode_masks(network, maps, prompts)

        encoder = network.vision_encoder
        in_half = (encoder, network.mask_decoder.conv_s0, network.mask_decoder.conv_s1)
        self.networks = (
            NamedNetwork(
                'encoder',
                network,
                encode,
                () if self.has_rotary else in_half,
                partial(skip_unused_work, encoder),
            ),
            # Coordinates of prompts need fp32, so that only matrix products may take less.
            NamedNetwork('decoder', network, decode, varying=(-1, 1)),
        )

    def load(self, checkpoint: Checkpoint, input_size: int) -> Any:  # noqa: ANN401 - untyped
        """Load the network for inputs of ``input_size`` pixels; 0 = those of its training."""
        edit = partial(self.set_side, side=input_size) if input_size else None
        return load_network(checkpoint, edit=edit)

    def set_side(self, config: Any, side: int) -> None:  # noqa: ANN401 - untyped
        """Set another square input size in a config, which does not change the weights."""
        config.vision_config.backbone_config.image_size = [side, side]
        config.vision_config.backbone_feature_sizes = _feature_sizes(side, self.cell)
        config.prompt_encoder_config.image_size = side

    def prompts(self, boxes_xyxy: Float32Array, size_hw: SizeHW) -> torch.Tensor:
        """Scale (N, 4) boxes to the input, whose aspect ratio is another: (1, N, 4)."""
        height, width = size_hw
        image = np.array([width, height, width, height], np.float32)
        return torch.from_numpy(boxes_xyxy * (np.float32(self._side) / image))[None]

    def read(self, outputs: Tensors, size_hw: SizeHW) -> Masks:
        """Return the masks in (1, N, 1, h, w) logits and (1, N, 1) scores."""
        logits, scores = outputs[0][0].float(), outputs[1][0, :, 0]
        if logits.device.type == 'cpu':
            pixels = upsample_and_threshold(to_numpy(logits[:, 0]), size_hw)
        else:
            # The sum shows an overflow of any logit and is cheaper to copy than all of them.
            to_numpy(logits.sum())
            full = functional.interpolate(logits, size_hw, mode='bilinear', align_corners=False)
            pixels = (full[:, 0] > 0).cpu().numpy()
        return Masks(pixels, to_numpy(scores).clip(0, 1))


def _feature_sizes(side: int, cell: int) -> list[list[int]]:
    """Return rows and columns of the feature maps of a square input."""
    return [[factor * side // cell] * 2 for factor in (4, 2, 1)]
