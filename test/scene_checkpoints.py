"""Tiny seeded checkpoints of classifiers of whole images, with tokenizers of a few words."""

from functools import partial

from checkpoints import CARD, IMAGENET, labels, seeded
import transformers

from robot_perception.models.network import write_checkpoint

SIDE = 32
_LENGTH = 64
_CHARACTERS = 'abcdefghijklmnopqrstuvwxyz.,'
_TOWER = {
    'hidden_size': 32,
    'intermediate_size': 64,
    'num_hidden_layers': 2,
    'num_attention_heads': 2,
}
_MERGES = [('o', 'f'), ('k', 'i'), ('p', 'h')]
HALVES = {'image_mean': [0.5] * 3, 'image_std': [0.5] * 3, 'do_normalize': True}
CLIP_PIXELS = {
    'image_mean': [0.48145466, 0.4578275, 0.40821073],
    'image_std': [0.26862954, 0.26130258, 0.27577711],
    'size': {'shortest_edge': SIDE},
    'crop_size': {'height': SIDE, 'width': SIDE},
    'do_center_crop': True,
    'resample': 3,
}
SQUARE = {**HALVES, 'size': {'height': SIDE, 'width': SIDE}, 'resample': 3}


def _clip():
    config = transformers.CLIPConfig(
        text_config={
            **_TOWER,
            'vocab_size': 100,
            'max_position_embeddings': _LENGTH,
            'bos_token_id': 98,
            'eos_token_id': 99,
        },
        vision_config={**_TOWER, 'image_size': SIDE, 'patch_size': 8},
        projection_dim=16,
    )
    return transformers.CLIPModel(config)


def _siglip(network, config, **vision):
    text = {
        **_TOWER,
        'vocab_size': 100,
        'max_position_embeddings': _LENGTH,
        'projection_size': 32,
        'bos_token_id': 2,
        'eos_token_id': 1,
        'pad_token_id': 0,
    }
    return network(config(text_config=text, vision_config={**_TOWER, 'patch_size': 8, **vision}))


def _clip_tokenizer():
    units = [*_CHARACTERS, *(f'{one}</w>' for one in _CHARACTERS)]
    vocabulary = [*units, *(''.join(pair) for pair in _MERGES)]
    ids = {token: index for index, token in enumerate(vocabulary)}
    ids |= {'<|startoftext|>': 98, '<|endoftext|>': 99}
    return transformers.CLIPTokenizer(ids, _MERGES)


def _siglip_tokenizer(side):
    vocabulary = ['<pad>', '<eos>', '<bos>', '<unk>', '<mask>', '\u2581', *_CHARACTERS]
    vocabulary += [''.join(pair) for pair in _MERGES]
    ids = {token: index for index, token in enumerate(vocabulary)}
    return transformers.Siglip2Tokenizer(ids, _MERGES, padding_side=side)


# Family -> builder of the network, preprocessor_config.json, and builder of the tokenizer.
IMAGE_TEXT = {
    'clip': (_clip, CLIP_PIXELS, _clip_tokenizer),
    'siglip': (
        partial(_siglip, transformers.SiglipModel, transformers.SiglipConfig, image_size=SIDE),
        SQUARE,
        partial(_siglip_tokenizer, 'right'),
    ),
    'siglip2': (
        partial(_siglip, transformers.Siglip2Model, transformers.Siglip2Config, num_patches=16),
        {**HALVES, 'patch_size': 8, 'max_num_patches': 16, 'resample': 2},
        partial(_siglip_tokenizer, 'left'),
    ),
}

_VIT = {**_TOWER, 'image_size': SIDE, 'patch_size': 8}
_CONV = {'hidden_sizes': [8, 16, 16, 32], 'depths': [1, 1, 1, 1]}
_WINDOWS = {
    'image_size': SIDE,
    'patch_size': 4,
    'embed_dim': 8,
    'depths': [1, 1],
    'num_heads': [1, 2],
    'window_size': 4,
}
_CROP = {
    **IMAGENET,
    'size': {'shortest_edge': 40},
    'crop_size': {'height': SIDE, 'width': SIDE},
    'do_center_crop': True,
    'resample': 3,
}
_SHARE = {**IMAGENET, 'size': {'shortest_edge': SIDE}, 'crop_pct': 0.875, 'resample': 3}
# Family -> name of its classes in transformers, options of its config, and preprocessor_config.
CLASSIFIERS = {
    'beit': ('Beit', _VIT, SQUARE),
    'convnext': ('ConvNext', _CONV, _SHARE),
    'convnextv2': ('ConvNextV2', _CONV, _SHARE),
    'deit': ('DeiT', _VIT, {**_CROP, 'size': {'height': 40, 'width': 40}}),
    'dinov2': ('Dinov2', {**_VIT, 'mlp_ratio': 2}, _CROP),
    'dinov2_with_registers': ('Dinov2WithRegisters', {**_VIT, 'mlp_ratio': 2}, _CROP),
    'mobilenet_v2': ('MobileNetV2', {'depth_multiplier': 0.35}, _CROP),
    'regnet': ('RegNet', {**_CONV, 'embedding_size': 8, 'groups_width': 8}, _SHARE),
    'resnet': ('ResNet', {**_CONV, 'embedding_size': 8, 'layer_type': 'basic'}, _SHARE),
    'swin': ('Swin', _WINDOWS, SQUARE),
    'swinv2': ('Swinv2', _WINDOWS, SQUARE),
    'vit': ('ViT', _VIT, SQUARE),
}
CLASS_COUNT = 12


def _classifier(family):
    name, options, _ = CLASSIFIERS[family]
    config = getattr(transformers, f'{name}Config')(**options, **labels(CLASS_COUNT))
    return getattr(transformers, f'{name}ForImageClassification')(config)


def write_image_text(folder, family):
    """Write a network of ``family`` that compares images with texts; returns the folder."""
    make, preprocessor, make_tokenizer = IMAGE_TEXT[family]
    write_checkpoint(seeded(make), folder, preprocessor, CARD)
    make_tokenizer().save_pretrained(folder)
    return folder


def write_classifier(folder, family):
    """Write a classifier of ``family`` with classes of its own; returns the folder."""
    network = seeded(partial(_classifier, family))
    write_checkpoint(network, folder, CLASSIFIERS[family][2], CARD)
    return folder
