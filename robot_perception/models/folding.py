"""Convolutions that bring their normalisation with them, as networks are deployed."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_weights

# What transformers calls a convolution and the normalisation of what comes out of it.
_PAIRS = (('conv', 'norm'), ('convolution', 'normalization'))
# Of transformers' FrozenBatchNorm2d, which does not tell it.
_FROZEN_EPS = 1e-5


def fold_normalisation(network: nn.Module) -> None:
    """Fold batch normalisation into the convolutions before it, in place; for inference alone.

    Normalisation by fixed statistics is a scale and a shift of each channel (Jacob et al. 2018,
    section 3.2). The two convolutions side by side of a RepVGG block become one (Ding et al.
    2021, section 3.3). What comes out differs by rounding.
    """
    for module in list(network.modules()):
        behind = (
            pairwise(dict(module.named_children())) if isinstance(module, nn.Sequential) else ()
        )
        for conv, norm in (*_PAIRS, *behind):
            _fold(module, conv, norm)
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if type(child).__name__.endswith('RepVggBlock'):
                setattr(module, name, _one_convolution(child))


def _fold(module: nn.Module, conv_name: str, norm_name: str) -> None:
    conv, norm = getattr(module, conv_name, None), getattr(module, norm_name, None)
    if not isinstance(conv, nn.Conv2d) or not type(norm).__name__.endswith('BatchNorm2d'):
        return
    statistics: Any = norm
    conv.weight, conv.bias = fuse_conv_bn_weights(
        conv.weight,
        conv.bias,
        statistics.running_mean,
        statistics.running_var,
        getattr(norm, 'eps', _FROZEN_EPS),
        statistics.weight,
        statistics.bias,
    )
    setattr(module, norm_name, nn.Identity())


def _one_convolution(block: Any) -> nn.Module:  # noqa: ANN401 - transformers publishes no types
    """Add the 1 x 1 convolution of a RepVGG block to the middle of its 3 x 3 one."""
    layers = [getattr(block, name, None) for name in ('conv1', 'conv2')]
    if not all(isinstance(getattr(layer, 'norm', None), nn.Identity) for layer in layers):
        # Of a version of transformers that calls them otherwise.
        return cast('nn.Module', block)
    wide, narrow = (layer.conv for layer in layers if layer is not None)
    with torch.no_grad():
        wide.weight += functional.pad(narrow.weight, (1, 1, 1, 1))
        wide.bias += narrow.bias
    return nn.Sequential(wide, block.activation)
