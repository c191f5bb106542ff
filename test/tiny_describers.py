"""Tiny checkpoints of networks that answer questions, with seeded random weights.

Each has the files of a published one: weights, config, tokenizer and processor. Their answers are
meaningless.
"""

import json
import string

from safetensors.torch import load_file, save_file
import tokenizers
import torch
import transformers

IMAGE = '<image>'
TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}IMAGE{% else %}{{ part['text'] }}{% endif %}{% endfor %}"
    '<|end|>{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}'
)
_SIDE, _PATCH, _WIDTH = 28, 14, 32
_TEXT = {
    'hidden_size': _WIDTH,
    'intermediate_size': 48,
    'num_hidden_layers': 2,
    'num_attention_heads': 2,
    'num_key_value_heads': 1,
    'head_dim': 16,
    'max_position_embeddings': 2048,
    'bos_token_id': 1,
    'eos_token_id': 2,
    'pad_token_id': 0,
}
_VISION = {
    'hidden_size': 16,
    'intermediate_size': 24,
    'num_hidden_layers': 2,
    'num_attention_heads': 2,
    'image_size': _SIDE,
    'patch_size': _PATCH,
}
_SIZE = {'height': _SIDE, 'width': _SIDE}
_ENDS = {'pad_token': '<pad>', 'bos_token': '<s>', 'eos_token': '</s>'}
_INTERNVL_TOKENS = {
    'start_image_token': '<img>',
    'end_image_token': '</img>',
    'context_image_token': '<IMG_CONTEXT>',
    'video_token': '<video>',
}
_FLORENCE2_ANSWERS = (
    *('bboxes', 'description_with_bboxes', 'description_with_bboxes_or_polygons', 'ocr'),
    *('phrase_grounding', 'polygons', 'pure_text'),
)


def write_tiny_describer(family, folder, seed=0, **options):
    """Write a checkpoint of a family (``model_type``) and return its folder."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network, processor = BUILDERS[family](**options)
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    # Answers end by their length.
    network.generation_config.eos_token_id = None
    network.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def write_florence2_detector(folder, length=96):
    """Write Florence-2 that writes letters and locations, and none of them twice."""
    write_tiny_describer('florence2', folder, positions=length)
    weights = load_file(folder / 'model.safetensors')
    of_tokens = weights['model.language_model.shared.weight']
    for word, number in transformers.AutoTokenizer.from_pretrained(folder).get_vocab().items():
        if not word.startswith('<loc_'):
            of_tokens[number] *= 2 if len(word) == 1 and word in string.ascii_lowercase else 0
    save_file(weights, folder / 'model.safetensors', {'format': 'pt'})
    settings = folder / 'generation_config.json'
    values = {**json.loads(settings.read_text()), 'no_repeat_ngram_size': 1}
    settings.write_text(json.dumps(values))
    return folder


def tokenizer(*special, vocabulary=(), **named):
    """Return a tokenizer that has every byte as a token, and special tokens."""
    model = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token=None))
    model.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        special_tokens=[*_ENDS.values(), '<|end|>', *named.values(), *special],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    model.train_from_iterator(['how many cups are there on the table? red, blue'], trainer)
    made = transformers.PreTrainedTokenizerFast(
        tokenizer_object=model,
        **_ENDS,
        extra_special_tokens=named,
    )
    made.add_tokens(list(vocabulary))
    return made


def _template(image):
    return TEMPLATE.replace('IMAGE', image)


def _llava(vision=None, text=None):
    words = tokenizer(image_token=IMAGE)
    vision = {**_VISION, **(vision or {})}
    side = vision['image_size']
    config = transformers.LlavaConfig(
        vision_config=transformers.CLIPVisionConfig(**vision, projection_dim=16),
        text_config=transformers.LlamaConfig(vocab_size=len(words), **{**_TEXT, **(text or {})}),
        image_token_index=words.image_token_id,
        vision_feature_layer=-1,
    )
    processor = transformers.LlavaProcessor(
        transformers.CLIPImageProcessorPil(
            size={'shortest_edge': side}, crop_size={'height': side, 'width': side}
        ),
        words,
        patch_size=vision['patch_size'],
        vision_feature_select_strategy='default',
        num_additional_image_tokens=1,
        chat_template=_template(IMAGE),
    )
    return transformers.LlavaForConditionalGeneration(config), processor


def _paligemma():
    words = tokenizer(image_token=IMAGE, vocabulary=[f'<loc{number:04}>' for number in range(8)])
    images = transformers.SiglipImageProcessorPil(size=_SIZE)
    images.image_seq_length = (_SIDE // _PATCH) ** 2
    # The processor adds words of its own.
    processor = transformers.PaliGemmaProcessor(images, words)
    config = transformers.PaliGemmaConfig(
        vision_config={'model_type': 'siglip_vision_model', **_VISION},
        text_config={'model_type': 'gemma', 'vocab_size': len(words), **_TEXT},
        image_token_index=words.image_token_id,
        projection_dim=_WIDTH,
        hidden_size=_WIDTH,
        vocab_size=len(words),
    )
    return transformers.PaliGemmaForConditionalGeneration(config), processor


def _idefics3():
    return _idefics3_like(
        transformers.Idefics3Config,
        transformers.Idefics3ForConditionalGeneration,
        transformers.Idefics3ImageProcessorPil,
    )


def _smolvlm():
    return _idefics3_like(
        transformers.SmolVLMConfig,
        transformers.SmolVLMForConditionalGeneration,
        transformers.SmolVLMImageProcessorPil,
    )


def _idefics3_like(config_class, network_class, images_class):
    grid = [f'<row_{row}_col_{column}>' for row in range(1, 4) for column in range(1, 4)]
    words = tokenizer(
        *(IMAGE, '<fake_token_around_image>', '<end_of_utterance>', '<global-img>', *grid)
    )
    processor = transformers.Idefics3Processor(
        images_class(size={'longest_edge': 2 * _SIDE}, max_image_size={'longest_edge': _SIDE}),
        words,
        image_seq_len=1,
        chat_template=_template(IMAGE),
    )
    config = config_class(
        vision_config=_VISION,
        text_config={'model_type': 'llama', 'vocab_size': len(words), **_TEXT},
        image_token_id=words.convert_tokens_to_ids(IMAGE),
        scale_factor=2,
        pad_token_id=0,
    )
    return network_class(config), processor


def without_video(processor_class):
    """Return a processor class that can be made without torchvision."""

    class Images(processor_class):
        @classmethod
        def get_attributes(cls):
            return ['image_processor', 'tokenizer']

    Images.__name__ = processor_class.__name__
    return Images


def _qwen(config_class, network_class, processor_class, vision, **images):
    words = tokenizer(
        *('<|vision_start|>', '<|vision_end|>', '<|image_pad|>', '<|video_pad|>'),
        vocabulary=['<|box_start|>', '<|box_end|>'],
    )
    ids = words.convert_tokens_to_ids
    config = config_class(
        vision_config={'depth': 2, 'num_heads': 2, **vision},
        text_config={
            'vocab_size': len(words),
            'max_window_layers': 2,
            'rope_parameters': {
                'rope_type': 'default',
                'rope_theta': 10000.0,
                'mrope_section': [2, 3, 3],
            },
            **_TEXT,
        },
        vision_start_token_id=ids('<|vision_start|>'),
        vision_end_token_id=ids('<|vision_end|>'),
        image_token_id=ids('<|image_pad|>'),
        video_token_id=ids('<|video_pad|>'),
    )
    processor = without_video(processor_class)(
        transformers.Qwen2VLImageProcessorPil(
            size={'shortest_edge': 28 * 28, 'longest_edge': 112 * 112}, **images
        ),
        words,
        None,
        chat_template=_template('<|vision_start|><|image_pad|><|vision_end|>'),
    )
    return network_class(config), processor


def _qwen2_vl():
    return _qwen(
        transformers.Qwen2VLConfig,
        transformers.Qwen2VLForConditionalGeneration,
        transformers.Qwen2VLProcessor,
        {'embed_dim': 16, 'hidden_size': _WIDTH, 'mlp_ratio': 2},
    )


def _qwen2_5_vl():
    return _qwen(
        transformers.Qwen2_5_VLConfig,
        transformers.Qwen2_5_VLForConditionalGeneration,
        transformers.Qwen2_5_VLProcessor,
        {
            'hidden_size': 16,
            'intermediate_size': 24,
            'out_hidden_size': _WIDTH,
            'window_size': 56,
            'fullatt_block_indexes': [1],
        },
    )


def _qwen3_vl():
    return _qwen(
        transformers.Qwen3VLConfig,
        transformers.Qwen3VLForConditionalGeneration,
        transformers.Qwen3VLProcessor,
        {
            'hidden_size': 16,
            'intermediate_size': 24,
            'out_hidden_size': _WIDTH,
            'num_position_embeddings': 16,
            'deepstack_visual_indexes': [0],
        },
        patch_size=16,
    )


def _internvl():
    words = tokenizer(**_INTERNVL_TOKENS)
    config = transformers.InternVLConfig(
        vision_config={**_VISION, 'image_size': [_SIDE] * 2, 'patch_size': [_PATCH] * 2},
        text_config={'model_type': 'qwen2', 'vocab_size': len(words), **_TEXT},
        image_token_id=words.context_image_token_id,
        downsample_ratio=0.5,
    )
    processor = without_video(transformers.InternVLProcessor)(
        transformers.GotOcr2ImageProcessorPil(
            size=_SIZE, crop_to_patches=True, min_patches=1, max_patches=4
        ),
        words,
        None,
        image_seq_length=1,
        chat_template=_template('<IMG_CONTEXT>'),
    )
    return transformers.InternVLForConditionalGeneration(config), processor


def _blip_2():
    words = tokenizer(IMAGE)
    config = transformers.Blip2Config(
        vision_config=_VISION,
        qformer_config={
            'vocab_size': 8,
            'num_hidden_layers': 2,
            'num_attention_heads': 2,
            'intermediate_size': 24,
            'hidden_size': 16,
            'encoder_hidden_size': 16,
            'cross_attention_frequency': 1,
        },
        text_config={
            'model_type': 'opt',
            'vocab_size': len(words),
            'hidden_size': _WIDTH,
            'word_embed_proj_dim': _WIDTH,
            'ffn_dim': 48,
            'num_hidden_layers': 2,
            'num_attention_heads': 2,
            'max_position_embeddings': 256,
            'pad_token_id': 0,
            'bos_token_id': 1,
            'eos_token_id': 2,
        },
        num_query_tokens=4,
        image_token_index=words.convert_tokens_to_ids(IMAGE),
    )
    processor = transformers.Blip2Processor(
        transformers.BlipImageProcessorPil(size=_SIZE), words, num_query_tokens=4
    )
    return transformers.Blip2ForConditionalGeneration(config), processor


def _florence2(positions=256):
    steps = [f'<loc_{number}>' for number in range(1000)]
    words = tokenizer(image_token=IMAGE, vocabulary=[*steps, '<od>', '</od>', '<poly>'])
    images = transformers.CLIPImageProcessorPil(
        size={'height': 32, 'width': 32}, do_center_crop=False
    )
    images.image_seq_length = 2
    processor = transformers.Florence2Processor(
        images, words, post_processor_config={key: {} for key in _FLORENCE2_ANSWERS}
    )
    config = transformers.Florence2Config(
        vision_config={
            'embed_dim': [8, 8, 16, 16],
            'num_heads': [1, 1, 2, 2],
            'num_groups': [1, 1, 2, 2],
            'depths': [1, 1, 1, 1],
            'window_size': 2,
            'projection_dim': _WIDTH,
            'max_temporal_embeddings': 4,
            'max_position_embeddings': 4,
        },
        text_config={
            'model_type': 'bart',
            'vocab_size': len(words),
            'd_model': _WIDTH,
            'encoder_layers': 1,
            'decoder_layers': 1,
            'encoder_attention_heads': 2,
            'decoder_attention_heads': 2,
            'encoder_ffn_dim': 48,
            'decoder_ffn_dim': 48,
            'max_position_embeddings': positions,
            'pad_token_id': 0,
            'bos_token_id': 1,
            'eos_token_id': 2,
            'decoder_start_token_id': 2,
        },
        image_token_id=words.image_token_id,
    )
    return transformers.Florence2ForConditionalGeneration(config), processor


BUILDERS = {
    'blip-2': _blip_2,
    'florence2': _florence2,
    'idefics3': _idefics3,
    'internvl': _internvl,
    'llava': _llava,
    'paligemma': _paligemma,
    'qwen2_vl': _qwen2_vl,
    'qwen2_5_vl': _qwen2_5_vl,
    'qwen3_vl': _qwen3_vl,
    'smolvlm': _smolvlm,
}
