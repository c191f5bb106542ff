"""CLIP: images and texts as vectors of one space."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch.nn import functional

from robot_perception.core import Float32Array
from robot_perception.models.center_crop import read_center_crop
from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.families.interfaces import NamedNetwork, Tensors
from robot_perception.models.network import load_network
from robot_perception.models.outputs import to_numpy
from robot_perception.models.preprocess import BICUBIC, CLIP, Statistics
from robot_perception.models.tokenizer import Tokenizer


class Clip:
    """Compares images with texts; the scores of all texts add up to 1, as CLIP was trained."""

    template: ClassVar[str] = 'a photo of a {}.'
    statistics: ClassVar[Statistics] = CLIP

    def __init__(self, checkpoint: Checkpoint, input_size: int) -> None:
        """Load the networks; ``input_size`` as in `build_scene_classifier`."""
        self.network: Any = load_network(checkpoint)
        self._tokenizer = Tokenizer(checkpoint, 'scene.labels')
        config = self.network.config
        self._length: int = config.text_config.max_position_embeddings
        self._prepare(checkpoint, input_size, config.vision_config)
        towers = ('vision_model', 'visual_projection')
        in_half = tuple(getattr(self.network, name, None) for name in towers)
        self.networks = (
            NamedNetwork('image', self.network, self._image, tuple(filter(None, in_half))),
            NamedNetwork('text', self.network, self._text),
        )

    def _prepare(self, checkpoint: Checkpoint, input_size: int, vision: Any) -> None:  # noqa: ANN401 - transformers publishes no types
        side = vision.image_size
        crop = read_center_crop(
            checkpoint,
            input_size,
            side,
            multiple=vision.patch_size,
            resample=BICUBIC,
            statistics=self.statistics,
        )
        self.prepare: Callable[[torch.Tensor], torch.Tensor] = crop
        self._other_size = crop.size_hw != (side, side)

    def tokenize(self, text: str) -> torch.Tensor:
        """Return the (1, T) int64 tokens of a text, filled up to the length of the training."""
        return torch.tensor([self._tokenizer.filled(text, self._length)])

    def _text(self, tokens: torch.Tensor) -> Tensors:
        vector = self.network.get_text_features(input_ids=tokens).pooler_output
        return (functional.normalize(vector, dim=-1),)

    def _image(self, pixels: torch.Tensor) -> Tensors:
        vector = self.network.get_image_features(
            pixel_values=pixels, interpolate_pos_encoding=self._other_size
        ).pooler_output
        return (functional.normalize(vector, dim=-1),)

    def read(self, image: torch.Tensor, texts: torch.Tensor) -> Float32Array:
        """Return the scores of (1, D) and (N, D) vectors: (N,) in [0, 1]."""
        return to_numpy(self.logits(image, texts).softmax(-1))

    def logits(self, image: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
        """Return the cosines of (1, D) and (N, D) vectors, scaled as in training: (N,)."""
        scale: torch.Tensor = self.network.logit_scale.detach().float().to(image.device).exp()
        return (image.float() @ texts.float().T)[0] * scale
