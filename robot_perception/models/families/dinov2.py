"""DINOv2: features of a scene."""

from __future__ import annotations

import torch

from robot_perception.core import SceneFeatures
from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.families.interfaces import NamedNetwork, Tensors
from robot_perception.models.network import load_network
from robot_perception.models.outputs import to_numpy
from robot_perception.models.preprocess import BICUBIC, read_preprocessor, read_size
from robot_perception.models.resize import check_input_size, SizeHW, WholePatches

_SIDE = 224


class Dinov2:
    """Returns the class token as the global vector, and every patch token.

    The published preprocessing resizes the short side to 256 and crops the central 224 x 224,
    which loses a quarter of a 4:3 image. Here the whole image is used: its short side is
    resized to 224, and both sides are rounded to whole patches.
    """

    def __init__(self, checkpoint: Checkpoint, input_size: int) -> None:
        """Load the network; ``input_size`` as in `build_feature_extractor`."""
        check_input_size('features.input_size', input_size, 1)
        self._name = checkpoint.name
        network = load_network(checkpoint)
        self._patch: int = network.config.patch_size
        # Register tokens, if any, lie between the class token and the patch tokens.
        self._skip: int = 1 + getattr(network.config, 'num_register_tokens', 0)
        crop = read_size(checkpoint, 'crop_size')
        side = input_size or crop.get('height') or crop.get('shortest_edge') or _SIDE
        rule = WholePatches(side, side, self._patch)
        self.prepare = read_preprocessor(
            checkpoint, rule, resample=BICUBIC, normalize=True, multiple=self._patch
        )

        def tokens(pixels: torch.Tensor) -> Tensors:
            return (network(pixel_values=pixels).last_hidden_state,)

        self.networks = (NamedNetwork('image', network, tokens, in_half=(network,)),)

    def read(self, outputs: Tensors, input_hw: SizeHW) -> SceneFeatures:
        """Return the features in (1, 1 + registers + patches, C) tokens."""
        values = to_numpy(outputs[0][0])
        grid_hw = (input_hw[0] // self._patch, input_hw[1] // self._patch)
        patches = values[self._skip :].reshape(*grid_hw, -1)
        return SceneFeatures(self._name, values[0].copy(), patches)
