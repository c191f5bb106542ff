"""EoMT: a vision transformer that returns a class and a mask for each query."""

from __future__ import annotations

import torch

from robot_perception.core import ConfigError, Semantics
from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.families.class_names import read_class_names
from robot_perception.models.families.class_upsampling import best_class, check_finite, upsample
from robot_perception.models.families.interfaces import NamedNetwork, Tensors
from robot_perception.models.families.panoptic import class_scores, PanopticRule, read_panoptic
from robot_perception.models.families.squares import Squares
from robot_perception.models.families.things import find_things
from robot_perception.models.network import load_network
from robot_perception.models.preprocess import BILINEAR, read_preprocessor
from robot_perception.models.resize import ShortSide, SizeHW

_RULE = PanopticRule(min_score=0.8, keeps_inside=True)
# Long side of an image as a multiple of the square; that of a longer image is reduced to it.
_MAX_CROPS = 4


class Eomt:
    """Finds the class of each pixel, and objects if the checkpoint separates them.

    The network takes a square of one size: the whole image, padded with black; or, if the
    checkpoint states ``do_split_image``, each of the overlapping squares that cover the image.
    """

    def __init__(self, checkpoint: Checkpoint, input_size: int) -> None:
        """Load the network; ``input_size`` is 0, or the size that it takes."""
        self._name = checkpoint.name
        network = load_network(checkpoint)
        side = int(network.config.image_size)
        if input_size not in {0, side}:
            raise ConfigError(
                'out_of_range',
                f'semantics.input_size: expected 0 or {side}, the only size that '
                f'{checkpoint.name} takes, got {input_size}. Use 0.',
            )
        self.class_names = read_class_names(network.config.id2label, checkpoint)
        is_split = bool(checkpoint.preprocessor.get('do_split_image', False))
        self._things = None if is_split else find_things(checkpoint, self.class_names)
        self._rule = ShortSide(side, side * _MAX_CROPS if is_split else side)
        self._resize = read_preprocessor(checkpoint, self._rule, resample=BILINEAR, normalize=True)
        self._squares = Squares(side)
        self._black = self._resize(torch.zeros(1, 3, 1, 1, dtype=torch.uint8))[..., :1, :1]

        def queries(pixels: torch.Tensor) -> Tensors:
            output = network(pixel_values=pixels)
            return output.class_queries_logits, output.masks_queries_logits

        self.networks = (NamedNetwork('image', network, queries),)

    def prepare(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the squares of each of B images after the other: (B * N, 3, s, s) float32."""
        return self._squares.cut(self._resize(pixels), self._black)

    def read(self, outputs: Tensors, size_hw: SizeHW) -> Semantics:
        """Return the classes in (N, Q, L + 1) scores of classes and (N, Q, h, w) masks."""
        classes, masks = (output.float() for output in outputs)
        check_finite(classes, masks)
        side, (height, width) = self._squares.side, self._rule(size_hw)
        full = [upsample(one, (side, side)) for one in masks]
        if self._things is None:
            pairs = zip(full, classes, strict=True)
            scores = torch.stack([class_scores(*pair) for pair in pairs])
            found = best_class(self._squares.join(scores, (height, width)), size_hw)
            return Semantics(self._name, found, self.class_names)
        found, objects = read_panoptic(
            full[0][:, :height, :width], classes[0], self._things, size_hw, _RULE
        )
        return Semantics(self._name, found, self.class_names, objects)
