"""Builders of tiny seeded checkpoints of further families, and helpers to change checkpoints."""

from functools import partial
import json

import numpy as np
from safetensors.torch import load_file, save_file
from tiny_checkpoints import spread_weights
import torch
import transformers

from robot_perception.core import Image
from robot_perception.models.network import quiet_transformers, write_checkpoint

IMAGENET = {
    'image_mean': [0.485, 0.456, 0.406],
    'image_std': [0.229, 0.224, 0.225],
    'do_normalize': True,
    'do_rescale': True,
    'rescale_factor': 1 / 255,
}
ASPECT = {**IMAGENET, 'size': {'shortest_edge': 96, 'longest_edge': 160}, 'resample': 2}
SQUARE = {**IMAGENET, 'do_normalize': False, 'size': {'height': 96, 'width': 96}, 'resample': 2}
UNUSED_IDS = (0, 3, 7)
_STAGES = ('stage1', 'stage2', 'stage3', 'stage4')
CARD = 'Random weights, for tests.\n'

_DETR = {
    'num_queries': 10,
    'd_model': 32,
    'encoder_layers': 1,
    'decoder_layers': 2,
    'encoder_attention_heads': 2,
    'decoder_attention_heads': 2,
    'encoder_ffn_dim': 32,
    'decoder_ffn_dim': 32,
}
# The heads of the encoder and d_model together are a multiple of 8.
_MASK_DETR = {**_DETR, 'd_model': 64, 'encoder_attention_heads': 8}
_RT_DETR = {
    'num_queries': 10,
    'd_model': 32,
    'encoder_hidden_dim': 32,
    'encoder_in_channels': [16, 16, 32],
    'encoder_ffn_dim': 32,
    'encoder_attention_heads': 2,
    'decoder_in_channels': [32, 32, 32],
    'decoder_ffn_dim': 32,
    'decoder_layers': 2,
    'decoder_attention_heads': 2,
    'hidden_expansion': 0.5,
}


def sample_image(height=48, width=64, seed=0):
    """Return smooth blobs with noise: an image on which resizing filters differ."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / (5 + c) + c) + np.cos(y / (7 - c)) for c in range(3)]
    rgb = 127 + 50 * np.stack(waves, axis=-1) + rng.normal(0, 20, (height, width, 3))
    return Image(rgb.clip(0, 255).astype(np.uint8), stamp_ns=7, frame_id='camera')


def labels(count, unused=()):
    """Return a label table; those of DETR for COCO have unused ids."""
    names = {i: 'N/A' if i in unused else f'class {i}' for i in range(count)}
    return {'id2label': names, 'label2id': {name: i for i, name in names.items()}}


def _resnet(**options):
    return transformers.ResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 16, 16, 32],
        depths=[1] * 4,
        layer_type='basic',
        **options,
    )


def _detr(network, config, stages=('stage4',), options=_DETR):
    backbone = _resnet(out_features=list(stages))
    unused = UNUSED_IDS if config is transformers.DetrConfig else ()
    return network(config(backbone_config=backbone, **options, **labels(12, unused)))


def _rt_detr(network, config):
    backbone = transformers.RTDetrResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 16, 16, 32],
        depths=[1] * 4,
        layer_type='basic',
        out_indices=[2, 3, 4],
    )
    return network(config(backbone_config=backbone, **_RT_DETR, **labels(8)))


def _hgnet():
    return transformers.HGNetV2Config(
        embedding_size=8,
        hidden_sizes=[16, 16, 16, 32],
        stem_channels=[3, 8, 8],
        stage_in_channels=[8, 16, 16, 16],
        stage_mid_channels=[8] * 4,
        stage_out_channels=[16, 16, 16, 32],
        stage_num_blocks=[1] * 4,
        stage_numb_of_layers=[1] * 4,
        use_learnable_affine_block=True,
        out_indices=[2, 3, 4],
    )


def _d_fine():
    config = transformers.DFineConfig(
        backbone_config=_hgnet(),
        decoder_n_points=[3, 6, 3],
        depth_mult=0.34,
        lqe_hidden_dim=8,
        **_RT_DETR,
        **labels(8),
    )
    return transformers.DFineForObjectDetection(config)


def _yolos():
    config = transformers.YolosConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        image_size=[64, 96],
        num_detection_tokens=10,
        **labels(12),
    )
    return transformers.YolosForObjectDetection(config)


def _dab_detr():
    config = transformers.DabDetrConfig(
        backbone_config=_resnet(out_features=['stage4']),
        hidden_size=32,
        num_queries=10,
        encoder_layers=1,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        **labels(12),
    )
    return transformers.DabDetrForObjectDetection(config)


def _deimv2():
    config = transformers.Deimv2Config(
        backbone_config=_hgnet(),
        decoder_n_points=[3, 6, 3],
        lqe_hidden_dim=8,
        **_RT_DETR,
        **labels(8),
    )
    return transformers.Deimv2ForObjectDetection(config)


_WINDOWED_DETR = {
    'd_model': 32,
    'num_queries': 10,
    'decoder_layers': 2,
    'decoder_ffn_dim': 32,
    'decoder_self_attention_heads': 2,
    'decoder_cross_attention_heads': 2,
    'group_detr': 2,
}
_SMALL_VIT = {
    'hidden_size': 32,
    'num_hidden_layers': 3,
    'num_attention_heads': 2,
    'mlp_ratio': 2,
    'out_features': ['stage1', 'stage3'],
}


def _lw_detr():
    backbone = transformers.LwDetrViTConfig(
        image_size=64,
        pretrain_image_size=32,
        num_windows=4,
        window_block_indices=[0],
        **_SMALL_VIT,
    )
    config = transformers.LwDetrConfig(
        backbone_config=backbone, projector_scale_factors=[1.0], **_WINDOWED_DETR, **labels(8)
    )
    network = transformers.LwDetrForObjectDetection(config)
    # Initialized so that scores are 0.01.
    torch.nn.init.zeros_(network.class_embed.bias)
    return network


def _rf_detr(network=transformers.RfDetrForObjectDetection, unused=UNUSED_IDS):
    backbone = transformers.RfDetrDinov2Config(
        image_size=64, patch_size=16, num_windows=2, **_SMALL_VIT
    )
    config = transformers.RfDetrConfig(
        backbone_config=backbone, **_WINDOWED_DETR, **labels(8, unused)
    )
    return network(config)


# Family -> builder of the network, and its preprocessor_config.json.
DETECTORS = {
    'detr': (
        partial(_detr, transformers.DetrForObjectDetection, transformers.DetrConfig),
        ASPECT,
    ),
    'conditional_detr': (
        partial(
            _detr,
            transformers.ConditionalDetrForObjectDetection,
            transformers.ConditionalDetrConfig,
        ),
        ASPECT,
    ),
    'deformable_detr': (
        partial(
            _detr,
            transformers.DeformableDetrForObjectDetection,
            transformers.DeformableDetrConfig,
            ('stage2', 'stage3', 'stage4'),
        ),
        ASPECT,
    ),
    'rt_detr': (
        partial(_rt_detr, transformers.RTDetrForObjectDetection, transformers.RTDetrConfig),
        SQUARE,
    ),
    'rt_detr_v2': (
        partial(_rt_detr, transformers.RTDetrV2ForObjectDetection, transformers.RTDetrV2Config),
        SQUARE,
    ),
    'd_fine': (_d_fine, SQUARE),
    'yolos': (_yolos, ASPECT),
    'dab-detr': (_dab_detr, ASPECT),
    'deimv2': (_deimv2, SQUARE),
    'lw_detr': (_lw_detr, {**SQUARE, 'do_normalize': True}),
    'rf_detr': (_rf_detr, {**SQUARE, 'do_normalize': True}),
}
# Those that give masks with their boxes.
MASK_DETECTORS = {
    'detr': (
        partial(
            _detr,
            transformers.DetrForSegmentation,
            transformers.DetrConfig,
            _STAGES,
            _MASK_DETR,
        ),
        ASPECT,
    ),
    'conditional_detr': (
        partial(
            _detr,
            transformers.ConditionalDetrForSegmentation,
            transformers.ConditionalDetrConfig,
            _STAGES,
            _MASK_DETR,
        ),
        ASPECT,
    ),
    'rf_detr': (
        partial(_rf_detr, transformers.RfDetrForInstanceSegmentation, ()),
        {**SQUARE, 'do_normalize': True},
    ),
}


_SMALL_SWIN = {
    'image_size': 64,
    'patch_size': 4,
    'embed_dim': 8,
    'depths': [1, 1, 1, 1],
    'num_heads': [1, 1, 2, 2],
    'window_size': 4,
    'out_features': ['stage1', 'stage2', 'stage3', 'stage4'],
}
_QUERIES = {'num_queries': 12, 'num_attention_heads': 2, 'dropout': 0.0}


def _mask2former(count=6):
    config = transformers.Mask2FormerConfig(
        backbone_config=transformers.SwinConfig(**_SMALL_SWIN),
        feature_size=32,
        mask_feature_size=32,
        hidden_dim=32,
        encoder_feedforward_dim=32,
        encoder_layers=1,
        decoder_layers=2,
        dim_feedforward=32,
        **_QUERIES,
        **labels(count),
    )
    return transformers.Mask2FormerForUniversalSegmentation(config)


def _maskformer(count=6):
    decoder = transformers.DetrConfig(
        backbone_config=_resnet(out_features=['stage4']),
        **_DETR | {'num_queries': 12, 'decoder_layers': 2},
    )
    config = transformers.MaskFormerConfig(
        backbone_config=transformers.SwinConfig(**_SMALL_SWIN),
        decoder_config=decoder,
        fpn_feature_size=32,
        mask_feature_size=32,
        **labels(count),
    )
    return transformers.MaskFormerForInstanceSegmentation(config)


def _oneformer(count=6):
    config = transformers.OneFormerConfig(
        backbone_config=transformers.SwinConfig(**_SMALL_SWIN),
        hidden_dim=32,
        conv_dim=32,
        mask_dim=32,
        encoder_feedforward_dim=32,
        encoder_layers=1,
        decoder_layers=2,
        dim_feedforward=32,
        query_dec_layers=1,
        use_task_norm=True,
        is_training=False,
        **_QUERIES,
        **labels(count),
    )
    return transformers.OneFormerForUniversalSegmentation(config)


def _eomt(count=6):
    config = transformers.EomtConfig(
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        num_blocks=1,
        image_size=64,
        patch_size=8,
        num_queries=12,
        num_upscale_blocks=1,
        **labels(count),
    )
    return transformers.EomtForUniversalSegmentation(config)


def _segformer(count=6):
    config = transformers.SegformerConfig(
        hidden_sizes=[8, 16, 16, 32],
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=16,
        **labels(count),
    )
    return transformers.SegformerForSemanticSegmentation(config)


def _upernet(count=6):
    config = transformers.UperNetConfig(
        backbone_config=transformers.SwinConfig(**_SMALL_SWIN),
        hidden_size=16,
        pool_scales=[1, 2],
        auxiliary_channels=8,
        auxiliary_in_channels=32,
        **labels(count),
    )
    return transformers.UperNetForSemanticSegmentation(config)


_THINGS = {'metadata': {'thing_ids': [0, 1, 2]}}
_SIDE_96 = {'size': {'height': 96, 'width': 96}, 'resample': 2}
# Family -> builder of the network, and its preprocessor_config.json.
SEMANTICS = {
    'mask2former': (_mask2former, {**IMAGENET, **_SIDE_96, **_THINGS}),
    'maskformer': (_maskformer, {**ASPECT, 'size_divisor': 32}),
    'oneformer': (_oneformer, {**ASPECT, **_THINGS}),
    'eomt': (
        _eomt,
        {**IMAGENET, **_THINGS, 'size': {'shortest_edge': 64, 'longest_edge': 64}, 'do_pad': True},
    ),
    'segformer': (_segformer, {**IMAGENET, **_SIDE_96}),
    'upernet': (_upernet, {**IMAGENET, **_SIDE_96}),
}


def write_semantics(folder, family, names=(), **preprocessor):
    """Write a network of every pixel, with changes of its preprocessor; returns the folder."""
    make, published = SEMANTICS[family]
    network = seeded(partial(make, len(names)) if names else make)
    with torch.no_grad():
        # Scores of classes that are near one, as those of trained networks.
        for name, parameter in network.named_parameters():
            if 'class_predictor' in name or 'class_embed' in name or 'classifier' in name:
                parameter.mul_(4)
    write_checkpoint(network, folder, {**published, **preprocessor}, CARD)
    if names:
        ids = {name: index for index, name in enumerate(names)}
        rewrite_config(folder, id2label=dict(enumerate(names)), label2id=ids)
    return folder


def seeded(make, seed=0):
    """Build a network whose outputs vary, with the same weights at every call."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = make()
        spread_weights(network)
        for module in network.modules():
            if isinstance(module, torch.nn.Embedding):
                torch.nn.init.normal_(module.weight)
        for name, parameter in network.named_parameters():
            if name.endswith('detection_tokens'):
                torch.nn.init.normal_(parameter)
    return network.eval()


def write_detector(folder, family, networks=DETECTORS):
    """Write a detector of ``family``; returns the folder."""
    make, preprocessor = networks[family]
    write_checkpoint(seeded(make), folder, preprocessor, CARD)
    return folder


def write_dinov2_with_registers(folder):
    """Write an encoder with four register tokens; returns the folder."""
    config = transformers.Dinov2WithRegistersConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        mlp_ratio=2,
        image_size=70,
        patch_size=14,
        num_register_tokens=4,
    )
    network = seeded(partial(transformers.Dinov2WithRegistersModel, config))
    write_checkpoint(network, folder, {**IMAGENET, 'crop_size': {'height': 56, 'width': 56}}, CARD)
    return folder


def rewrite_config(folder, **changes):
    """Change config.json of a checkpoint; None removes a key."""
    _rewrite(folder / 'config.json', changes)


def rewrite_preprocessor(folder, **changes):
    """Change preprocessor_config.json of a checkpoint; None removes a key."""
    _rewrite(folder / 'preprocessor_config.json', changes)


def _rewrite(path, changes):
    config = json.loads(path.read_text())
    config = {key: value for key, value in (config | changes).items() if value is not None}
    path.write_text(json.dumps(config))


def rewrite_weights(folder, change):
    """Pass the weights of a checkpoint through ``change``: dict -> dict."""
    path = folder / 'model.safetensors'
    weights = {key: value.clone() for key, value in load_file(path).items()}
    save_file(change(weights), path, metadata={'format': 'pt'})


def write_timm_detr(folder, backbone='resnet18', network=transformers.DetrForObjectDetection):
    """Write a DETR with the backbone of transformers, and with that of timm.

    Returns the two folders.
    """
    basic = backbone == 'resnet18'
    resnet = transformers.ResNetConfig(
        embedding_size=64,
        hidden_sizes=[64, 128, 256, 512] if basic else [256, 512, 1024, 2048],
        depths=[2, 2, 2, 2] if basic else [3, 4, 6, 3],
        layer_type='basic' if basic else 'bottleneck',
        out_features=list(_STAGES),
    )
    config = transformers.DetrConfig(backbone_config=resnet, **_MASK_DETR, **labels(12))
    network = seeded(partial(network, config))
    plain, timm = folder / 'plain', folder / 'timm'
    for path in (plain, timm):
        write_checkpoint(network, path, ASPECT, CARD)
    rewrite_weights(timm, lambda weights: {to_timm(key): value for key, value in weights.items()})
    rewrite_config(
        timm,
        backbone_config=None,
        use_timm_backbone=True,
        use_pretrained_backbone=True,
        backbone=backbone,
        backbone_kwargs={'in_chans': 3, 'out_indices': [1, 2, 3, 4]},
        dilation=False,
    )
    return plain, timm


def to_timm(key):
    """Return the name in timm of a weight of a ResNet."""
    mark = 'backbone.conv_encoder.model.'
    head, found, rest = key.partition(mark)
    if not found:
        return key
    parts = rest.split('.')
    kind = {'convolution': 'conv', 'normalization': 'bn'}
    if parts[0] == 'embedder':
        return f'{head}{mark}{kind[parts[2]]}1.{parts[3]}'
    block = f'layer{int(parts[2]) + 1}.{parts[4]}'
    if parts[5] == 'shortcut':
        return f'{head}{mark}{block}.downsample.{list(kind).index(parts[6])}.{parts[7]}'
    return f'{head}{mark}{block}.{kind[parts[7]]}{int(parts[6]) + 1}.{parts[8]}'


def read_network(stage):
    """Return the network of transformers that a stage computes."""
    return stage.family.networks[0].network


def raw_network(folder, network_class):
    """Load a checkpoint with transformers only, as an independent reference."""
    with quiet_transformers():
        network = getattr(transformers, network_class).from_pretrained(folder).eval()
    # The memory layout of the adapters: another one changes the last bits.
    return network.to(memory_format=torch.channels_last)
