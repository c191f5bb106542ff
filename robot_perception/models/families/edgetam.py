"""EdgeTAM: masks of objects given their boxes, by a small convolutional encoder."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.families.batch_norm_folding import fold_batch_norm
from robot_perception.models.families.repvit import merge_convolutions, replace_repvit
from robot_perception.models.families.sam2 import Sam2


class EdgeTam(Sam2):
    """SAM 2 with RepViT as its backbone, which its checkpoints have from timm."""

    def load(self, checkpoint: Checkpoint, input_size: int) -> Any:  # noqa: ANN401 - untyped
        """Load the network for inputs of ``input_size`` pixels; 0 = those of its training."""
        where = f'{checkpoint.task}.model: {checkpoint.folder}'
        config = replace_repvit(checkpoint.config, where)
        network = super().load(replace(checkpoint, config=config), input_size)
        fold_batch_norm(network)
        merge_convolutions(network)
        return network
