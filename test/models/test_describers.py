"""Networks that answer questions, compared with transformers."""

import json
import shutil

import numpy as np
import pytest
from reasons import raises
from tiny_describers import BUILDERS, without_video, write_tiny_describer
import torch
import transformers

from robot_perception.core import Image, InputError, ModelError
from robot_perception.models import build_describer

QUESTION = 'how many cups?'
PROMPTS = {
    'blip-2': f'Question: {QUESTION} Answer:',
    'florence2': f'<CAPTION_TO_PHRASE_GROUNDING>{QUESTION}',
    'paligemma': f'<image>answer en {QUESTION}',
}
LENGTH = 12
# Families whose prompts depend on the size of the image.
BY_SIZE = ('idefics3', 'internvl', 'qwen2_vl', 'qwen2_5_vl', 'qwen3_vl', 'smolvlm')


@pytest.fixture(scope='module')
def checkpoints(tmp_path_factory):
    """Folder of the tiny checkpoint of a family, written on first use."""
    root = tmp_path_factory.mktemp('describers')

    def find(family):
        folder = root / family
        return folder if folder.exists() else write_tiny_describer(family, folder)

    return find


def picture(height=60, width=80):
    return Image(np.random.default_rng(7).integers(0, 255, (height, width, 3), dtype=np.uint8))


def ask(describer, image, question, *, length=LENGTH, stop=lambda: False):
    """Return the answer, and what it was after each token."""
    texts = []
    answer = describer.answer(
        image, question, max_new_tokens=length, on_text=texts.append, stop=stop
    )
    return answer, texts


def reference_processor(family):
    """Return the processor of transformers, from its own constructor."""
    _, processor = BUILDERS[family]()
    if family != 'smolvlm':
        return processor
    with pytest.MonkeyPatch.context() as patch:
        # Needed for prompts of videos only.
        patch.setattr('transformers.models.smolvlm.processing_smolvlm.num2words', str)
        return without_video(transformers.SmolVLMProcessor)(
            processor.image_processor,
            processor.tokenizer,
            None,
            image_seq_len=processor.image_seq_len,
            chat_template=processor.chat_template,
        )


def reference_texts(family, folder, image):
    """Return what transformers has generated after each token of a greedy search."""
    processor = reference_processor(family)
    content = [{'type': 'image'}, {'type': 'text', 'text': QUESTION}]
    prompt = PROMPTS.get(family) or processor.tokenizer.apply_chat_template(
        [{'role': 'user', 'content': content}],
        chat_template=processor.chat_template,
        tokenize=False,
        add_generation_prompt=True,
    )
    inputs = processor(images=np.array(image.rgb), text=prompt, return_tensors='pt')
    network = transformers.AutoModelForImageTextToText.from_pretrained(folder).eval()
    sequence = network.generate(**inputs, do_sample=False, num_beams=1, max_new_tokens=LENGTH)[
        0
    ].tolist()[-LENGTH:]
    decode = processor.tokenizer.decode
    return [
        decode(sequence[: count + 1], skip_special_tokens=True).strip() for count in range(LENGTH)
    ]


@pytest.mark.filterwarnings('ignore::DeprecationWarning')  # of transformers
@pytest.mark.parametrize(
    ('family', 'size_hw'),
    [*((family, (60, 80)) for family in BUILDERS), *((family, (300, 90)) for family in BY_SIZE)],
)
def test_answers_are_those_of_transformers(checkpoints, family, size_hw):
    folder, image = checkpoints(family), picture(*size_hw)
    answer, texts = ask(build_describer(str(folder), device='cpu'), image, QUESTION)
    assert texts == reference_texts(family, folder, image)
    assert len(texts) == LENGTH
    assert family == 'florence2' or answer.text == texts[-1]


def test_an_answer_can_be_stopped(checkpoints):
    describer = build_describer(str(checkpoints('llava')), device='cpu')
    stops = iter([False, False, True])
    answer, texts = ask(describer, picture(), QUESTION, stop=lambda: next(stops))
    assert len(texts) == 3
    assert answer.text == texts[-1]


def test_precision_is_that_of_the_parameters(checkpoints):
    describer = build_describer(str(checkpoints('llava')), device='cpu', precision='bf16')
    assert describer.placement.dtype is torch.bfloat16
    _, texts = ask(describer, picture(), QUESTION)
    assert len(texts) == LENGTH


@pytest.mark.parametrize('word', ['<image>', '</s>', '<|end|>'])
def test_a_question_cannot_control_the_network(checkpoints, word):
    describer = build_describer(str(checkpoints('llava')), device='cpu')
    with raises(InputError, 'reserved_word', match=f'expected words, got {word!r}'):
        ask(describer, picture(), f'what is {word}?')


@pytest.mark.parametrize('text', ['сколько чашек?', 'いくつ?', '🙂' * 200, '{{ 7 * 7 }}{% x %}'])
def test_any_text_is_a_question(checkpoints, text):
    describer = build_describer(str(checkpoints('llava')), device='cpu')
    assert len(ask(describer, picture(), text)[1]) == LENGTH


def test_an_image_that_a_network_refuses(checkpoints):
    describer = build_describer(str(checkpoints('qwen2_vl')), device='cpu')
    with raises(ModelError, 'network_failed', match='1x900 pixels .*aspect ratio'):
        ask(describer, picture(900, 1), QUESTION)


def florence2_answer(folder, question, written):
    """Return the answer of Florence-2 if it writes the given text."""
    describer = build_describer(str(folder), device='cpu')
    words = transformers.AutoTokenizer.from_pretrained(folder)
    tokens = words(written, add_special_tokens=False)['input_ids']

    def generate(*_, streamer, **__):
        for token in (2, *tokens, 2):
            streamer.put(torch.tensor([token]))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            transformers.Florence2ForConditionalGeneration, 'generate', generate, raising=True
        )
        return ask(describer, picture(), question)[0]


@pytest.mark.parametrize(
    ('question', 'written'),
    [
        ('a red cup', 'red cup<loc_100><loc_200><loc_300><loc_400>'),
        ('<OD>', 'red cup<loc_100><loc_200><loc_300><loc_400>'),
        ('<OPEN_VOCABULARY_DETECTION> red cup', 'red cup<loc_100><loc_200><loc_300><loc_400>'),
    ],
)
def test_florence_2_locates(checkpoints, question, written):
    answer = florence2_answer(checkpoints('florence2'), question, written)
    assert answer.text == 'red cup'
    # Thousandths of 80 x 60 pixels.
    expected = [[8, 12, 24, 24]]
    np.testing.assert_allclose(answer.detections.boxes_xyxy, expected, atol=1e-4)
    assert answer.detections.class_names == ('red cup',)


def test_florence_2_describes(checkpoints):
    answer = florence2_answer(checkpoints('florence2'), '<CAPTION>', 'a cup on a table')
    assert (answer.text, len(answer.detections)) == ('a cup on a table', 0)


@pytest.mark.parametrize(
    ('question', 'message'),
    [
        ('<CAPTION> cup', 'expected <CAPTION> with no text'),
        ('<OPEN_VOCABULARY_DETECTION>', 'with a text'),
        ('<DANCE>', 'or one of <OCR>, .*; got <DANCE>'),
    ],
)
def test_tasks_of_florence_2(checkpoints, question, message):
    describer = build_describer(str(checkpoints('florence2')), device='cpu')
    with raises(InputError, 'wrong_task', match=message):
        ask(describer, picture(), question)


@pytest.fixture
def changed(checkpoints, tmp_path):
    """Copy of a checkpoint, for the test to change."""

    def copy(family='llava'):
        return shutil.copytree(checkpoints(family), tmp_path / family)

    return copy


@pytest.mark.parametrize('family', ['blip-2', 'internvl', 'llava', 'qwen2_5_vl', 'smolvlm'])
def test_files_as_they_were_published_before_transformers_5(checkpoints, changed, family):
    folder = changed(family)
    numbers = json.loads((folder / 'processor_config.json').read_text())
    images = numbers.pop('image_processor')
    images['image_processor_type'] = images['image_processor_type'].removesuffix('Pil')
    (folder / 'preprocessor_config.json').write_text(json.dumps(images))
    (folder / 'processor_config.json').write_text(json.dumps(numbers))
    if set(numbers) <= {'processor_class'}:
        (folder / 'processor_config.json').unlink()
    template = folder / 'chat_template.jinja'
    if template.exists():
        text = json.dumps({'chat_template': template.read_text()})
        (folder / 'chat_template.json').write_text(text)
        template.unlink()
    old, new = (build_describer(str(one), device='cpu') for one in (folder, checkpoints(family)))
    assert ask(old, picture(), QUESTION) == ask(new, picture(), QUESTION)


def test_no_tokenizer(changed):
    folder = changed()
    (folder / 'tokenizer.json').unlink()
    with raises(ModelError, 'missing_file', match='expected a tokenizer'):
        build_describer(str(folder), device='cpu')


def test_a_network_that_was_not_trained_on_questions(changed):
    folder = changed('smolvlm')
    (folder / 'chat_template.jinja').unlink()
    with raises(ModelError, 'no_chat_template', match='expected a chat template'):
        build_describer(str(folder), device='cpu')


@pytest.mark.parametrize('file', ['tokenizer_config.json', 'processor_config.json'])
def test_code_of_a_checkpoint_does_not_run(changed, file):
    folder = changed()
    config = json.loads((folder / file).read_text())
    config['auto_map'] = {'AutoTokenizer': ['evil.Tokenizer', None]}
    (folder / file).write_text(json.dumps(config))
    with raises(ModelError, 'remote_code', match='auto_map'):
        build_describer(str(folder), device='cpu')


@pytest.mark.parametrize(
    'file', ['tokenizer.json', 'processor_config.json', 'generation_config.json']
)
def test_damaged_files(changed, file):
    folder = changed()
    (folder / file).write_text('{')
    with pytest.raises(ModelError, match=r'(JSON|cannot read).*again'):
        build_describer(str(folder), device='cpu')


def test_a_network_that_is_too_large(changed):
    folder = changed()
    # Only the header of a file of 4 TB, which is never read further.
    header = json.dumps({'w': {'dtype': 'F32', 'shape': [10**6, 10**6], 'data_offsets': [0, 1]}})
    (folder / 'model.safetensors').write_bytes(len(header).to_bytes(8, 'little') + header.encode())
    with raises(ModelError, 'too_large', match=r'needs \d+ MiB of memory .* of which \d+ MiB'):
        build_describer(str(folder), device='cpu')


def test_a_detector_answers_no_questions(detector_folder):
    with raises(ModelError, 'wrong_task', match='which is for detector'):
        build_describer(str(detector_folder('detr')), device='cpu')


def test_unknown_names():
    with raises(ModelError, 'unknown_model', match=r'expected stub, a folder .*got .demo.'):
        build_describer('demo')


def test_the_stub():
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[:, :32] = (200, 100, 50)
    answer, texts = ask(build_describer('stub'), Image(pixels), 'anything', length=100)
    assert answer.text == 'an image of 64 x 48 pixels, mean color 100 50 25'
    assert texts[:2] == ['an', 'an image']
    assert ask(build_describer('stub'), Image(pixels), 'anything', length=2)[0].text == 'an image'
