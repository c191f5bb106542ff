"""Random weights in the layout of published checkpoints, to measure speed without a download."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
import string
from typing import Any, NamedTuple

import torch
from torch import nn
import transformers

from robot_perception.core import ConfigError
from robot_perception.models.network import write_checkpoint

_CARD = '# Random weights\n\nFor measuring speed; results mean nothing.\n'
_IMAGENET = {'image_mean': [0.485, 0.456, 0.406], 'image_std': [0.229, 0.224, 0.225]}
_HALVES = {'image_mean': [0.5] * 3, 'image_std': [0.5] * 3}
_BILINEAR, _BICUBIC = 2, 3
_LETTERS = string.ascii_lowercase
# One token each, as for BERT.
_WORDS = ('person', 'chair', 'table', 'cup', 'bottle', 'book')
_FIRST_WORD = 1030


def write_random_checkpoint(model: str, folder: Path) -> None:
    """Write a checkpoint of random weights in the layout of a model of the catalogue.

    The same weights are written each time.

    Args:
        model: id of the catalogue.
        folder: made if missing; files in it are overwritten.

    Raises:
        ConfigError: the layout of ``model`` is not known.
    """
    if model not in LAYOUTS:
        raise ConfigError(
            'unknown_model',
            f'Expected a model of known layout ({", ".join(LAYOUTS)}), got {model!r}. '
            'Use one of these, or the folder of a checkpoint.',
        )
    layout = LAYOUTS[model]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = layout.build()
        _spread(network)
    tokenizer = None if layout.tokenizer is None else layout.tokenizer()
    write_checkpoint(network, folder, layout.preprocessor, _CARD, tokenizer)


def _spread(network: nn.Module) -> None:
    """Draw weights that keep the size of values from layer to layer, as training does."""
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.normal_(module.weight, std=module.weight[0].numel() ** -0.5)


def _dinov2() -> Any:  # noqa: ANN401 - transformers publishes no types
    return transformers.Dinov2Model(_vit())


def _vit(**options: object) -> Any:  # noqa: ANN401 - transformers publishes no types
    return transformers.Dinov2Config(
        hidden_size=384, num_hidden_layers=12, num_attention_heads=6, image_size=518, **options
    )


def _depth_anything() -> Any:  # noqa: ANN401 - transformers publishes no types
    backbone = _vit(out_indices=[3, 6, 9, 12], reshape_hidden_states=False)
    config = transformers.DepthAnythingConfig(
        backbone_config=backbone, depth_estimation_type='metric', max_depth=20
    )
    return transformers.DepthAnythingForDepthEstimation(config)


def _detr() -> Any:  # noqa: ANN401 - transformers publishes no types
    backbone = transformers.ResNetConfig(out_features=['stage4'])
    return transformers.DetrForObjectDetection(
        transformers.DetrConfig(backbone_config=backbone, num_labels=91)
    )


def _d_fine() -> Any:  # noqa: ANN401 - transformers publishes no types
    backbone = transformers.HGNetV2Config(
        hidden_sizes=[128, 256, 512, 1024],
        stem_channels=[3, 16, 16],
        stage_in_channels=[16, 64, 256, 512],
        stage_mid_channels=[16, 32, 64, 128],
        stage_out_channels=[64, 256, 512, 1024],
        stage_num_blocks=[1, 1, 2, 1],
        stage_numb_of_layers=[3, 3, 3, 3],
        out_indices=[3, 4],
        use_learnable_affine_block=True,
    )
    config = transformers.DFineConfig(
        backbone_config=backbone,
        num_feature_levels=2,
        encoder_ffn_dim=512,
        encode_proj_layers=[1],
        d_model=128,
        encoder_hidden_dim=128,
        decoder_ffn_dim=512,
        encoder_in_channels=[512, 1024],
        decoder_n_points=[6, 6],
        decoder_in_channels=[128, 128],
        feat_strides=[16, 32],
        depth_mult=0.5,
        decoder_layers=3,
        hidden_expansion=0.34,
        num_labels=80,
    )
    return transformers.DFineForObjectDetection(config)


def _sam2() -> Any:  # noqa: ANN401 - transformers publishes no types
    # The defaults of transformers are those of SAM 2.1 Hiera-T.
    return transformers.Sam2Model(transformers.Sam2Config())


def _mm_grounding_dino() -> Any:  # noqa: ANN401 - transformers publishes no types
    # The defaults of transformers, with a Swin-T and BERT, are those of the tiny one.
    return transformers.MMGroundingDinoForObjectDetection(transformers.MMGroundingDinoConfig())


def _word_pieces() -> Any:  # noqa: ANN401 - transformers publishes no types
    """Return a tokenizer with the special tokens of BERT, words, and letters for all others."""
    names = {0: '[PAD]', 100: '[UNK]', 101: '[CLS]', 102: '[SEP]', 103: '[MASK]'}
    names |= {1012: '.', 1029: '?'}
    pieces = (*_WORDS, *_LETTERS, *(f'##{letter}' for letter in _LETTERS))
    names |= {_FIRST_WORD + index: piece for index, piece in enumerate(pieces)}
    last = _FIRST_WORD + len(pieces)
    ids = {names.get(index, f'[unused{index}]'): index for index in range(last)}
    return transformers.BertTokenizer(vocab=ids)


def _eomt() -> Any:  # noqa: ANN401 - transformers publishes no types
    # Those of the 80 objects come first, as in COCO panoptic.
    names = {0: 'person', **{index: f'class {index}' for index in range(1, 133)}}
    config = transformers.EomtConfig(
        hidden_size=384,
        num_hidden_layers=12,
        num_attention_heads=6,
        num_blocks=3,
        id2label=names,
        label2id={name: index for index, name in names.items()},
    )
    return transformers.EomtForUniversalSegmentation(config)


def _siglip2() -> Any:  # noqa: ANN401 - transformers publishes no types
    text = {'vocab_size': 256000, 'bos_token_id': 2, 'eos_token_id': 1, 'pad_token_id': 0}
    config = transformers.SiglipConfig(text_config={**text, 'projection_size': 768})
    return transformers.SiglipModel(config)


def _letters() -> Any:  # noqa: ANN401 - transformers publishes no types
    """Return a tokenizer of letters; texts are filled to one length in any case."""
    pieces = ('<pad>', '<eos>', '<bos>', '<unk>', '<mask>', '\u2581', *_LETTERS, '.', ',')
    ids = {piece: index for index, piece in enumerate(pieces)}
    return transformers.Siglip2Tokenizer(ids, [], padding_side='right')


class _Layout(NamedTuple):
    """How a checkpoint is made.

    Attributes:
        build: makes the network.
        preprocessor: preprocessor_config.json.
        tokenizer: makes the tokenizer; None if it takes no text.
    """

    build: Callable[[], Any]
    preprocessor: Mapping[str, object]
    tokenizer: Callable[[], Any] | None = None


LAYOUTS: Mapping[str, _Layout] = {
    'facebook/dinov2-small': _Layout(
        _dinov2,
        {**_IMAGENET, 'crop_size': {'height': 224, 'width': 224}, 'resample': _BICUBIC},
    ),
    'depth-anything/Depth-Anything-V2-Metric-Indoor-Small-hf': _Layout(
        _depth_anything,
        {**_IMAGENET, 'size': {'height': 518, 'width': 518}, 'resample': _BICUBIC},
    ),
    'facebook/detr-resnet-50': _Layout(
        _detr,
        {**_IMAGENET, 'size': {'shortest_edge': 800, 'longest_edge': 1333}},
    ),
    'ustc-community/dfine-nano-coco': _Layout(
        _d_fine,
        {'do_normalize': False, 'size': {'height': 640, 'width': 640}, 'resample': _BILINEAR},
    ),
    'facebook/sam2.1-hiera-tiny': _Layout(_sam2, dict(_IMAGENET)),
    'openmmlab-community/mm_grounding_dino_tiny_o365v1_goldg_v3det': _Layout(
        _mm_grounding_dino,
        {**_IMAGENET, 'size': {'shortest_edge': 800, 'longest_edge': 1333}},
        _word_pieces,
    ),
    'tue-mps/coco_panoptic_eomt_small_640_2x': _Layout(
        _eomt,
        {**_IMAGENET, 'size': {'shortest_edge': 640, 'longest_edge': 640}, 'do_pad': True},
    ),
    'google/siglip2-base-patch16-224': _Layout(
        _siglip2,
        {**_HALVES, 'size': {'height': 224, 'width': 224}, 'resample': _BILINEAR},
        _letters,
    ),
}
"""How the random checkpoint of each model is made."""
