"""OWL-ViT and OWLv2, which compare each patch of an image with each prompt."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from robot_perception.core import Detections
from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.families.interfaces import NamedNetwork, Tensors
from robot_perception.models.families.objects import read_objects
from robot_perception.models.families.padded_square import PaddedSquare
from robot_perception.models.families.separate_texts import SeparateTexts
from robot_perception.models.network import load_network
from robot_perception.models.preprocess import BICUBIC, CLIP, read_preprocessor
from robot_perception.models.resize import check_input_size, Exactly, SizeHW


class OwlVit(SeparateTexts):
    """Detects at most one object at each patch."""

    def __init__(self, checkpoint: Checkpoint, input_size: int) -> None:
        """Load the networks; ``input_size`` as in `build_detector`."""
        network = load_network(checkpoint)
        model = getattr(network, checkpoint.family)
        vision = network.config.vision_config
        check_input_size('detector.input_size', input_size, vision.patch_size)
        side = input_size or vision.image_size
        other_size = side != vision.image_size
        resized = read_preprocessor(
            checkpoint, Exactly(side, side), resample=BICUBIC, normalize=True, statistics=CLIP
        )
        self._is_padded = checkpoint.family == 'owlv2'
        self.prepare = PaddedSquare(resized, side) if self._is_padded else resized
        max_tokens = network.config.text_config.max_position_embeddings
        super().__init__(checkpoint, 'detector.prompts', max_tokens)

        def text(tokens: torch.Tensor) -> Tensors:
            embedding = model.get_text_features(input_ids=tokens).pooler_output
            return (functional.normalize(embedding, dim=-1),)

        def image(pixels: torch.Tensor, embeddings: torch.Tensor) -> Tensors:
            grid, _ = network.image_embedder(pixels, interpolate_pos_encoding=other_size)
            patches = grid.flatten(1, 2)
            logits, _ = network.class_predictor(patches, embeddings.expand(len(pixels), -1, -1))
            return logits, network.box_predictor(patches, grid, other_size)

        self.networks = (
            NamedNetwork('text', network, text),
            NamedNetwork('image', network, image),
        )

    def read(
        self, outputs: Tensors, prompts: Sequence[str], size_hw: SizeHW, *, threshold: float
    ) -> Detections:
        """Return the objects in (1, Q, P) logits and (1, Q, 4) boxes, best first."""
        logits, boxes = (output[0].float() for output in outputs)
        sides = (max(size_hw), max(size_hw)) if self._is_padded else size_hw
        return read_objects(
            logits.sigmoid(), boxes, prompts, size_hw, threshold=threshold, sides_hw=sides
        )
