"""Tiny seeded checkpoints of detectors that take prompts, with tokenizers of a few words."""

from functools import partial
import json

from checkpoints import ASPECT, CARD, IMAGENET, seeded
import torch
import transformers

from robot_perception.models.network import write_checkpoint

WORDS = ('a', 'red', 'blue', 'cup', 'chair', 'dining', 'table', 'st', 'dog', '##s', ',', 'person')
# Numbers of special tokens of BERT, which Grounding DINO relies on.
_BERT = {0: '[PAD]', 100: '[UNK]', 101: '[CLS]', 102: '[SEP]', 1012: '.', 1029: '?'}
_FIRST_WORD = 1030
_CLIP_END = 599
OWL = {**IMAGENET, 'size': {'height': 64, 'width': 64}, 'resample': 3}
_TEXT = {
    'vocab_size': 600,
    'hidden_size': 32,
    'intermediate_size': 64,
    'num_hidden_layers': 2,
    'num_attention_heads': 2,
    'max_position_embeddings': 16,
    'bos_token_id': _CLIP_END - 1,
    'eos_token_id': _CLIP_END,
}
_VISION = {
    'hidden_size': 32,
    'intermediate_size': 64,
    'num_hidden_layers': 2,
    'num_attention_heads': 2,
    'image_size': 64,
    'patch_size': 16,
}
_FUSED = {
    'num_queries': 20,
    'd_model': 32,
    'encoder_layers': 2,
    'decoder_layers': 2,
    'encoder_attention_heads': 2,
    'decoder_attention_heads': 2,
    'encoder_ffn_dim': 32,
    'decoder_ffn_dim': 32,
    'max_text_len': 32,
}


def _owl(network, config):
    return network(config(text_config=_TEXT, vision_config=_VISION, projection_dim=32))


def _omdet_turbo():
    backbone = transformers.SwinConfig(
        image_size=64,
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 2, 2, 2],
        window_size=4,
        out_indices=[2, 3, 4],
    )
    config = transformers.OmDetTurboConfig(
        backbone_config=backbone,
        text_config={'model_type': 'clip_text_model', 'projection_dim': 32, **_TEXT},
        image_size=64,
        apply_layernorm_after_vision_backbone=False,
        text_projection_in_dim=32,
        text_projection_out_dim=32,
        task_encoder_hidden_dim=48,
        class_embed_dim=32,
        num_queries=10,
        encoder_hidden_dim=64,
        vision_features_channels=[64, 64, 64],
        encoder_in_channels=[16, 32, 64],
        encoder_attention_heads=2,
        encoder_dim_feedforward=32,
        decoder_hidden_dim=64,
        decoder_num_heads=2,
        decoder_num_layers=2,
        decoder_dim_feedforward=32,
    )
    network = transformers.OmDetTurboForObjectDetection(config)
    torch.nn.init.normal_(network.language_backbone.text_projection)
    return network


def _grounding_dino(network, config):
    backbone = transformers.SwinConfig(
        image_size=64,
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 2, 2, 2],
        window_size=4,
        out_indices=[2, 3, 4],
    )
    text = transformers.BertConfig(
        vocab_size=_FIRST_WORD + len(WORDS),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
    )
    made = network(config(backbone_config=backbone, text_config=text, two_stage=True, **_FUSED))
    for name, parameter in made.named_parameters():
        # Fusion of image and text begins at almost nothing.
        if name.endswith(('vision_param', 'text_param')):
            torch.nn.init.ones_(parameter)
    return made


def write_bert_tokenizer(folder):
    """Write vocab.txt of a BERT that knows `WORDS` and single letters of none."""
    words = {**_BERT, **{_FIRST_WORD + index: word for index, word in enumerate(WORDS)}}
    lines = [words.get(index, f'[unused{index}]') for index in range(_FIRST_WORD + len(WORDS))]
    (folder / 'vocab.txt').write_text('\n'.join(lines) + '\n')
    config = {'tokenizer_class': 'BertTokenizer', 'do_lower_case': True}
    (folder / 'tokenizer_config.json').write_text(json.dumps(config))


def write_clip_tokenizer(folder):
    """Write vocab.json and merges.txt of a CLIP that splits words into bytes."""
    units = [chr(code) for code in range(33, 127)] + [chr(code) for code in range(161, 173)]
    units += [chr(code) for code in range(174, 256)] + [chr(code) for code in range(256, 324)]
    vocabulary = [*units, *(f'{unit}</w>' for unit in units), 'c' + 'u', 'cup</w>']
    ids = {token: index for index, token in enumerate(vocabulary)}
    ids['<|startoftext|>'], ids['<|endoftext|>'] = _CLIP_END - 1, _CLIP_END
    (folder / 'vocab.json').write_text(json.dumps(ids))
    (folder / 'merges.txt').write_text('#version: 0.2\nc u\ncu p</w>\n')
    config = {'tokenizer_class': 'CLIPTokenizer', 'pad_token': '<|endoftext|>'}
    (folder / 'tokenizer_config.json').write_text(json.dumps(config))


# Family -> builder of the network, preprocessor_config.json, and writer of the tokenizer.
FAMILIES = {
    'owlvit': (
        partial(_owl, transformers.OwlViTForObjectDetection, transformers.OwlViTConfig),
        OWL,
        write_clip_tokenizer,
    ),
    'owlv2': (
        partial(_owl, transformers.Owlv2ForObjectDetection, transformers.Owlv2Config),
        OWL,
        write_clip_tokenizer,
    ),
    'grounding-dino': (
        partial(
            _grounding_dino,
            transformers.GroundingDinoForObjectDetection,
            transformers.GroundingDinoConfig,
        ),
        ASPECT,
        write_bert_tokenizer,
    ),
    'mm-grounding-dino': (
        partial(
            _grounding_dino,
            transformers.MMGroundingDinoForObjectDetection,
            transformers.MMGroundingDinoConfig,
        ),
        ASPECT,
        write_bert_tokenizer,
    ),
}


FAMILIES['omdet-turbo'] = (
    _omdet_turbo,
    {**IMAGENET, 'size': {'height': 64, 'width': 64}, 'resample': 2},
    write_clip_tokenizer,
)


def write_prompted(folder, family):
    """Write a detector of ``family`` with its tokenizer; returns the folder."""
    make, preprocessor, write_tokenizer = FAMILIES[family]
    write_checkpoint(seeded(make), folder, preprocessor, CARD)
    write_tokenizer(folder)
    return folder


def _clipseg(complex_decoder):
    config = transformers.CLIPSegConfig(
        text_config=_TEXT,
        vision_config={**_VISION, 'num_hidden_layers': 4},
        projection_dim=24,
        reduce_dim=16,
        extract_layers=[0, 1, 3],
        decoder_intermediate_size=32,
        use_complex_transposed_convolution=complex_decoder,
    )
    return transformers.CLIPSegForImageSegmentation(config)


def write_clipseg(folder, *, complex_decoder=True):
    """Write a network that takes the classes of pixels as words; returns the folder."""
    network = seeded(partial(_clipseg, complex_decoder))
    write_checkpoint(network, folder, {**OWL, 'resample': 2}, CARD)
    write_clip_tokenizer(folder)
    return folder
