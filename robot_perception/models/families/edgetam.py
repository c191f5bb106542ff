"""EdgeTAM: masks of objects given their boxes, by a small convolutional encoder."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.families import sam2_encoder
from robot_perception.models.families.batch_norm_folding import fold_batch_norm
from robot_perception.models.families.interfaces import Tensors
from robot_perception.models.families.repvit import merge_convolutions, replace_repvit
from robot_perception.models.families.sam2 import Sam2
from robot_perception.models.network import load_network


class EdgeTam(Sam2):
    """SAM 2 with RepViT as its backbone, which its checkpoints have from timm."""

    def load(self, checkpoint: Checkpoint, input_size: int) -> Any:  # noqa: ANN401 - untyped
        """Load the network for inputs of ``input_size`` pixels; 0 = those of its training."""
        config = replace_repvit(checkpoint.config, checkpoint.where)
        network = load_network(replace(checkpoint, config=config), self.edit_for(input_size))
        sam2_encoder.check_settings(checkpoint, network.vision_encoder.config)
        fold_batch_norm(network)
        merge_convolutions(network)
        return network

    @staticmethod
    def encode(network: Any, pixels: torch.Tensor) -> Tensors:  # noqa: ANN401 - untyped
        """Compute the inputs of `decode_masks` from (B, 3, h, w) pixels."""
        maps = network.vision_encoder.backbone(pixels).last_hidden_state
        rows = [sam2_encoder.FeatureMap.in_rows(one.permute(0, 2, 3, 1)) for one in maps]
        return sam2_encoder.fuse_maps(network, rows)
