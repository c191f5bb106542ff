"""Conversion of DETR checkpoints with a timm backbone, so that timm is not needed.

The ResNets of timm and transformers are one architecture with different names of weights.
"""

from __future__ import annotations

from collections.abc import Mapping
import re
from typing import Any

from robot_perception.core import WeightsInvalidError

_MAY_USE_TIMM = ('detr', 'conditional_detr', 'deformable_detr')
_TIMM_ONLY = (
    'backbone',
    'backbone_kwargs',
    'dilation',
    'use_pretrained_backbone',
    'use_timm_backbone',
)
_BOTTLENECK = {'layer_type': 'bottleneck', 'hidden_sizes': [256, 512, 1024, 2048]}
_BASIC = {'layer_type': 'basic', 'hidden_sizes': [64, 128, 256, 512]}
_RESNETS: Mapping[str, Mapping[str, Any]] = {
    'resnet18': {**_BASIC, 'depths': [2, 2, 2, 2]},
    'resnet34': {**_BASIC, 'depths': [3, 4, 6, 3]},
    'resnet50': {**_BOTTLENECK, 'depths': [3, 4, 6, 3]},
    'resnet101': {**_BOTTLENECK, 'depths': [3, 4, 23, 3]},
    'resnet152': {**_BOTTLENECK, 'depths': [3, 8, 36, 3]},
}
_KEY = re.compile(
    r'(?P<head>.*backbone\.(?:conv_encoder\.)?model\.)'
    r'(?:(?P<stem>conv|bn)1'
    r'|layer(?P<stage>\d)\.(?P<block>\d+)\.'
    r'(?:(?P<part>conv|bn)(?P<number>\d)|downsample\.(?P<down>[01])))'
    r'\.(?P<tail>\w+)'
)
_NAMES = {'conv': 'convolution', 'bn': 'normalization', '0': 'convolution', '1': 'normalization'}


def uses_timm(config: Mapping[str, Any]) -> bool:
    """Return whether a config.json names a timm backbone, in the old or the new form."""
    if config['model_type'] not in _MAY_USE_TIMM:
        return False
    backbone = config.get('backbone_config')
    if backbone is None:
        return bool(config.get('use_timm_backbone', True))
    return bool(backbone.get('model_type') == 'timm_backbone')


def replace_timm_backbone(
    config: Mapping[str, Any], where: str, *, gives_masks: bool = False
) -> dict[str, Any]:
    """Return a config.json for which `uses_timm` holds with the ResNet of transformers instead.

    ``where`` names the checkpoint in a message. A network that gives masks needs all stages.

    Raises:
        WeightsInvalidError: the backbone is not a ResNet, or it is dilated.
    """
    backbone = config.get('backbone_config') or config
    name = backbone.get('backbone') or 'resnet50'
    if name not in _RESNETS or config.get('dilation'):
        dilated = ', dilated' if config.get('dilation') else ''
        raise WeightsInvalidError(
            'unsupported_backbone',
            f'{where}: expected a timm backbone out of {", ".join(_RESNETS)}, not dilated; '
            f'got {name}{dilated}. Use a checkpoint with one of those.',
        )
    many_levels = (
        config['model_type'] == 'deformable_detr' and config.get('num_feature_levels', 4) > 1
    )
    stages = ['stage4']
    if many_levels:
        stages = ['stage2', 'stage3', 'stage4']
    if gives_masks:
        stages = ['stage1', 'stage2', 'stage3', 'stage4']
    resnet = {
        'model_type': 'resnet',
        'embedding_size': 64,
        'hidden_act': 'relu',
        'num_channels': config.get('num_channels', 3),
        'out_features': stages,
        **_RESNETS[name],
    }
    kept = {key: value for key, value in config.items() if key not in _TIMM_ONLY}
    return kept | {'backbone_config': resnet}


def rename_timm_key(key: str) -> str:
    """Return the name in transformers of a weight of a timm ResNet inside a detector.

    >>> rename_timm_key('model.backbone.conv_encoder.model.layer3.5.conv2.weight')
    'model.backbone.conv_encoder.model.encoder.stages.2.layers.5.layer.1.convolution.weight'
    """
    match = _KEY.fullmatch(key)
    if match is None:
        return key
    head, tail = match['head'], match['tail']
    if match['stem']:
        return f'{head}embedder.embedder.{_NAMES[match["stem"]]}.{tail}'
    block = f'{head}encoder.stages.{int(match["stage"]) - 1}.layers.{match["block"]}'
    if match['down']:
        return f'{block}.shortcut.{_NAMES[match["down"]]}.{tail}'
    return f'{block}.layer.{int(match["number"]) - 1}.{_NAMES[match["part"]]}.{tail}'
