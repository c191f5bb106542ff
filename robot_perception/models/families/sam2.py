"""SAM 2: masks of objects given their boxes."""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from torch.nn import functional

from robot_perception.core import Float32Array, Masks
from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.families import sam2_decoder, sam2_encoder
from robot_perception.models.families.interfaces import NamedNetwork, Tensors
from robot_perception.models.families.mask_upsampling import upsample_and_threshold
from robot_perception.models.network import ConfigEdit, load_network
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

        settings = network.config.mask_decoder_config
        self._choose = sam2_decoder.MaskChoice(
            settings.dynamic_multimask_via_stability,
            settings.dynamic_multimask_stability_delta,
            settings.dynamic_multimask_stability_thresh,
        )
        # Coordinates need fp32, whatever the decoder computes in.
        self._prompt_encoder = deepcopy(network.prompt_encoder)
        side = self._side // self.cell
        sam2_decoder.keep_positions(network, (side, side))
        decoder = (network.mask_decoder,)
        encoder = () if self.has_rotary else (network.vision_encoder, *decoder)
        # Without a reference to the family, which would keep the network alive.
        decode = partial(sam2_decoder.decode_masks, network)
        self.networks = (
            NamedNetwork('encoder', network, partial(self.encode, network), encoder),
            NamedNetwork('decoder', network, decode, decoder, varying=(-1, 1)),
        )

    def load(self, checkpoint: Checkpoint, input_size: int) -> Any:  # noqa: ANN401 - untyped
        """Load the network for inputs of ``input_size`` pixels; 0 = those of its training."""
        network = load_network(checkpoint, self.edit_for(input_size))
        encoder = network.vision_encoder
        sam2_encoder.check_settings(checkpoint, encoder.config)
        sam2_encoder.keep_positions(
            encoder.backbone, int(network.config.prompt_encoder_config.image_size)
        )
        return network

    def edit_for(self, input_size: int) -> ConfigEdit | None:
        """Return a function that sets an input size in a config; None for 0."""
        return partial(self.set_side, side=input_size) if input_size else None

    @staticmethod
    def encode(network: Any, pixels: torch.Tensor) -> Tensors:  # noqa: ANN401 - untyped
        """Compute the inputs of `decode_masks` from (B, 3, h, w) pixels."""
        maps = sam2_encoder.run_hiera(network.vision_encoder.backbone, pixels)
        return sam2_encoder.fuse_maps(network, maps)

    def set_side(self, config: Any, side: int) -> None:  # noqa: ANN401 - untyped
        """Set another square input size in a config, which does not change the weights."""
        config.vision_config.backbone_config.image_size = [side, side]
        sizes = [[factor * side // self.cell] * 2 for factor in (4, 2, 1)]
        config.vision_config.backbone_feature_sizes = sizes
        config.prompt_encoder_config.image_size = side

    def prompts(self, boxes_xyxy: Float32Array, size_hw: SizeHW) -> torch.Tensor:
        """Embed (N, 4) boxes, scaled to the input, whose aspect ratio is another: (1, N, T, C)."""
        height, width = size_hw
        image = np.array([width, height, width, height], np.float32)
        scaled = torch.from_numpy(boxes_xyxy * (np.float32(self._side) / image))
        return sam2_decoder.embed_boxes(self._prompt_encoder, scaled[None])

    def read(self, outputs: Tensors, size_hw: SizeHW) -> Masks:
        """Return the masks in (1, N, M, h * w, 16) logits and (1, N, M) scores."""
        logits, scores = self._choose(*(one[0].float() for one in outputs))
        logits = sam2_decoder.in_rows(logits)
        if logits.device.type == 'cpu':
            pixels = upsample_and_threshold(to_numpy(logits), size_hw)
        else:
            # The sum shows an overflow of any logit and is cheaper to copy than all of them.
            to_numpy(logits.sum())
            full = functional.interpolate(logits[:, None], size_hw, mode='bilinear')
            pixels = (full[:, 0] > 0).cpu().numpy()
        return Masks(pixels, to_numpy(scores).clip(0, 1))
