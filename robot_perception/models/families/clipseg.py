"""CLIPSeg, which scores each pixel for each text."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from robot_perception.core import UInt16Array
from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.families.class_upsampling import best_class
from robot_perception.models.families.interfaces import NamedNetwork, Tensors
from robot_perception.models.families.separate_texts import SeparateTexts
from robot_perception.models.network import load_network
from robot_perception.models.preprocess import BILINEAR, read_preprocessor, read_size
from robot_perception.models.resize import check_input_size, Exactly, SizeHW

_SIDE = 352
# Labels that are decoded at once: all of them would take gigabytes.
_CHUNK = 16
# Beyond any logit; thresholds of 0 and 1 have infinite ones.
_LARGEST = 1e4


class ClipSeg(SeparateTexts):
    """Scores each label by itself; the image is resized to a square for it."""

    def __init__(self, checkpoint: Checkpoint, input_size: int) -> None:
        """Load the networks; ``input_size`` as in `build_semantic_segmenter`."""
        network: Any = load_network(checkpoint)
        check_input_size(
            'semantics.input_size', input_size, network.config.vision_config.patch_size
        )
        # The decoder takes nothing but squares.
        side = input_size or read_size(checkpoint).get('height', _SIDE)
        self.prepare = read_preprocessor(
            checkpoint, Exactly(side, side), resample=BILINEAR, normalize=True
        )
        max_tokens = network.config.text_config.max_position_embeddings
        super().__init__(checkpoint, 'semantics.labels', max_tokens)

        def text(tokens: torch.Tensor) -> Tensors:
            return (network.clip.get_text_features(input_ids=tokens).pooler_output,)

        def image(pixels: torch.Tensor, embeddings: torch.Tensor) -> Tensors:
            states = network.clip.vision_model(
                pixel_values=pixels, interpolate_pos_encoding=True, output_hidden_states=True
            ).hidden_states
            # The first state is the input of the first layer.
            activations = [states[index + 1] for index in network.extract_layers]
            parts = [
                network.decoder(activations, part).logits.reshape(-1, side, side)
                for part in torch.split(embeddings, _CHUNK)
            ]
            return (torch.cat(parts)[None],)

        self.networks = (
            NamedNetwork('text', network, text),
            NamedNetwork('image', network, image),
        )

    def read(self, outputs: Tensors, size_hw: SizeHW, *, threshold: float) -> UInt16Array:
        """Return the indices of the labels with the highest of (1, L, h, w) logits."""
        logits = outputs[0][0].float()
        least = torch.tensor(threshold).logit().clamp(-_LARGEST, _LARGEST).to(logits)
        # Index 0 stands for no label, and becomes 65535.
        best = best_class(torch.cat([least.expand(1, *logits.shape[1:]), logits]), size_hw)
        return np.subtract(best, 1, dtype=np.uint16)
