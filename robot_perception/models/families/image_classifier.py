"""Classifiers of whole images with classes of their own, such as those of ImageNet."""

from __future__ import annotations

import inspect

import torch

from robot_perception.core import Float32Array
from robot_perception.models.center_crop import read_center_crop
from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.families.class_names import read_class_names
from robot_perception.models.families.interfaces import NamedNetwork, Tensors
from robot_perception.models.network import load_network
from robot_perception.models.outputs import to_numpy
from robot_perception.models.preprocess import BICUBIC, BILINEAR, HALVES, IMAGENET

# Those whose every layer computes in half precision.
_IN_HALF = ('vit', 'deit', 'dinov2', 'dinov2_with_registers')
# Defaults of the processor that was used in training: those of ViT.
_LIKE_VIT = ('vit', 'beit', 'mobilenet_v2')
_SIDE = 224


class ImageClassifier:
    """Returns the probability of each class."""

    def __init__(self, checkpoint: Checkpoint, input_size: int) -> None:
        """Load the network; ``input_size`` as in `build_scene_classifier`."""
        network = load_network(checkpoint)
        config = network.config
        self.class_names = read_class_names(config.id2label, checkpoint)
        # Probabilities of classes that do not exclude each other were trained one by one.
        self._excluding = config.problem_type != 'multi_label_classification'
        side = getattr(config, 'image_size', _SIDE)
        side = side if isinstance(side, int) else side[0]
        multiple = getattr(config, 'patch_size', 1)
        like_vit = checkpoint.family in _LIKE_VIT
        self.prepare = read_center_crop(
            checkpoint,
            input_size,
            side,
            multiple=multiple if isinstance(multiple, int) else multiple[0],
            resample=BILINEAR if like_vit else BICUBIC,
            statistics=HALVES if like_vit else IMAGENET,
        )
        options = {}
        if 'interpolate_pos_encoding' in inspect.signature(network.forward).parameters:
            options['interpolate_pos_encoding'] = self.prepare.size_hw != (side, side)

        def logits(pixels: torch.Tensor) -> Tensors:
            return (network(pixel_values=pixels, **options).logits,)

        in_half = (network,) if checkpoint.family in _IN_HALF else ()
        self.networks = (NamedNetwork('image', network, logits, in_half),)

    def read(self, outputs: Tensors) -> Float32Array:
        """Return the probabilities of all classes in (1, L) logits: (L,) in [0, 1]."""
        logits = outputs[0][0].float()
        return to_numpy(logits.softmax(-1) if self._excluding else logits.sigmoid())
