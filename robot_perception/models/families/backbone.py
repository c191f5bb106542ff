"""Backbones of image classifiers as features of a scene: ResNet, ConvNeXt, Swin."""

from __future__ import annotations

import torch

from robot_perception.core import ConfigError, SceneFeatures
from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.families.batch_norm_folding import fold_batch_norm
from robot_perception.models.families.interfaces import NamedNetwork, Tensors
from robot_perception.models.network import load_network
from robot_perception.models.outputs import to_numpy
from robot_perception.models.preprocess import BICUBIC, read_preprocessor, read_size
from robot_perception.models.resize import check_input_size, ShortSide, SizeHW

_SIDE, _STRIDE = 224, 32
# Limit of the long side, as a multiple of the short one.
_LONGEST = 16


class Backbone:
    """Returns the pooled output as the global vector, and the cells of the last feature map.

    As for DINOv2 the whole image is used instead of its central square: its short side is resized
    to the size that the checkpoint states, and both sides are rounded down to whole cells.
    """

    def __init__(self, checkpoint: Checkpoint, input_size: int) -> None:
        """Load the network; ``input_size`` as in `build_feature_extractor`."""
        check_input_size('features.input_size', input_size, 1)
        self._name = checkpoint.name
        network = load_network(checkpoint)
        fold_batch_norm(network)
        size = read_size(checkpoint)
        side = input_size or size.get('height') or size.get('shortest_edge') or _SIDE
        smallest = _STRIDE * getattr(network.config, 'window_size', 1)
        if side < smallest:
            raise ConfigError(
                'out_of_range',
                f'features.input_size: expected at least {smallest} pixels, which the windows of '
                f'{checkpoint.name} cover, got {side}. Use {smallest} or more.',
            )
        rule = ShortSide(side, _LONGEST * side, _STRIDE)
        self.prepare = read_preprocessor(checkpoint, rule, resample=BICUBIC, normalize=True)

        def features(pixels: torch.Tensor) -> Tensors:
            output = network(pixel_values=pixels)
            return output.pooler_output, output.last_hidden_state

        self.networks = (NamedNetwork('image', network, features),)

    def read(self, outputs: Tensors, input_hw: SizeHW) -> SceneFeatures:
        """Return the features in pooled outputs and (1, C, h, w) maps or (1, h * w, C) tokens."""
        pooled, cells = to_numpy(outputs[0][0]).reshape(-1), outputs[1][0]
        if cells.dim() == len(('C', 'h', 'w')):
            patches = to_numpy(cells.permute(1, 2, 0).contiguous())
        else:
            grid_hw = (input_hw[0] // _STRIDE, input_hw[1] // _STRIDE)
            patches = to_numpy(cells).reshape(*grid_hw, -1)
        return SceneFeatures(self._name, pooled.copy(), patches)
