"""RepViT-M1 with timm's names of weights, so that neither timm nor torchvision is needed.

Published networks have it as a backbone through transformers' wrapper of timm.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, cast, NamedTuple

import torch
from torch import nn
from torch.nn import functional
import transformers

from robot_perception.core import WeightsInvalidError

_NAME = 'repvit_m1'
# What the wrapper passes to timm, where anything else would make another network.
_ARGUMENTS = {'in_chans': 3, 'features_only': True, 'out_indices': [0, 1, 2, 3]}
_OWN_NAMES = {'embed_dim': 'widths', 'depth': 'depths'}


class RepVitConfig(transformers.PreTrainedConfig):  # type: ignore[misc] # untyped base
    """Channels and numbers of blocks of the stages; the defaults are those of RepViT-M1."""

    model_type = 'robot_perception_repvit'
    widths: tuple[int, ...] = (48, 96, 192, 384)
    depths: tuple[int, ...] = (2, 2, 14, 2)


class FeatureMaps(NamedTuple):
    """The output of all stages, by the names of transformers.

    Attributes:
        last_hidden_state: (B, C, H, W) of each stage, at strides of 4, 8, 16 and 32 pixels.
        hidden_states: unused.
    """

    last_hidden_state: list[torch.Tensor]
    hidden_states: None = None


class RepVit(transformers.PreTrainedModel):  # type: ignore[misc] # untyped base
    """RepViT (Wang et al. 2024) as transformers builds it inside another network."""

    config_class = RepVitConfig
    # It has no attention; transformers asks all parts of a network.
    _supports_sdpa = True

    def __init__(self, config: RepVitConfig) -> None:
        """Build it with random weights."""
        super().__init__(config)
        self.timm_model = _Stages(config.widths, config.depths)
        self.post_init()

    def forward(self, pixel_values: torch.Tensor, **_: object) -> FeatureMaps:
        """Compute the feature maps of (B, 3, H, W) normalized pixels."""
        return FeatureMaps(self.timm_model(pixel_values))


transformers.AutoConfig.register(RepVitConfig.model_type, RepVitConfig)
transformers.AutoModel.register(RepVitConfig, RepVit)


def replace_repvit(config: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return a config.json whose backbone is a RepViT of timm with the one of this module instead.

    ``where`` names the checkpoint in a message.

    Raises:
        WeightsInvalidError: the backbone is another one.
    """
    vision = _mapping(config.get('vision_config'))
    backbone = _mapping(vision.get('backbone_config'))
    name = str(backbone.get('architecture') or backbone.get('model_type'))
    given = backbone.get('model_args') or {}
    arguments = dict(given) if isinstance(given, Mapping) else {'model_args': given}
    sizes = {key: arguments.pop(key, None) for key in ('embed_dim', 'depth')}
    # Names may have the publisher before and the training behind: timm/repvit_m1.dist_in1k.
    is_known = name.rpartition('/')[2].partition('.')[0] == _NAME
    if not is_known or _ARGUMENTS | arguments != _ARGUMENTS:
        raise WeightsInvalidError(
            'unsupported_backbone',
            f'{where}: expected the timm backbone {_NAME} with feature maps of its four stages; '
            f'got {name} with {arguments}. Use a checkpoint with that one.',
        )
    stated = {_OWN_NAMES[key]: value for key, value in sizes.items() if value is not None}
    own = {'model_type': RepVitConfig.model_type, **stated}
    return {**config, 'vision_config': {**vision, 'backbone_config': own}}


def _mapping(value: object) -> Mapping[str, Any]:
    """Return a part of a config.json; empty for what is none, in which no backbone is found."""
    return value if isinstance(value, Mapping) else {}


def merge_convolutions(network: nn.Module) -> None:
    """Merge the parallel convolutions of each block, in place, after `fold_batch_norm`.

    Convolutions are linear (Ding et al. 2021, section 3.3). Outputs differ by rounding.
    """
    for module in list(network.modules()):
        if isinstance(module, _Block):
            module.token_mixer = module.token_mixer.merged()


class _Stages(nn.ModuleDict):
    def __init__(self, widths: tuple[int, ...], depths: tuple[int, ...]) -> None:
        half, first = widths[0] // 2, widths[0]
        stem = _sequence(
            conv1=_conv_norm(3, half, 3, stride=2),
            act1=nn.GELU(),
            conv2=_conv_norm(half, first, 3, stride=2),
        )
        stages = {}
        before = (first, *widths)
        for index, (narrow, width, depth) in enumerate(zip(before, widths, depths, strict=False)):
            stages[f'stages_{index}'] = _sequence(
                downsample=_Downsample(narrow, width) if index else nn.Identity(),
                blocks=nn.Sequential(
                    *(_Block(width, squeeze=block % 2 == 0) for block in range(depth))
                ),
            )
        super().__init__({'stem': stem, **stages})

    def forward(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        maps = [pixels]
        for stage in self.values():
            maps.append(stage(maps[-1]))
        return maps[2:]


class _Block(nn.Module):
    """Mixes positions within each channel, then channels at each position."""

    def __init__(self, width: int, *, squeeze: bool) -> None:
        super().__init__()
        self.token_mixer: Any = _TokenMixer(width)
        self.se = _Squeeze(width) if squeeze else nn.Identity()
        self.channel_mixer = _channel_mixer(width)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        mixed = self.se(self.token_mixer(values))
        mixed_twice: torch.Tensor = mixed + self.channel_mixer(mixed)
        return mixed_twice


class _TokenMixer(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv: Any = _conv_norm(width, width, 3, groups=width)
        self.conv1: Any = _conv_norm(width, width, groups=width)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        mixed: torch.Tensor = self.conv(values) + self.conv1(values) + values
        return mixed

    def merged(self) -> nn.Conv2d:
        """Return the one convolution that computes the same, without normalization."""
        wide, narrow = self.conv.c, self.conv1.c
        with torch.no_grad():
            wide.weight += functional.pad(narrow.weight + 1, (1, 1, 1, 1))
            wide.bias += narrow.bias
        return cast('nn.Conv2d', wide)


class _Squeeze(nn.Module):
    """Scales each channel by a factor that follows from the means of all (Hu et al. 2018)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        # A quarter, rounded to a multiple of 8.
        reduced = max(8, (width // 4 + 4) // 8 * 8)
        self.fc1, self.fc2 = nn.Conv2d(width, reduced, 1), nn.Conv2d(reduced, width, 1)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        means = values.mean((2, 3), keepdim=True)
        scaled: torch.Tensor = values * self.fc2(self.fc1(means).relu()).sigmoid()
        return scaled


class _Downsample(nn.Module):
    def __init__(self, narrow: int, width: int) -> None:
        super().__init__()
        self.pre_block = _Block(narrow, squeeze=False)
        self.spatial_downsample = _conv_norm(narrow, narrow, 3, stride=2, groups=narrow)
        self.channel_downsample = _conv_norm(narrow, width)
        self.ffn = _channel_mixer(width)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        small = self.spatial_downsample(self.pre_block(values))
        wide = self.channel_downsample(small)
        mixed: torch.Tensor = wide + self.ffn(wide)
        return mixed


def _channel_mixer(width: int) -> nn.Sequential:
    return _sequence(
        conv1=_conv_norm(width, 2 * width), act=nn.GELU(), conv2=_conv_norm(2 * width, width)
    )


def _conv_norm(
    inputs: int, outputs: int, kernel: int = 1, *, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    conv = nn.Conv2d(
        inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False
    )
    return _sequence(c=conv, bn=nn.BatchNorm2d(outputs))


def _sequence(**layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(layers))
