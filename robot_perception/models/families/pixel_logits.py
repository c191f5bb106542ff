"""Networks that return a score of each class at each pixel: SegFormer and UPerNet."""

from __future__ import annotations

import torch

from robot_perception.core import Semantics
from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.families.class_names import read_class_names
from robot_perception.models.families.class_upsampling import best_class
from robot_perception.models.families.interfaces import NamedNetwork, Tensors
from robot_perception.models.network import load_network
from robot_perception.models.preprocess import BILINEAR, read_preprocessor, read_size
from robot_perception.models.resize import check_input_size, Exactly, SizeHW

_SIDE, _STRIDE = 512, 32


class PixelLogits:
    """Finds the class with the highest score; the image is resized to a square for it."""

    def __init__(self, checkpoint: Checkpoint, input_size: int) -> None:
        """Load the network; ``input_size`` as in `build_semantic_segmenter`."""
        check_input_size('semantics.input_size', input_size, _STRIDE)
        self._name = checkpoint.name
        size = read_size(checkpoint)
        side = size.get('shortest_edge', _SIDE)
        rule = Exactly(
            input_size or size.get('height', side), input_size or size.get('width', side)
        )
        self.prepare = read_preprocessor(checkpoint, rule, resample=BILINEAR, normalize=True)
        network = load_network(checkpoint)
        self.class_names = read_class_names(network.config.id2label, checkpoint)

        def scores(pixels: torch.Tensor) -> Tensors:
            return (network(pixel_values=pixels).logits,)

        self.networks = (NamedNetwork('image', network, scores),)

    def read(self, outputs: Tensors, size_hw: SizeHW) -> Semantics:
        """Return the classes in (1, L, h, w) scores."""
        return Semantics(self._name, best_class(outputs[0][0].float(), size_hw), self.class_names)
