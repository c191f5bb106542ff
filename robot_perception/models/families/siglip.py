"""SigLIP, and SigLIP 2 for images of a fixed size."""

from __future__ import annotations

import torch

from robot_perception.core import Float32Array
from robot_perception.models.families.clip import Clip
from robot_perception.models.outputs import to_numpy
from robot_perception.models.preprocess import HALVES


class Siglip(Clip):
    """Compares images with texts; each has a score of its own, as SigLIP was trained."""

    template = 'This is a photo of {}.'
    statistics = HALVES

    def tokenize(self, text: str) -> torch.Tensor:
        """Return the (1, T) int64 tokens of a text in lower case."""
        return super().tokenize(text.lower())

    def read(self, image: torch.Tensor, texts: torch.Tensor) -> Float32Array:
        """Return the scores of (1, D) and (N, D) vectors: (N,) in [0, 1]."""
        bias = self.network.logit_bias.detach().float().to(image.device)
        return to_numpy((self.logits(image, texts) + bias).sigmoid())
