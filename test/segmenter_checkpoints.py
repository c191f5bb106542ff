"""Tiny checkpoints of EdgeTAM and of the tracker of SAM 3."""

from functools import partial
import json
import math
from pathlib import Path
import zlib

from checkpoints import CARD, IMAGENET, rewrite_weights, seeded
import numpy as np
from safetensors.torch import save_file
import torch
import transformers

from robot_perception.models.network import write_checkpoint

EDGETAM_OUTPUTS = Path(__file__).parent / 'data' / 'edgetam_outputs.npz'
EDGETAM_SIDE, SAM3_SIDE = 64, 112
BOXES = np.array([[5, 4, 60, 40], [20.5, 10, 90, 70], [0, 0, 100, 80]], np.float32)
_DECODER = {'hidden_size': 32, 'mlp_dim': 32, 'num_attention_heads': 2, 'iou_head_hidden_dim': 32}
# config.json in the form of the published one.
EDGETAM = {
    'model_type': 'edgetam',
    'architectures': ['EdgeTamModel'],
    'vision_config': {
        'model_type': 'edgetam_vision_model',
        'backbone_config': {
            'model_type': 'timm_wrapper',
            'architecture': 'repvit_m1',
            'num_classes': 1000,
            'model_args': {
                'in_chans': 3,
                'features_only': True,
                'out_indices': [0, 1, 2, 3],
                'embed_dim': [8, 16, 16, 32],
                'depth': [1, 2, 3, 1],
            },
        },
        'backbone_channel_list': [32, 16, 16, 8],
        'backbone_feature_sizes': [[EDGETAM_SIDE // stride] * 2 for stride in (4, 8, 16)],
        'fpn_hidden_size': 32,
    },
    'prompt_encoder_config': {
        'hidden_size': 32,
        'image_size': EDGETAM_SIDE,
        'mask_input_channels': 4,
    },
    'mask_decoder_config': _DECODER,
}


def edgetam_inputs():
    """Return normalized pixels of one image, and boxes in pixels of the input: (1, 3, 4)."""
    pixels = np.random.default_rng(0).standard_normal((1, 3, EDGETAM_SIDE, EDGETAM_SIDE))
    boxes = torch.from_numpy(BOXES[None] * np.float32(EDGETAM_SIDE / 100))
    return torch.from_numpy(pixels.astype(np.float32)), boxes


def draw_weights(shapes):
    """Return weights that follow from their names alone: name -> shape to name -> tensor."""
    return {name: _draw(name, shape) for name, shape in shapes.items()}


def _draw(name, shape):
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if name.endswith('num_batches_tracked'):
        return torch.tensor(0)
    if name.endswith('running_var'):
        values = rng.uniform(0.5, 2, shape)
    elif len(shape) > 1:
        values = rng.standard_normal(shape) * math.prod(shape[1:]) ** -0.5
    else:
        values = 0.2 * rng.standard_normal(shape) + name.endswith('.weight')
    return torch.from_numpy(values.astype(np.float32))


def read_shapes(key):
    """Return the shapes of a network in the reference file by the names of its weights."""
    with np.load(EDGETAM_OUTPUTS) as file:
        return json.loads(str(file[key]))


def write_edgetam(folder):
    """Write an EdgeTAM whose weights have the names in the reference file; returns the folder."""
    folder.mkdir(parents=True)
    (folder / 'config.json').write_text(json.dumps(EDGETAM))
    (folder / 'preprocessor_config.json').write_text(json.dumps({**IMAGENET, 'resample': 2}))
    weights = draw_weights(read_shapes('shapes'))
    save_file(weights, folder / 'model.safetensors', metadata={'format': 'pt'})
    return folder


def write_sam3_tracker(folder):
    """Write the tracker alone; returns the folder."""
    config = transformers.Sam3TrackerConfig(
        vision_config=_vision(scale_factors=[4.0, 2.0, 1.0]),
        prompt_encoder_config=_prompt_encoder(),
        mask_decoder_config=_DECODER,
    )
    network = _with_memory(seeded(partial(transformers.Sam3TrackerModel, config)))
    write_checkpoint(network, folder, {}, CARD)
    return folder


def write_sam3_video(folder):
    """Write the tracker beside the detector, as it is published; returns the folder."""
    small = {
        'hidden_size': 32,
        'num_layers': 1,
        'num_attention_heads': 2,
        'intermediate_size': 32,
    }
    text = {
        'model_type': 'clip_text_model',
        'vocab_size': 32,
        'hidden_size': 32,
        'intermediate_size': 32,
        'num_hidden_layers': 1,
        'num_attention_heads': 2,
        'projection_dim': 32,
    }
    detector = transformers.Sam3Config(
        vision_config=_vision(),
        text_config=text,
        geometry_encoder_config=small,
        detr_encoder_config=small,
        detr_decoder_config={**small, 'num_queries': 4},
        mask_decoder_config={'hidden_size': 32, 'num_attention_heads': 2},
    )
    tracker = transformers.Sam3TrackerVideoConfig(
        vision_config=_vision(),
        prompt_encoder_config=_prompt_encoder(),
        mask_decoder_config=_DECODER,
        image_size=SAM3_SIDE,
        memory_attention_hidden_size=32,
        memory_attention_num_layers=1,
        memory_attention_feed_forward_hidden_size=32,
        memory_encoder_hidden_size=32,
        memory_encoder_output_channels=16,
        mask_downsampler_embed_dim=32,
        memory_fuser_embed_dim=32,
        memory_fuser_intermediate_dim=32,
        num_maskmem=2,
    )
    config = transformers.Sam3VideoConfig(
        detector_config=detector.to_dict(), tracker_config=tracker.to_dict()
    )
    network = seeded(partial(transformers.Sam3VideoModel, config))
    _with_memory(network.tracker_model)
    write_checkpoint(network, folder, {}, CARD)
    # transformers writes the prefix of the tracker twice, which the published file has once.
    twice, once = 'tracker_model.tracker_model.', 'tracker_model.'
    rewrite_weights(
        folder, lambda weights: {key.replace(twice, once): one for key, one in weights.items()}
    )
    return folder


def _vision(**options):
    cells = SAM3_SIDE // 14
    return {
        'model_type': 'sam3_vision_model',
        'backbone_config': {
            'model_type': 'sam3_vit_model',
            'hidden_size': 32,
            'intermediate_size': 64,
            'num_hidden_layers': 2,
            'num_attention_heads': 2,
            'image_size': SAM3_SIDE,
            'pretrain_image_size': SAM3_SIDE // 2,
            'window_size': 4,
            'global_attn_indexes': [1],
        },
        'fpn_hidden_size': 32,
        'backbone_feature_sizes': [[factor * cells] * 2 for factor in (4, 2, 1)],
        **options,
    }


def _prompt_encoder():
    return {'hidden_size': 32, 'image_size': SAM3_SIDE, 'mask_input_channels': 4}


def _with_memory(network):
    """Draw the embedding of an empty memory, which is zero in untrained networks."""
    with torch.no_grad():
        network.no_memory_embedding.copy_(torch.linspace(-2, 2, 32))
    return network


SEGMENTERS = {
    'edgetam': write_edgetam,
    'sam3_tracker': write_sam3_tracker,
    'sam3_video': write_sam3_video,
}


def published_maps(maps):
    """Return the maps of one image of a family of SAM 2 as transformers orders them."""
    *fine, image = maps
    side, channels = image.shape[1], image.shape[3]
    found = []
    for times, tokens in zip((2, 1), fine, strict=True):
        rows, columns = np.mgrid[: side << times, : side << times]
        index = (rows >> times) * side + (columns >> times)
        for level in reversed(range(times)):
            index = 4 * index + 2 * (rows >> level & 1) + (columns >> level & 1)
        found.append(tokens[0][torch.from_numpy(index)].permute(2, 0, 1)[None])
    assert [one.shape[1] for one in found] == [channels // 8, channels // 4]
    return [*found, image.permute(0, 3, 1, 2)]
