"""Folding of batch normalization into convolutions, as for deployment."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_weights

# Names in transformers of a convolution and the normalization of its output.
_PAIRS = (('conv', 'norm'), ('convolution', 'normalization'))
# Constant inside transformers' FrozenBatchNorm2d, which has no attribute for it.
_FROZEN_EPS = 1e-5


def fold_batch_norm(network: nn.Module) -> None:
    """Fold batch normalization into the preceding convolutions, in place, for inference.

    Normalization with fixed statistics scales and shifts each channel (Jacob et al. 2018,
    section 3.2). The two parallel convolutions of a RepVGG block are merged into one (Ding et
    al. 2021, section 3.3). Outputs differ by rounding.
    """
    for module in list(network.modules()):
        consecutive = (
            pairwise(dict(module.named_children())) if isinstance(module, nn.Sequential) else ()
        )
        for conv, norm in (*_PAIRS, *consecutive):
            _fold(module, conv, norm)
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if type(child).__name__.endswith('RepVggBlock'):
                setattr(module, name, _merge_convolutions(child))


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


def _merge_convolutions(block: Any) -> nn.Module:  # noqa: ANN401 - transformers publishes no types
    """Add the 1 x 1 convolution of a RepVGG block to the center of its 3 x 3 convolution."""
    layers = [getattr(block, name, None) for name in ('conv1', 'conv2')]
    if not all(isinstance(getattr(layer, 'norm', None), nn.Identity) for layer in layers):
        # Another version of transformers may use other names.
        return cast('nn.Module', block)
    wide, narrow = (layer.conv for layer in layers if layer is not None)
    if (wide.kernel_size, narrow.kernel_size) != ((3, 3), (1, 1)):
        # LW-DETR computes two 3 x 3 convolutions one after the other in a block of this name.
        return cast('nn.Module', block)
    with torch.no_grad():
        wide.weight += functional.pad(narrow.weight, (1, 1, 1, 1))
        wide.bias += narrow.bias
    return nn.Sequential(wide, block.activation)
