"""The tracker of SAM 3: masks of objects given their boxes."""

from __future__ import annotations

from typing import Any

import torch
import transformers

from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.families.interfaces import Tensors
from robot_perception.models.families.sam2 import Sam2
from robot_perception.models.families.sam2_decoder import in_cells
from robot_perception.models.network import load_network
from robot_perception.models.preprocess import HALVES


class Sam3Tracker(Sam2):
    """The decoder of SAM 2 on the encoder of SAM 3.

    Published checkpoints contain it beside the network that is prompted by words.
    """

    multiple = 14
    cell = 14
    statistics = HALVES
    has_rotary = True

    def load(self, checkpoint: Checkpoint, input_size: int) -> Any:  # noqa: ANN401 - untyped
        """Load the network for inputs of ``input_size`` pixels; 0 = those of its training."""

        def edit(config: Any) -> None:  # noqa: ANN401
            tracker = getattr(config, 'tracker_config', None)
            if tracker:
                # transformers builds the network from this part.
                config.tracker_config = transformers.Sam3TrackerConfig(**tracker)
                config = config.tracker_config
            if input_size:
                self.set_side(config, input_size)

        return load_network(checkpoint, edit)

    @staticmethod
    def encode(network: Any, pixels: torch.Tensor) -> Tensors:  # noqa: ANN401 - untyped
        """Compute the inputs of `decode_masks` from (B, 3, h, w) pixels."""
        encoder, decoder = network.vision_encoder, network.mask_decoder
        tokens = encoder.backbone(pixels).last_hidden_state
        stride = encoder.config.backbone_config.patch_size
        rows, columns = (int(side) // stride for side in pixels.shape[-2:])
        grid = tokens.unflatten(1, (rows, columns)).permute(0, 3, 1, 2)
        # The decoder takes three levels of the feature pyramid.
        finest, finer, image = (level(grid) for level in encoder.neck.fpn_layers[:3])
        finest, finer, image = (
            one.permute(0, 2, 3, 1)
            for one in (decoder.conv_s0(finest), decoder.conv_s1(finer), image)
        )
        return in_cells(finest, 2), in_cells(finer, 1), image + network.no_memory_embedding
