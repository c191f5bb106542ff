"""Tiny checkpoints of the four real architectures with seeded random weights.

They are loaded exactly as the full-size ones. Their results are meaningless.
"""

import torch
import transformers

from robot_perception.models.network import write_checkpoint

_IMAGENET = {'image_mean': [0.485, 0.456, 0.406], 'image_std': [0.229, 0.224, 0.225]}
_BILINEAR, _BICUBIC = 2, 3
_COMMON = {'do_resize': True, 'do_rescale': True, 'rescale_factor': 1 / 255, 'do_normalize': True}
_SAM2_SIDE = 128
_CLASSES = ('thing', 'other thing', 'third thing')
_CARD = """---
license: apache-2.0
---
# {name}: random weights

A network of the real architecture and of no use: it was never trained, seed {seed}. It is for
tests and for trying the software around it. **What it returns, boxes and depth included, means
nothing.**
"""


def write_tiny_checkpoints(folder, seed=0):
    """Write one checkpoint for each task; the same seed writes the same bytes.

    Args:
        folder: made if it is missing; checkpoints in it are overwritten.
        seed: of the weights.

    Returns:
        The checkpoint folder of each task.
    """
    folders = {}
    for task, (name, make, preprocessor) in _BUILDERS.items():
        # Keeps the random state of the caller.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = make()
            spread_weights(network)
            _SCALERS.get(task, lambda _: None)(network)
        folders[task] = folder / name
        write_checkpoint(network, folders[task], preprocessor, _CARD.format(name=name, seed=seed))
    return folders


def spread_weights(network):
    """Draw weights so that outputs vary; those of untrained tiny networks are almost constant."""
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity='relu')
        elif isinstance(module, torch.nn.Linear):
            torch.nn.init.normal_(module.weight, std=module.in_features**-0.5)


def _features():
    return transformers.Dinov2Model(_vit())


def _depth():
    config = transformers.DepthAnythingConfig(
        backbone_config=_vit(out_indices=[1, 2, 3, 4], reshape_hidden_states=False),
        reassemble_hidden_size=32,
        neck_hidden_sizes=[8, 16, 16, 32],
        fusion_hidden_size=16,
        head_hidden_size=8,
        depth_estimation_type='metric',
        max_depth=20,
    )
    return transformers.DepthAnythingForDepthEstimation(config)


def _scale_depth(network):
    """Keep depth inside its range instead of at its limits."""
    with torch.no_grad():
        network.head.conv3.weight.mul_(0.02)


def _detector():
    backbone = transformers.ResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 16, 16, 32],
        depths=[1] * 4,
        layer_type='basic',
        out_features=['stage4'],
    )
    config = transformers.DetrConfig(
        backbone_config=backbone,
        num_queries=10,
        d_model=32,
        encoder_layers=1,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        id2label=dict(enumerate(_CLASSES)),
        label2id={name: index for index, name in enumerate(_CLASSES)},
    )
    return transformers.DetrForObjectDetection(config)


def _scale_detector(network):
    """Make queries differ, with some scores above 0.5."""
    with torch.no_grad():
        network.model.query_position_embeddings.weight.normal_(std=3)
        network.bbox_predictor.layers[-1].weight.mul_(4)
        network.class_labels_classifier.weight.mul_(4)


def _segmenter():
    backbone = transformers.Sam2HieraDetConfig(
        hidden_size=8,
        image_size=[_SAM2_SIDE, _SAM2_SIDE],
        blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[8, 16, 32, 64],
        num_attention_heads_per_stage=[1, 1, 2, 2],
        window_size_per_stage=[8, 4, 4, 2],
        global_attention_blocks=[3],
    )
    vision = transformers.Sam2VisionConfig(
        backbone_config=backbone,
        backbone_channel_list=[64, 32, 16, 8],
        backbone_feature_sizes=[[_SAM2_SIDE // stride] * 2 for stride in (4, 8, 16)],
        fpn_hidden_size=32,
    )
    config = transformers.Sam2Config(
        vision_config=vision,
        prompt_encoder_config={
            'hidden_size': 32,
            'image_size': _SAM2_SIDE,
            'mask_input_channels': 4,
        },
        mask_decoder_config={
            'hidden_size': 32,
            'mlp_dim': 32,
            'num_attention_heads': 2,
            'iou_head_hidden_dim': 32,
        },
    )
    return transformers.Sam2Model(config)


def _vit(**more):
    return transformers.Dinov2Config(
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=2,
        mlp_ratio=2,
        image_size=70,
        **more,
    )


# The constants of the published files.
_DINOV2_PREPROCESSOR = {
    **_COMMON,
    **_IMAGENET,
    'image_processor_type': 'BitImageProcessor',
    'resample': _BICUBIC,
    'size': {'shortest_edge': 256},
    'do_center_crop': True,
    'crop_size': {'height': 224, 'width': 224},
}
_DEPTH_PREPROCESSOR = {
    **_COMMON,
    **_IMAGENET,
    'image_processor_type': 'DPTImageProcessor',
    'resample': _BICUBIC,
    'size': {'height': 518, 'width': 518},
    'keep_aspect_ratio': True,
    'ensure_multiple_of': 14,
}
_DETR_PREPROCESSOR = {
    **_COMMON,
    **_IMAGENET,
    'image_processor_type': 'DetrImageProcessor',
    'resample': _BILINEAR,
    'size': {'shortest_edge': 800, 'longest_edge': 1333},
}
_SAM2_PREPROCESSOR = {
    **_COMMON,
    **_IMAGENET,
    'image_processor_type': 'Sam2ImageProcessorFast',
    'resample': _BILINEAR,
    'size': {'height': _SAM2_SIDE, 'width': _SAM2_SIDE},
}

_BUILDERS = {
    'features': ('tiny-dinov2', _features, _DINOV2_PREPROCESSOR),
    'depth': ('tiny-depth-anything', _depth, _DEPTH_PREPROCESSOR),
    'detector': ('tiny-detr', _detector, _DETR_PREPROCESSOR),
    'segmenter': ('tiny-sam2', _segmenter, _SAM2_PREPROCESSOR),
}
_SCALERS = {'depth': _scale_depth, 'detector': _scale_detector}
